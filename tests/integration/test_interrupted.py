"""What takes many transactions and is interrupted between them is in the audit log, and can be asked for again."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from bq_server.audit.rebuild import Rebuilder
from bq_server.cli.verify import _replay
from bq_server.clock import Clocks
from bq_server.delivery import endpoints as endpoints_module
from bq_server.delivery.endpoints import Endpoints
from bq_server.events import Event, Scope
from bq_server.ids import IdSource
from bq_server.privacy import eraser
from bq_server.privacy.eraser import Eraser
from bq_server.processing.compiled_games import Games
from bq_server.processing.processor import Processor
from bq_server.processing.recipient_refold import RecipientRefold
from bq_server.sandbox import resetter as resetter_module
from bq_server.sandbox.drain import Drained
from bq_server.sandbox.resetter import Resetter
from bq_server.store import environments, erasures, facts, outbox, webhooks
from bq_server.store.audit_log import Act, Action, Actor, AuditFilter, newest
from bq_server.store.database import Database
from bq_server.store.queries import load
from bq_server.store.webhooks import Endpoint

pytestmark = pytest.mark.anyio

SCOPE = Scope("default", "test")
WHO, OTHER = "lou", "bob"  # neither can be part of an id, which has no l, o or u
FACTS = 12
ENDPOINT = Endpoint("we_1", SCOPE, "http://127.0.0.1:9/", frozenset({"fact.created"}), "", "whsec_", 0)
BIG = ["facts", "ledger", "cells", "standings", "participants", "notices", "duplicates"]
BIG += ["webhook_deliveries", "webhook_tries", "webhook_outbox"]
EMPTIED = [table for table in BIG if table != "notices"]
"""A reset is itself a notice."""


class Interrupted(Exception):
    """As a process that is killed."""


async def interrupt(*_: Any, **__: Any) -> None:
    raise Interrupted


class Nothing:
    """A stream with nothing in it: no message waits, and none is dead."""

    async def nothing(self, *_: Any) -> list[Any]:
        return []

    dead = remove_dead = of_participant = drop = claims = nothing

    async def wait(self, *_: Any) -> Drained:
        return Drained(0, 0, 0)

    async def wait_for_participant(self, *_: Any) -> bool:
        return True


def act(action: Action) -> Act:
    return Act(action, SCOPE, Actor("key_1"), lambda: 1)


async def entries(database: Database) -> list[tuple[str, dict[str, Any]]]:
    async with database.read() as connection:
        return [(each.action, dict(each.about)) for each in await newest(connection, SCOPE, AuditFilter(), 10)]


async def count(database: Database, table: str, where: str = "true", what: str = "count(*)") -> int:
    sql = f"SELECT {what} FROM {table} WHERE {where}"  # noqa: S608 - of this file alone
    async with database.read() as connection, connection.execute(sql) as cursor:
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


@asynccontextmanager
async def lived(path: Path | str) -> AsyncIterator[Database]:
    """A database in which two have facts, and an endpoint is told of both."""
    async with Database.open(path) as database:
        async with database.transaction() as connection:
            await webhooks.add(connection, ENDPOINT)
        processor = Processor(database, IdSource(), Clocks(lambda: 1), Games())
        for number in range(FACTS):
            for who in (WHO, OTHER):
                await processor.process([Event(f"evt_{who}_{number}", SCOPE, "e", who, "{}", 1, 1)])
        async with database.transaction() as connection:
            await webhooks.take(connection, "we_1", lambda: IdSource().new("msg"), 4)
        yield database


def resetter(database: Database) -> Resetter:
    nothing = cast("Any", Nothing())
    return Resetter(database, nothing, nothing, Clocks(lambda: 1), {})


def an_eraser(database: Database) -> Eraser:
    nothing = cast("Any", Nothing())
    recipient_refold = RecipientRefold(Games(), IdSource(), Clocks(lambda: 1))
    return Eraser(database, nothing, nothing, nothing, {}, lambda: 1, recipient_refold)


@pytest.mark.parametrize("rows", [3, 10_000])
async def test_a_reset(new_store: Path | str, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(resetter_module, "ROWS", rows)
    async with lived(new_store) as database:
        with monkeypatch.context() as patch:
            patch.setattr(environments, "empty", interrupt)
            with pytest.raises(Interrupted), capture_logs() as lines:
                await resetter(database).reset(act("environment_reset"), SCOPE, game=False, seconds=1)
        # What one transaction would have done was not done at all.
        once = [("environment_reset", {"game": False})] if rows == 3 else []
        assert await entries(database) == once
        assert [each["action"] for each in lines if each["event"] == "admin.done"] == [action for action, _ in once]
        assert (await count(database, "facts") == 2 * FACTS) == (rows != 3)
        await resetter(database).reset(act("environment_reset"), SCOPE, game=False, seconds=1)
        for table in (*EMPTIED, "rankings", "fact_types"):
            assert await count(database, table) == 0, table
        assert len(await entries(database)) == len(once) + 1, "each is told"


async def test_what_comes_between_the_portions_of_a_reset_is_whole(
    new_store: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its type may be one whose number was removed a moment ago."""
    monkeypatch.setattr(resetter_module, "ROWS", 6)
    async with lived(new_store) as database:
        processor = Processor(database, IdSource(), Clocks(lambda: 1), Games())
        came = 0
        resets = resetter(database)
        step = resets._remove

        async def stepping(*what: Any, **how: Any) -> bool:
            nonlocal came
            done = await step(*what, **how)
            if not done:
                came += 1
                (made,) = await processor.process([Event(f"evt_new_{came}", SCOPE, "e", "new", "{}", 1, 1)])
                async with database.read() as connection:
                    found = await facts.by_id(connection, SCOPE, made.fact.fact_id)
                assert found is not None
                assert found.participant_id == "new"
            return done

        monkeypatch.setattr(resets, "_remove", stepping)
        # Each step removes six at most, and what comes is three.
        await resets.reset(act("environment_reset"), SCOPE, game=False, seconds=1)
        assert came > 3
        for table in EMPTIED:
            assert await count(database, table) == 0, table


@pytest.mark.parametrize("step", ["strip", "remove_announcements", "remove_deliveries", "remove_ledger", "remove"])
async def test_an_erasure_at_each_of_its_steps(
    new_store: Path | str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(eraser, "ROWS", 5)
    monkeypatch.setattr(eraser, "ANNOUNCEMENTS", 3)
    async with lived(new_store) as database:
        own = f"participant_id = '{WHO}'"
        assert await count(database, "webhook_deliveries", own) > 0
        assert await count(database, "webhook_outbox", f"content LIKE '%{WHO}%'") > 0
        with monkeypatch.context() as patch:
            patch.setattr(erasures, step, interrupt)
            with pytest.raises(Interrupted):
                await an_eraser(database).erase(act("participant_erased"), SCOPE, WHO, 1)
        assert await entries(database) == [("participant_erased", {"facts": FACTS, "dead_letters": 0})]
        erased = await an_eraser(database).erase(act("participant_erased"), SCOPE, WHO, 1)
        assert erased.facts == (FACTS if step == "strip" else 0)
        for table in ("webhook_deliveries", "participants"):
            assert await count(database, table, own) == 0
        assert await count(database, "webhook_outbox", f"content LIKE '%{WHO}%'") == 0
        kept = await count(database, "webhook_deliveries", f"participant_id = '{OTHER}'")
        kept += await count(database, "webhook_outbox", what="coalesce(sum(deliveries), 0)")
        assert kept == FACTS
        assert await count(database, "webhook_endpoints", what="waiting") == FACTS
        assert await count(database, "facts") == 2 * FACTS


async def test_what_comes_between_the_portions_of_an_erasure_is_erased_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eraser, "ROWS", 5)
    async with lived(tmp_path / "facts") as database:
        processor = Processor(database, IdSource(), Clocks(lambda: 1), Games())
        erasing = an_eraser(database)
        portions = erasing._in_portions
        came = 0

        async def coming(remove: Any) -> int:
            nonlocal came
            removed = await portions(remove)
            for _ in range(7):
                came += 1
                await processor.process([Event(f"evt_late_{came}", SCOPE, "e", WHO, '{"name":"Ada"}', 1, 1)])
            return removed

        monkeypatch.setattr(erasing, "_in_portions", coming)
        erased = await erasing.erase(act("participant_erased"), SCOPE, WHO, 1)
        assert came > 0
        assert erased.facts == FACTS + came
        assert await count(database, "facts") == 2 * FACTS + came
        assert await count(database, "facts", "properties <> '{}'") == 0
        assert await count(database, "facts", "participant NOT IN (SELECT participant FROM participants)") == 0
        for table in ("webhook_deliveries", "participants"):
            assert await count(database, table, f"participant_id = '{WHO}'") == 0
        assert await count(database, "webhook_outbox", f"content LIKE '%{WHO}%'") == 0


async def test_a_removal_and_a_replay_of_deliveries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints_module, "AT_ONCE", 1)
    async with lived(tmp_path / "facts") as database:
        async with database.transaction() as connection:
            await connection.execute("UPDATE webhook_deliveries SET state = 'delivered'")
            await connection.execute("UPDATE webhook_endpoints SET waiting = 0")
        endpoints = Endpoints(database, IdSource(), Clocks(lambda: 1), bytes, private=True)
        with monkeypatch.context() as patch:
            patch.setattr(webhooks, "bring_forward", interrupt)
            with pytest.raises(Interrupted):
                await endpoints.replay(act("webhooks_replayed"), SCOPE, "we_1", None, None)
        assert await entries(database) == [("webhooks_replayed", {"endpoint_id": "we_1", "deliveries": 4})]
        removal = act("webhook_endpoint_removed")
        with monkeypatch.context() as patch:
            patch.setattr(webhooks, "remove", interrupt)
            with pytest.raises(Interrupted):
                await endpoints.remove(removal, SCOPE, "we_1")
        assert [action for action, _ in await entries(database)] == [removal.action, "webhooks_replayed"]
        await endpoints.remove(removal, SCOPE, "we_1")
        assert await count(database, "webhook_endpoints") == 0


async def test_a_replay(new_store: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with lived(new_store):
        pass
    with monkeypatch.context() as patch:
        patch.setattr(Rebuilder, "strays", interrupt)
        with pytest.raises(Interrupted):
            await _replay(new_store)
    async with Database.open(new_store) as database:
        assert await entries(database) == [("state_replay_begun", {"participants": 2})]
    await _replay(new_store)
    async with Database.open(new_store) as database:
        assert [action for action, _ in await entries(database)][:2] == ["state_replayed", "state_replay_begun"]


async def test_nothing_of_a_participant_is_searched_for_among_that_of_all(tmp_path: Path) -> None:
    queries = load("erasures")
    given: dict[str, Any] = dict.fromkeys(("project", "environment", "participant_id"), "x")
    given |= dict.fromkeys(("participant", "limit", "after", "until", "erased_at", "facts", "scope"), 1)
    looked_at = 0
    async with Database.open(tmp_path / "facts") as database, database.read() as connection:
        for name in queries.available_queries:
            if name.endswith("_cursor"):
                continue
            sql = getattr(queries, name).sql
            values = {key: value for key, value in given.items() if f":{key}" in sql}
            values |= {"seq": 1, "position": 1, "fact_ids": "[]", "cleaned_at": 1, "occurred_at": 1}
            async with connection.execute(f"EXPLAIN QUERY PLAN {sql}", values) as cursor:
                plan = [str(row[3]) for row in await cursor.fetchall()]
            looked_at += 1
            for table in BIG:
                scanned = [step for step in plan if step.startswith(f"SCAN {table}")]
                assert not scanned or name == "recount_waiting", (name, plan)
    assert looked_at > 15


async def test_what_is_told_of_one_in_a_batch_of_many_is_all_that_goes(new_store: Path | str) -> None:
    async with Database.open(new_store) as database:
        async with database.transaction() as connection:
            await webhooks.add(connection, ENDPOINT)

            def put(writing: Any) -> None:
                for listener in outbox.listening(writing, SCOPE):
                    told = [(who, "fact.created", f"fact_{who}", 1, None) for who in (WHO, OTHER, WHO)]
                    outbox.put(writing, listener, told, 1)

            await connection.run(put)
        async with database.transaction() as connection:
            assert await erasures.remove_announcements(connection, SCOPE, WHO, 0, 10) == 1
            assert await erasures.remove_announcements(connection, SCOPE, WHO, 1, 10) is None
        async with database.read() as connection, connection.execute("SELECT content FROM webhook_outbox") as cursor:
            rows = list(await cursor.fetchall())
        assert [[each[0] for each in json.loads(row[0])] for row in rows] == [[OTHER]]
