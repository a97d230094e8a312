# ruff: noqa: S608 - the tables' own names
"""A database of the first release is carried over in portions, whatever interrupts that, and says how far it is."""

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog

from bq_server.audit.verification import Verifier
from bq_server.events import Scope
from bq_server.exact_json import dumps
from bq_server.game.effects import EFFECTS, packed
from bq_server.ids import pack
from bq_server.moments import parse_timestamp
from bq_server.store import facts, ledger, participants, sqlite
from bq_server.store.database import Database
from bq_server.store.migrations import SchemaTooOld, conversion, first_release
from bq_server.store.rankings import Rankings
from tests.support import old_database
from tests.support.first_release import restore

pytestmark = pytest.mark.anyio

SCOPE = Scope(*old_database.WHO)

CARRY = """
import asyncio, os, signal, sys
from msgspec.structs import replace
from pathlib import Path
from bq_server.store.database import Database
from bq_server.store.rankings import Rankings
from bq_server.store.migrations import conversion

path, portion, left, moment = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
portions = conversion._portion

def killed():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def killing(carry):
    def carried(*arguments):
        found = carry(*arguments)
        if found[0] and moment == "before its commit":
            killed()
        return found
    return carried

def counted(*arguments):
    found = portions(*arguments)
    if found[0] and moment == "after its commit":
        killed()
    return found

async def main():
    async with Database.open(path):
        pass

conversion._STEPS = [replace(each, portion=portion, carry=killing(each.carry)) for each in conversion._STEPS]
conversion._portion = counted
asyncio.run(main())
"""


def carry(path: Path, portion: int, portions: int, moment: str) -> int:
    """Carry over in a process that is killed at that moment of so many-th portion of rows; its exit code."""
    arguments = [sys.executable, "-c", CARRY, str(path), str(portion), str(portions), moment]
    return subprocess.run(arguments, capture_output=True, check=False).returncode


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite.connect(str(path))) as connection:
        return [tuple(row) for row in connection.execute(sql)]


def edit(path: Path, sql: str) -> None:
    with closing(sqlite.connect(str(path))) as connection:
        assert connection.execute(sql).rowcount == 1


async def differences(database: Database) -> dict[tuple[str, str], Any]:
    verifier, found = Verifier(database), {}
    for scope in await verifier.scopes():
        async for each in verifier.participants(scope):
            found.update({(each.participant_id, one.key): one.stored for one in each.differences})
        async for place in verifier.strays(scope):
            found[place.participant_id, f"standings/{place.board}/{place.period}"] = place.score
    return found


@pytest.mark.slow
async def test_a_big_one_is_carried_over_in_portions_and_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old"
    old_database.make(path, 500, 40)
    monkeypatch.setattr(conversion, "TELL_SECONDS", 0)
    with structlog.testing.capture_logs() as lines:
        async with Database.open(path) as database:
            assert await differences(database) == {}
            async with database.read() as connection:
                assert await facts.last_seq(connection) == 20_000
                page, total = await ledger.entries(connection, SCOPE, "user 000499", 2, 0)
                assert total == 40
                assert [entry.balance for entry in page] == [400, 390]
                assert await participants.count(connection, SCOPE) == 500
            found, ranked = await Rankings(database).read(
                SCOPE, [("leaderboard/sums", "daily", "2026-01-05")], lambda view: (view.best(1), view.total())
            )
            assert (ranked, found[0].score.score) == (500, 11.2)
    told = [(each["done"], each["total"]) for each in lines if each.get("what") == "facts"]
    assert told[0] == (0, 20_000)
    assert told[-1] == (20_000, 20_000)
    assert len(told) > 2, "it takes more than one portion"
    assert all(each["per_second"] > 0 for each in lines if each.get("what") == "facts" and each["done"])
    assert lines[-1]["event"] == "migration.carried_over"
    assert ask(path, "SELECT name FROM sqlite_schema WHERE name LIKE 'old_%' OR name = 'carried_over'") == []


@pytest.mark.parametrize("moment", ["before its commit", "after its commit"])
@pytest.mark.parametrize("portions", [4, 9])
@pytest.mark.slow
async def test_one_that_was_killed_goes_on_where_it_was(tmp_path: Path, portions: int, moment: str) -> None:
    """Killed again and again, each time in that portion."""
    path = tmp_path / "old"
    restore(path)
    whole = tmp_path / "whole"
    restore(whole)
    async with Database.open(whole):
        pass
    killed = 0
    while (code := carry(path, 200, portions, moment)) == -signal.SIGKILL:
        killed += 1
        assert killed < 20, "it begins again each time"
        assert {row[0] for row in ask(path, "SELECT version FROM schema_migrations")} == {1, 2, 3, 4}
        with pytest.raises(SchemaTooOld):
            async with Database.open(path, may_migrate=False):
                pass
        assert ask(path, "SELECT count(*) FROM old_facts") == [(515,)], "and nothing is lost meanwhile"
    assert code == 0
    assert killed > 1
    for table in ("scopes", "fact_types", "facts", "duplicates", "ledger", "cells", "rankings", "standings"):
        order = ask(path, f"SELECT * FROM {table} ORDER BY 1, 2"), ask(whole, f"SELECT * FROM {table} ORDER BY 1, 2")
        assert order[0] == order[1], table
    assert ask(path, "SELECT * FROM participants ORDER BY 1") == ask(whole, "SELECT * FROM participants ORDER BY 1")
    assert ask(path, "SELECT * FROM sqlite_sequence") == ask(whole, "SELECT * FROM sqlite_sequence") == [("facts", 536)]


async def test_one_that_may_not_be_migrated_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old"
    restore(path)
    with pytest.raises(SchemaTooOld):
        async with Database.open(path, may_migrate=False):
            pass
    assert ask(path, "SELECT max(version) FROM schema_migrations") == [(3,)]


async def test_a_seq_is_not_given_again_though_its_fact_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "old"
    old_database.make(path, 1, 3)
    for table in ("facts", "cells", "ledger", "standings", "participants", "fact_effects"):
        with closing(sqlite.connect(str(path))) as connection:
            connection.execute(f"DELETE FROM {table}")
    async with Database.open(path):
        pass
    assert ask(path, "SELECT seq FROM sqlite_sequence WHERE name = 'facts'") == [(3,)]


U0 = "participant_id = 'user 000000'"
TAMPERED = {
    "a cell that is no JSON": (
        f"UPDATE cells SET value = 'oh{{' WHERE {U0} AND cell = 'points'",
        ("user 000000", "points"),
    ),
    "the newest score that is no JSON": (
        f"UPDATE cells SET value = 'oh{{' WHERE {U0} AND cell = 'score/sums/daily/2026-01-06'",
        ("user 000000", "score/sums/daily/2026-01-06"),
    ),
    "an older score": (
        f"UPDATE cells SET value = json_set(value, '$.score', 5) WHERE {U0} AND cell = 'score/sums/daily/2026-01-05'",
        ("user 000000", "score/sums/daily/2026-01-05"),
    ),
    "a member that is no JSON": (
        "INSERT INTO cells VALUES"
        " ('default', 'live', 'user 000000', 'seen/leaderboard/shops/all_time/all_time/x', '{')",
        ("user 000000", "seen/leaderboard/shops/all_time/all_time/x"),
    ),
    "a cell of nobody": (
        "INSERT INTO cells VALUES ('default', 'live', 'me', 'points', '{}')",
        ("me", "points"),
    ),
    "an entry that names no fact": (
        f"UPDATE ledger SET fact_id = 'fact_x', cause = 'me' WHERE {U0} AND seq = 3",
        ("user 000000", "ledger/me"),
    ),
    "an entry of nobody": (
        "INSERT INTO ledger VALUES (NULL, 't', 'other', 'live', 'me', 'why', 1, 1, 'fact_x', 1, 1, 1)",
        ("me", "ledger/why"),
    ),
    "an amount that is no number": (
        f"UPDATE ledger SET amount = 'x' WHERE {U0} AND seq = 2",
        ("user 000000", "ledger/points:pay:fact_" + "2".zfill(26)),
    ),
    "an older place": (
        f"UPDATE standings SET score = 9999 WHERE {U0} AND period = '2026-01-05'",
        ("user 000000", "standings/leaderboard/sums/daily/2026-01-05"),
    ),
    "an older place gone": (
        f"DELETE FROM standings WHERE {U0} AND period = '2026-01-05'",
        ("user 000000", "score/sums/daily/2026-01-05"),
    ),
    "a place of nobody": (
        "INSERT INTO standings VALUES ('default', 'live', 'leaderboard/shops', 'all_time', 'all_time', 'me', 99, 1)",
        ("me", "standings/leaderboard/shops/all_time"),
    ),
    "a participant gone": (f"DELETE FROM participants WHERE {U0}", ("user 000000", "total_events")),
}


@pytest.mark.parametrize("name", TAMPERED)
async def test_what_somebody_wrote_by_hand_does_not_stop_it_and_is_found(tmp_path: Path, name: str) -> None:
    path = tmp_path / "old"
    old_database.make(path, 2, 4)
    statement, place = TAMPERED[name]
    edit(path, statement)
    async with Database.open(path) as database:
        assert place in await differences(database)


async def test_effects_that_can_not_be_read_are_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "old"
    old_database.make(path, 1, 3)
    for number, text in ((1, "oh{"), (2, '[{"type": "else"}]')):
        edit(path, f"UPDATE fact_effects SET effects = '{text}' WHERE fact_id LIKE '%{number}'")
    async with Database.open(path):
        pass
    assert [row[0] is None for row in ask(path, "SELECT effects FROM facts ORDER BY seq")] == [True, True, False]


def test_ids_and_effects_are_kept_as_the_program_reads_them() -> None:
    for text in ("evt_" + "0" * 26, "evt_7" + "z" * 25, "evt_8" + "0" * 25, "evt_1", "x" * 15, "x" * 16, "", "evt_"):
        assert first_release.packed_id("evt", text) == pack("evt", text)
    common = {"participant_id": "u", "fact_id": "fact_1", "occurred_at": "2026-01-05T00:00:00.000001Z"}
    told: list[dict[str, Any]] = [
        {"type": "points", "cause": "points:pay:fact_1", "amount": 1, "balance": 2},
        {"type": "badge", "code": "b", "name": "B", "rarity": "common", "cause": "criteria:badge/b"},
        {"type": "enrolment", "challenge": "c", "expires_at": "2026-01-05T00:00:00Z"},
        {"type": "enrolment", "challenge": "c", "expires_at": None},
        {"type": "objective", "challenge": "c", "objective": "o", "value": 1.5, "target": 2, "completed": False},
        {"type": "challenge", "challenge": "c", "progress": 0.75, "completed": False},
        {"type": "milestone", "of": "streak", "code": "s", "at": 2.0},
        {"type": "streak", "code": "s", "current": 1, "longest": 2},
        {"type": "tier", "code": "t", "name": "T", "level": 1, "previous_code": None, "previous_level": None},
        {"type": "leaderboard", "code": "l", "window": "daily", "period": "2026-01-05", "score": 0.1},
    ]
    effects = EFFECTS.validate_python(
        [
            each
            | common
            | {name: parse_timestamp(each[name]) for name in ("expires_at",) if each.get(name)}
            | {"occurred_at": parse_timestamp(common["occurred_at"])}
            for each in told
        ]
    )
    text = json.dumps([each | common for each in told])
    for at in (parse_timestamp(common["occurred_at"]), 7):
        expected = dumps([packed(effect, at) for effect in effects])
        assert first_release.packed_effects(text, "fact_1", at) == expected
