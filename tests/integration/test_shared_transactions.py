"""A backlog's groups of events share transactions, and each event still becomes one fact, or waits by itself."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.ids import IdSource
from bq_server.processing import processor as processor_module
from bq_server.processing.compiled_games import Games
from bq_server.processing.faults import GameUnreadable
from bq_server.processing.processor import Conflict, Duplicate, Outcome, Processed, Processor
from bq_server.store import facts
from bq_server.store.backend import Backend
from bq_server.store.beside import Beside
from bq_server.store.database import Connection, Database, StoreUnavailable

pytestmark = pytest.mark.anyio
SCOPE, OTHER = Scope("p", "test"), Scope("p", "live")
GROUP = 4


class Counted(Database):
    """Counts the transactions that were committed, and fails at the end of one when it is told to."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.committed = 0
        self.full = False
        """Nothing of the next is committed."""
        self.torn = False
        """The next is committed, and nobody hears of it."""

    @asynccontextmanager
    async def transaction(self, *, undo: bool = False, beside: Beside | None = None) -> AsyncIterator[Connection]:
        async with super().transaction(undo=undo, beside=beside) as connection:
            yield connection
            if self.full:
                self.full = False
                raise StoreUnavailable("database or disk is full")
        self.committed += 1
        if self.torn:
            self.torn = False
            raise StoreUnavailable("disk I/O error")


@pytest.fixture
async def database(new_store: Path | str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counted]:
    for name in ("GROUP", "GROUP_OUTSIDE"):
        monkeypatch.setattr(processor_module, name, GROUP)
    async with Counted.open(new_store) as opened:
        assert isinstance(opened, Counted)
        yield opened


def event(number: int, scope: Scope = SCOPE, **more: object) -> Event:
    fields: dict[str, object] = {
        "event_id": f"evt_{number}",
        "scope": scope,
        "event_name": "e",
        "participant_id": f"u{number % 3}",
        "properties": "{}",
        "occurred_at": number,
        "received_at": number,
        "message_id": f"{number}-0",
    }
    return Event(**(fields | more))  # type: ignore[arg-type]


def made(database: Database) -> Processor:
    return Processor(database, IdSource(), Clocks(lambda: 1), Games())


def fresh(outcomes: Sequence[Outcome | Exception]) -> list[int]:
    """The seqs of the facts that were made."""
    return [each.fact.seq for each in outcomes if isinstance(each, Processed) and each.fresh]


async def last_seq(database: Database) -> int:
    async with database.read() as connection:
        return await facts.last_seq(connection)


async def test_groups_share_one_transaction(database: Counted) -> None:
    processor = made(database)
    outcomes = await processor.process_many([event(number) for number in range(3 * GROUP + 1)])
    assert fresh(outcomes) == list(range(1, 3 * GROUP + 2))
    assert database.committed == 1
    assert processor.counts.facts == 3 * GROUP + 1


async def test_a_repeat_in_a_later_group_is_recognized(database: Counted) -> None:

    def keyed(number: int, fingerprint: str) -> Event:
        return event(number, idempotency_key="k", fingerprint=fingerprint * 32)

    first = [*map(event, range(GROUP - 1)), keyed(90, "f")]
    later = [event(0), keyed(91, "f"), keyed(92, "0"), event(5)]
    outcomes = await made(database).process_many([*first, *later])
    again, duplicate, conflict, new = outcomes[GROUP:]
    assert isinstance(again, Processed)
    assert not again.fresh
    assert isinstance(duplicate, Duplicate)
    assert isinstance(conflict, Conflict)
    assert isinstance(new, Processed)
    assert new.fact.seq == GROUP + 1
    assert database.committed == 1


async def test_who_waits_has_a_turn_after_the_group_under_way(database: Counted) -> None:
    processor = made(database)
    sync = event(1000)
    work = asyncio.create_task(processor.process_many([event(number) for number in range(30 * GROUP)]))
    while not database._write_lock.locked():
        await asyncio.sleep(0)
    (between,) = await processor.process([sync])
    outcomes = await work
    assert between.fact.seq == GROUP + 1
    assert len(fresh(outcomes)) == 30 * GROUP
    assert await last_seq(database) == 30 * GROUP + 1
    assert database.committed == 3


async def test_a_transaction_that_can_not_end_leaves_no_group(database: Counted) -> None:
    processor = made(database)
    events = [event(number) for number in range(3 * GROUP)]
    database.full = True
    with pytest.raises(StoreUnavailable):
        await processor.process_many(events)
    assert await last_seq(database) == 0
    assert processor.counts.facts == 0
    assert fresh(await processor.process_many(events)) == list(range(1, 3 * GROUP + 1))


async def test_a_transaction_that_ended_unheard_is_recognized(database: Counted) -> None:
    processor = made(database)
    events = [event(number) for number in range(3 * GROUP)]
    database.torn = True
    with pytest.raises(StoreUnavailable):
        await processor.process_many(events)
    outcomes = await processor.process_many(events)
    assert [each.fact.seq for each in outcomes if isinstance(each, Processed)] == list(range(1, 3 * GROUP + 1))
    assert fresh(outcomes) == []
    assert await last_seq(database) == 3 * GROUP


async def test_an_event_that_fails_costs_no_other_its_place(database: Counted) -> None:
    processor = made(database)
    process = processor._process

    async def failing(connection: Connection, some: Sequence[Event]) -> object:
        if any(each.event_name == "poison" for each in some):
            raise ZeroDivisionError("a bug")
        return await process(connection, some)

    processor._process = failing  # type: ignore[assignment,method-assign]
    events = [event(number) for number in range(3 * GROUP)]
    events[GROUP + 1] = event(500, event_name="poison")
    outcomes = await processor.process_many(events)
    assert [place for place, each in enumerate(outcomes) if isinstance(each, Exception)] == [GROUP + 1]
    assert fresh(outcomes) == list(range(1, 3 * GROUP))


async def test_an_unreadable_game_lets_other_environments_pass(database: Counted) -> None:
    processor = made(database)
    process = processor._process

    async def failing(connection: Connection, some: Sequence[Event]) -> object:
        if any(each.scope == OTHER for each in some):
            raise GameUnreadable(OTHER, "unknown kind")
        return await process(connection, some)

    processor._process = failing  # type: ignore[assignment,method-assign]
    events = [event(number, OTHER if number % 5 == 2 else SCOPE) for number in range(3 * GROUP)]
    outcomes = await processor.process_many(events)
    assert [isinstance(each, GameUnreadable) for each in outcomes] == [each.scope == OTHER for each in events]
    assert len(fresh(outcomes)) == sum(each.scope == SCOPE for each in events)
