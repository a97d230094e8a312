"""What is stored is what the facts lead to, and a hand that wrote elsewhere is noticed and mended."""

import json
import random
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bq_server.audit.rebuild import Rebuilder
from bq_server.audit.verification import Verifier
from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.game.document.definitions import Game
from bq_server.ids import IdSource
from bq_server.moments import HOUR, parse_timestamp
from bq_server.processing.compiled_games import Games
from bq_server.processing.game_changes import GameChanges
from bq_server.processing.processor import Processor
from bq_server.processing.refold_job import RefoldJob
from bq_server.runtime.data_directory import DataDirectory
from bq_server.store import sqlite
from bq_server.store.database import Database
from tests.support import legible
from tests.support.process import ServerProcess, run

SCOPE, OTHER = Scope("default", "test"), Scope("default", "live")
START = parse_timestamp("2026-03-02T00:00:00Z")
NOW = parse_timestamp("2026-05-01T00:00:00Z")
HANDS = "u0"
"""Everything that can be done by hand was done to this participant."""

GAME: dict[str, Any] = {
    "points": [{"code": "spend", "on": "bought", "when": "has(properties.amount)", "award": "properties.amount"}],
    "badges": [
        {"code": "first", "name": "First", "criteria": {"on": "bought", "aggregate": "count", "target": 1}},
        {
            "code": "shopper",
            "name": "Shopper",
            "criteria": {"on": "bought", "aggregate": "distinct", "of": "properties.shop", "target": 40},
        },
        {"code": "champion", "name": "Champion"},
        {"code": "loyal", "name": "Loyal"},
    ],
    "challenges": [
        {
            "code": "spring",
            "name": "Spring",
            "objectives": [
                {"code": "spend", "on": "bought", "aggregate": "sum", "of": "properties.amount", "target": 40},
                {"code": "often", "on": "bought", "aggregate": "count", "target": 3},
            ],
            "milestones": [{"at": 0.5, "rewards": [{"points": 50}]}],
            "rewards": [{"points": 500}, {"badge": "champion"}],
        },
        {
            "code": "steps",
            "name": "Steps",
            "objectives": [
                {"code": "visit", "on": "login", "aggregate": "count", "target": 2},
                {"code": "buy", "on": "bought", "aggregate": "count", "target": 900, "prerequisites": ["visit"]},
            ],
        },
        {
            "code": "sprint",
            "name": "Sprint",
            "enrolment": "explicit",
            "duration": {"type": "rolling", "days": 5},
            "objectives": [{"code": "buy", "on": "bought", "aggregate": "count", "target": 2}],
            "rewards": [{"points": 20}],
        },
    ],
    "streaks": [
        {
            "code": "daily",
            "on": "login",
            "milestones": [{"at": 2, "rewards": [{"points": 10}]}, {"at": 3, "rewards": [{"badge": "loyal"}]}],
        }
    ],
    "tiers": [
        {"code": "bronze", "name": "Bronze", "level": 1, "min_points": 0},
        {"code": "gold", "name": "Gold", "level": 3, "min_points": 400},
    ],
    "leaderboards": [
        {
            "code": "spenders",
            "name": "Spenders",
            "metric": {"on": "bought", "aggregate": "sum", "of": "properties.amount"},
            "window": ["weekly", "all_time"],
        },
        {
            "code": "shops",
            "name": "Shops",
            "metric": {"on": "bought", "aggregate": "distinct", "of": "properties.shop"},
        },
        {"code": "points", "name": "Points", "metric": "points", "window": ["daily", "all_time"]},
    ],
}


class World:
    """A database with a game and a history, and no server."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._moments = count(NOW)
        self._numbers = count()
        games = Games()
        self.ids = IdSource()
        self.processor = Processor(database, self.ids, Clocks(self.clock), games)
        self.refold_job = RefoldJob(database, games, self.ids, Clocks(self.clock))
        self.game_changes = GameChanges(database, games, self.refold_job, self.ids, Clocks(self.clock))

    def clock(self) -> int:
        return next(self._moments)

    def event(self, name: str, who: str, at: int, scope: Scope = SCOPE, **properties: Any) -> Event:
        system = f"system.{name}" if name in SYSTEM else None
        event_id = f"evt_{next(self._numbers)}"
        return Event(event_id, scope, name, who, json.dumps(properties), at, at, system_type=system)

    async def send(self, *events: Event) -> None:
        await self.processor.process(events)

    async def apply(self, game: dict[str, Any], *, refold: bool = True, backfill: bool = False) -> None:
        await self.game_changes.apply(SCOPE, Game.model_validate(game), backfill=backfill)
        while refold and (open_one := await self.refold_job._next()):
            await self.refold_job._page(open_one)

    async def differences(self) -> dict[tuple[str, str], tuple[Any, Any]]:
        """What verify finds, by participant and key."""
        verifier, found = Verifier(self.database), {}
        for scope in await verifier.scopes():
            async for each in verifier.participants(scope):
                for one in each.differences:
                    found[each.participant_id, one.key] = (one.stored, one.expected)
            async for place in verifier.strays(scope):
                found[place.participant_id, f"standings/{place.board}"] = (place.score, None)
        return found

    async def kept(self) -> list[tuple[str, str]]:
        verifier = Verifier(self.database)
        return [
            (each.participant_id, award.key)
            for scope in await verifier.scopes()
            async for each in verifier.participants(scope)
            for award in each.kept
        ]

    async def replay(self) -> int:
        """How many participants and rankings were changed."""
        rebuilder, changed = Rebuilder(self.database, self.ids, self.clock), 0
        for scope in await Verifier(self.database).scopes():
            async for each in rebuilder.participants(scope):
                changed += each
            changed += await rebuilder.strays(scope)
        return changed

    def edit(self, sql: str, *parameters: object) -> int:
        """What somebody does with a database shell; answers how many rows that changed."""
        return legible.edit(self.database.path, sql, *parameters)

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return legible.rows(self.database.path, sql, *parameters)


SYSTEM = {"points_awarded", "points_deducted", "badge_awarded", "timezone_changed", "challenge_enrolled"}


async def play(world: World) -> None:
    """Five participants, every mechanic, a third of the facts late, in batches of any size."""
    await world.apply(GAME)
    chance = random.Random(7)
    events = [
        world.event("bought", f"u{who}", START + hour * HOUR, amount=7 + hour % 3, shop=f"s{hour % 11}")
        for who in range(5)
        for hour in range(who, 240, 37)
    ]
    events += [
        world.event("login", f"u{who}", START + day * 24 * HOUR + who) for who in range(5) for day in (0, 1, 2, 5, 6)
    ]
    events.sort(key=lambda event: event.occurred_at + (chance.random() < 0.3) * chance.randrange(90) * HOUR)
    hand = START + 40 * HOUR
    events[10:10] = [world.event("challenge_enrolled", HANDS, START + HOUR, challenge_code="sprint")]
    events[20:20] = [world.event("timezone_changed", HANDS, hand, timezone="Asia/Tokyo")]
    events[30:30] = [
        world.event("points_awarded", HANDS, hand, amount=100),
        world.event("points_deducted", HANDS, hand + 1, amount=30),
        world.event("badge_awarded", HANDS, hand + 2, badge_code="champion"),
    ]
    events.append(world.event("bought", "u0", START, OTHER, amount=5))
    while events:
        size = chance.choice([1, 2, 7])
        await world.send(*events[:size])
        del events[:size]


@pytest.fixture
async def world(data_dir: Path) -> Any:
    directory = DataDirectory(data_dir)
    directory.create()
    async with Database.open(directory.database) as database:
        made = World(database)
        await play(made)
        yield made


@pytest.fixture
def running(world: World) -> Iterator[ServerProcess]:
    with ServerProcess(world.database.path.parent) as server:
        yield server


@pytest.mark.anyio
async def test_what_was_played_is_clean_and_a_replay_changes_no_award(world: World) -> None:
    assert await world.differences() == {}
    awards = "SELECT participant_id, cell, value FROM cells WHERE cell LIKE 'badge/%' OR cell IN ('tiers', 'points')"
    before = world.rows(awards), world.rows("SELECT * FROM ledger")
    assert {cell for _, cell, _ in before[0]} >= {"badge/first", "badge/champion", "badge/loyal", "tiers"}
    await world.replay()
    assert (world.rows(awards), world.rows("SELECT * FROM ledger")) == before
    assert await world.differences() == {}
    assert await world.replay() == 0, "there is nothing left to do"


CELL = "UPDATE cells SET value = ? WHERE environment = 'test' AND participant_id = 'u1' AND cell = ?"
NO_CELL = "DELETE FROM cells WHERE environment = 'test' AND participant_id = 'u1' AND cell = ?"
NEW_CELL = "INSERT INTO cells VALUES ('default', 'test', 'u1', ?, ?)"


def cell(change: str, name: str) -> tuple[str, str]:
    return f"{change} WHERE environment = 'test' AND participant_id = 'u1' AND cell = ?", name


def entry(change: str, cause: str) -> tuple[str, str]:
    return f"{change} WHERE environment = 'test' AND participant_id = 'u0' AND cause LIKE ?", cause


def place(change: str, board: str) -> tuple[str, str]:
    return f"{change} WHERE environment = 'test' AND participant_id = 'u1' AND board = ?", board


EDITS: dict[str, tuple[tuple[str, ...], str]] = {
    "a challenge's progress": (
        cell("UPDATE cells SET value = json_set(value, '$.p.d[0]', NULL, '$.p.v[0]', 1)", "challenge/spring"),
        "challenge/spring",
    ),
    "a challenge gone": ((NO_CELL, "challenge/spring"), "challenge/spring"),
    "a challenge in order": (
        cell("UPDATE cells SET value = json_set(value, '$.p.v[1]', 800)", "challenge/steps"),
        "challenge/steps",
    ),
    "a challenge that is no JSON": ((CELL, "oh{", "challenge/spring"), "challenge/spring"),
    "a challenge of another shape": ((CELL, '{"rev": 1, "p": []}', "challenge/steps"), "challenge/steps"),
    "a milestone forgotten": (
        cell("UPDATE cells SET value = json_remove(value, '$.given.complete')", "challenge/spring"),
        "challenge/spring@complete",
    ),
    "a milestone never reached": (
        cell(
            "UPDATE cells SET value = json_set(value, '$.given', json('{\"complete\": [1, \"fact_x\"]}'))",
            "challenge/steps",
        ),
        "challenge/steps",
    ),
    "points": ((CELL, '{"balance": 1, "earned": 1, "spent": 0}', "points"), "points"),
    "points gone": ((NO_CELL, "points"), "points"),
    "a badge gone": ((NO_CELL, "badge/first"), "badge/first"),
    "a badge from nowhere": (
        (NEW_CELL, "badge/shopper", '{"at": 1, "fact": "fact_x", "cause": "me"}'),
        "badge/shopper",
    ),
    "a badge's reason": ((CELL, '{"at": 1}', "badge/first"), "badge/first"),
    "criteria": (
        cell("UPDATE cells SET value = json_set(value, '$.p.v[0]', 39)", "criteria/shopper"),
        "criteria/shopper",
    ),
    "a member of a set": ((NEW_CELL, "seen/badge/shopper/0/abc", "1"), "seen/badge/shopper/0/abc"),
    "a member of no set": ((NEW_CELL, "seen/badge/shopper/many", "1"), "seen/badge/shopper/many"),
    "a streak": (
        cell("UPDATE cells SET value = json_set(value, '$.l', 99)", "streak/daily"),
        "streak/daily",
    ),
    "a streak gone": ((NO_CELL, "streak/daily"), "streak/daily"),
    "a streak that is a number": ((CELL, "5", "streak/daily"), "streak/daily"),
    "tiers gone": ((NO_CELL, "tiers"), "tiers/gold"),
    "a tier at no time": ((CELL, '[["bronze", 1, 5], ["gold", 3, 5]]', "tiers"), "tiers"),
    "a zone": ((NEW_CELL, "zone", '[[1, 1, "Europe/Paris"]]'), "zone"),
    "a score": ((CELL, '{"rev": "x", "score": 9, "at": 1}', "score/spenders/all_time/all_time"), "score/spenders"),
    "a score by points": ((NO_CELL, "score/points/all_time/all_time"), "score/points"),
    "a cell of nothing": ((NEW_CELL, "mine", "1"), "mine"),
    "an amount": (entry("UPDATE ledger SET amount = amount + 9000", "challenge:spring"), "ledger/challenge:"),
    "an amount by hand": (
        entry("UPDATE ledger SET amount = 9", "manual:%"),
        "ledger/manual:",
    ),
    "an amount that is none": (entry("UPDATE ledger SET amount = 'x'", "points:%"), "ledger/points:"),
    "a balance": (
        entry("UPDATE ledger SET balance = 1", "challenge:spring"),
        "ledger/challenge:spring/balance",
    ),
    "an entry gone": (entry("DELETE FROM ledger", "challenge:spring"), "ledger/challenge:spring"),
    "an entry from nowhere": (
        (
            "INSERT INTO ledger (transaction_id, project, environment, participant_id, cause, amount, balance, fact_id,"
            " seq, occurred_at, created_at) VALUES ('t', 'default', 'test', 'u0', 'me', 9, 9, 'fact_x', 1, 1, 1)",
        ),
        "ledger/me",
    ),
    "an entry's time": (entry("UPDATE ledger SET occurred_at = 1", "challenge:spring"), "ledger/challenge:"),
    "a place": (
        place("UPDATE standings SET score = 9999", "leaderboard/spenders"),
        "standings/leaderboard/s",
    ),
    "a place's time": (
        place("UPDATE standings SET reached_at = 1", "challenge/spring"),
        "standings/challenge",
    ),
    "a place gone": (place("DELETE FROM standings", "leaderboard/points"), "standings/leaderboard/points"),
    "a place from nowhere": (
        ("INSERT INTO standings VALUES ('default', 'test', 'leaderboard/shops', 'all_time', 'all_time', 'me', 99, 1)",),
        "standings/leaderboard/shops",
    ),
    "a place in no period": (
        ("INSERT INTO standings VALUES ('default', 'test', 'challenge/spring', 'daily', '2026-03-02', 'u1', 1, 1)",),
        "standings/challenge/spring",
    ),
    "a number of events": (("UPDATE participants SET total_events = 1 WHERE participant_id = 'u3'",), "total_events"),
    "a participant gone": (("DELETE FROM participants WHERE participant_id = 'u3'",), "total_events"),
    "state of nobody": (("INSERT INTO cells VALUES ('default', 'test', 'me', 'points', '{}')",), "points"),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", EDITS)
async def test_an_edit_by_hand_is_found_and_mended(world: World, name: str) -> None:
    (statement, *parameters), key = EDITS[name]
    before = world.rows("SELECT participant_id, cause, amount, balance, fact_id FROM ledger ORDER BY 1, 2")
    badges = world.rows("SELECT participant_id, cell, value FROM cells WHERE cell LIKE 'badge/%'")
    assert world.edit(statement, *parameters) > 0
    found = await world.differences()
    assert any(each.startswith(key) for _, each in found), found
    assert all(stored != expected for stored, expected in found.values())
    assert await world.replay() > 0
    assert await world.differences() == {}
    after = world.rows("SELECT participant_id, cause, amount, balance, fact_id FROM ledger ORDER BY 1, 2")
    strip = slice(None) if name != "an entry gone" else slice(3)
    assert [row[strip] for row in after] == [row[strip] for row in before], "nothing is paid twice, nothing is lost"
    assert {row[:2] for row in world.rows("SELECT participant_id, cell FROM cells WHERE cell LIKE 'badge/%'")} == {
        row[:2] for row in badges
    }
    assert await world.replay() == 0


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    [
        "",
        "oh{",
        "5",
        "[]",
        '"text"',
        '{"cells": 5}',
        '{"scores": []}',
        '{"scores": {"spenders/all_time": 5}}',
        '{"cells": {}, "scores": {}, "entries": "many"}',
        '{"cells": {}, "scores": {"spenders/all_time": [2026, "x", 1, 1], "a": [], "b/c": ["d", 1]}}',
    ],
)
async def test_a_row_of_state_that_this_program_never_wrote_is_found_and_mended(world: World, text: str) -> None:
    everything = "SELECT participant_id, cell, value FROM cells WHERE environment = 'test' ORDER BY 1, 2"
    ledger = "SELECT * FROM ledger ORDER BY entry"
    before = world.rows(everything), world.rows(ledger)
    with closing(sqlite.connect(str(world.database.path))) as connection:
        connection.execute("UPDATE participants SET state = ? WHERE participant_id = 'u1'", (text,))
    found = await world.differences()
    assert {who for who, _ in found} == {"u1"}
    assert found["u1", "state"] == (text, "a JSON object")
    assert found["u1", "points"][0] is None
    assert await world.replay() > 0
    assert await world.differences() == {}
    after = world.rows(everything), world.rows(ledger)
    assert [row[:2] for row in after[0]] == [row[:2] for row in before[0]]
    assert after[1] == before[1], "nothing is paid twice"
    assert await world.replay() == 0
    await world.send(world.event("bought", "u1", START + 500 * HOUR, amount=3, shop="s3"))
    assert await world.differences() == {}


@pytest.mark.anyio
async def test_a_replayed_participant_plays_on(world: World) -> None:
    world.edit("DELETE FROM cells WHERE participant_id IN ('u1', 'u2')")
    world.edit("DELETE FROM standings")
    await world.replay()
    late = [world.event("bought", f"u{who}", START + who * 31 * HOUR, amount=3, shop="s3") for who in (1, 2, 1, 2)]
    await world.send(*late)
    await world.send(world.event("login", "u1", START + 7 * 24 * HOUR))
    assert await world.differences() == {}


FALLING: dict[str, Any] = {
    "badges": [
        {
            "code": "ten",
            "name": "Ten",
            "criteria": {"on": "e", "aggregate": "sum", "of": "properties.x", "target": 10},
        }
    ],
    "points": [{"code": "each", "on": "e", "award": "properties.x"}],
}


@pytest.mark.anyio
async def test_awards_from_before_a_late_fact_or_a_new_game_are_kept_and_reported_apart(data_dir: Path) -> None:
    DataDirectory(data_dir).create()
    async with Database.open(DataDirectory(data_dir).database) as database:
        world = World(database)
        await world.apply(FALLING)
        await world.send(world.event("e", "u", 20, x=10))
        assert await world.kept() == []
        await world.send(world.event("e", "u", 10, x=-5))
        assert await world.kept() == [("u", "badge/ten")]
        await world.apply({**FALLING, "points": [{"code": "each", "on": "e", "award": "1"}]})
        assert min(await world.kept()) == ("u", "badge/ten")
        assert len(await world.kept()) == 2
        held = world.rows("SELECT value FROM cells WHERE cell = 'badge/ten'"), world.rows("SELECT * FROM ledger")
        await world.replay()
        assert (
            world.rows("SELECT value FROM cells WHERE cell = 'badge/ten'"),
            world.rows("SELECT * FROM ledger"),
        ) == held
        assert await world.differences() == {}
    shown = run("verify", "--data-dir", str(data_dir))
    assert shown.returncode == 0, shown.stdout
    assert "default/test badge/ten: 1 kept" in shown.stdout
    assert "default/test ledger/points:each: 1 kept" in shown.stdout
    assert "no difference, 2 kept awards" in shown.stdout


@pytest.mark.anyio
@pytest.mark.parametrize("forget", ["DELETE FROM cells", "UPDATE cells SET value = json_remove(value, '$.given')"])
async def test_a_kept_award_whose_cell_forgot_it_is_not_given_again(data_dir: Path, forget: str) -> None:
    challenge = {
        "code": "ten",
        "name": "Ten",
        "objectives": [{"code": "sum", **FALLING["badges"][0]["criteria"]}],
        "milestones": [{"at": 0.5, "rewards": [{"points": 1}]}],
        "rewards": [{"points": 5}],
    }
    streak = {"code": "days", "on": "e", "milestones": [{"at": 1, "rewards": [{"points": 2}]}]}
    DataDirectory(data_dir).create()
    async with Database.open(DataDirectory(data_dir).database) as database:
        world = World(database)
        await world.apply({"challenges": [challenge], "streaks": [streak]})
        await world.send(world.event("e", "u", 20, x=10))
        await world.send(world.event("e", "u", 10, x=-9))
        await world.apply({"challenges": [challenge], "streaks": [{**streak, "on": "f"}]})
        paid = world.rows("SELECT cause, amount FROM ledger ORDER BY cause")
        assert paid == [("challenge:ten", 5), ("challenge:ten/0.5", 1), ("streak:days/1", 2)]
        world.edit(f"{forget} WHERE cell IN ('challenge/ten', 'streak/days')")
        found = [key for _, key in await world.differences() if "@" in key]
        assert sorted(found) == ["challenge/ten@0.5", "challenge/ten@complete", "streak/days@1"]
        assert await world.replay() == 1
        assert await world.differences() == {}
        await world.send(world.event("e", "u", 30, x=10), world.event("f", "u", 30))
        assert await world.differences() == {}
        assert world.rows("SELECT cause, amount FROM ledger ORDER BY cause") == paid


@pytest.mark.anyio
async def test_a_tier_that_is_new_to_the_game_is_no_difference(world: World) -> None:
    silver = {"code": "silver", "name": "Silver", "level": 2, "min_points": 5}
    await world.apply({**GAME, "tiers": [*GAME["tiers"], silver]})
    assert await world.differences() == {}
    await world.replay()
    tiers = world.rows("SELECT value FROM cells WHERE cell = 'tiers' AND environment = 'test'")
    assert all("silver" in value for (value,) in tiers)


@pytest.mark.anyio
async def test_what_is_still_being_computed_is_left_out_and_said(world: World, data_dir: Path) -> None:
    more = {"code": "more", "on": "login", "award": "2"}
    often = {**GAME["challenges"][0], "code": "often"}
    await world.apply(
        {**GAME, "points": [*GAME["points"], more], "challenges": [*GAME["challenges"], often]},
        refold=False,
        backfill=True,
    )
    assert await world.differences() == {}
    world.edit(NEW_CELL, "challenge/often", "1")
    world.edit(
        "INSERT INTO standings VALUES ('default', 'test', 'challenge/often', 'all_time', 'all_time', 'me', 1, 1)"
    )
    assert await world.differences() == {}, "what is being computed is left out"
    world.edit(NO_CELL, "badge/first")
    assert [*await world.differences()] == [("u1", "badge/first")], "and nothing else is"
    await world.replay()
    world.edit(
        "INSERT INTO standings VALUES ('default', 'test', 'challenge/often', 'all_time', 'all_time', 'me', 1, 1)"
    )
    shown = run("verify", "--data-dir", str(data_dir))
    assert shown.returncode == 0
    assert "default/test points/more: left out" in shown.stdout
    assert await world.replay() == 1
    while refold := await world.refold_job._next():
        await world.refold_job._page(refold)
    assert await world.differences() == {}, "the replay and the refold paid nothing twice"


@pytest.mark.anyio
async def test_verify_says_what_differs_and_replay_mends_it(world: World, data_dir: Path) -> None:
    good = run("verify", "--data-dir", str(data_dir))
    assert (good.returncode, good.stdout) == (0, "6 participants verified: no difference, 0 kept awards\n")
    assert "default/test: verified 5 of 5\n" in good.stderr
    world.edit(CELL, '{"balance": 1, "earned": 1, "spent": 0}', "points")
    bad = run("verify", "--data-dir", str(data_dir))
    assert bad.returncode == 1
    line = 'default/test u1 points: stored {"balance":1,"earned":1,"spent":0}, expected {"balance":'
    assert bad.stdout.startswith(line)
    document = run("verify", "--data-dir", str(data_dir), "--json")
    assert document.returncode == 1
    (found,) = json.loads(document.stdout)["differences"]
    assert found["key"] == "points"
    assert (found["project"], found["environment"], found["participant_id"]) == ("default", "test", "u1")
    assert found["stored"]["balance"] == 1 < found["expected"]["balance"]
    mended = run("replay", "--data-dir", str(data_dir))
    assert mended.returncode == 0
    assert "default/test: 5 participants replayed" in mended.stdout
    clean = json.loads(run("verify", "--data-dir", str(data_dir), "--json").stdout)
    assert clean == {"differences": [], "kept": [], "left_out": [], "participants": 6}


@pytest.mark.anyio
async def test_verify_runs_beside_a_server_and_replay_does_not(running: ServerProcess, world: World) -> None:
    with running.client() as client:
        sent = client.post("/ingest/events/sync", json={"event_name": "bought", "participant_id": "u9"})
        assert sent.status_code < 300, sent.text
        assert run("verify", "--data-dir", str(running.data_dir)).returncode == 0
        refused = run("replay", "--data-dir", str(running.data_dir))
        assert refused.returncode == 1
        assert "another bq-server" in refused.stderr
        assert "stop it" in refused.stderr
        world.edit("UPDATE participants SET total_events = 7 WHERE participant_id = 'u9'")
        found = run("verify", "--data-dir", str(running.data_dir))
        assert (found.returncode, "u9 total_events: stored 7, expected 1" in found.stdout) == (1, True)


@pytest.mark.anyio
async def test_one_participant_is_read_as_of_one_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from bq_server.store import participants

    facts = participants.facts
    writes: list[int] = []

    async def late(*arguments: Any) -> Any:
        found = await facts(*arguments)
        if arguments[1] == SCOPE and not writes:
            writes.append(1)
            await world.send(world.event("bought", "u0", START + 5, amount=5, shop="s1"))
        return found

    monkeypatch.setattr(participants, "facts", late)
    assert await world.differences() == {}
    assert writes


@pytest.mark.parametrize(("command", "code"), [("verify", 2), ("replay", 1)])
def test_there_must_be_a_database(data_dir: Path, command: str, code: int) -> None:
    answer = run(command, "--data-dir", str(data_dir))
    assert answer.returncode == code
    assert "there is no database" in answer.stderr
    assert not data_dir.exists()
