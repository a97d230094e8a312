"""A message is given up for a fault of its own, and for nothing else."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.game.mechanics.periods import ProfileUnreadable
from bq_server.ids import IdSource
from bq_server.processing.compiled_games import Games
from bq_server.processing.faults import GameUnreadable, is_passing
from bq_server.processing.message_batch import FAILURES, RETRY_SECONDS, TRIAL_SECONDS, MessageProcessor
from bq_server.processing.processor import Outcome, Processor
from bq_server.store.database import Database, StoreUnavailable
from bq_server.stream.entries import EntryResult, NotNow, StreamEntry
from tests.support.stepped_clock import SteppedClock

pytestmark = pytest.mark.anyio
TEST, LIVE = Scope("default", "test"), Scope("default", "live")

PASSING: list[Callable[[], Exception]] = [
    MemoryError,
    lambda: OSError(24, "Too many open files"),
    lambda: RuntimeError("can't start new thread"),
    lambda: ProfileUnreadable("the participant's time zone 'Mars/Base' is not known to this program"),
]


class Failing(Processor):
    """Fails on the events of some names, each with an error of its own."""

    def __init__(self, database: Database, errors: dict[str, Callable[[], Exception]]) -> None:
        super().__init__(database, IdSource(), Clocks(lambda: 1), Games())
        self.errors = errors
        self.alone: list[str] = []
        """The names of events that were tried by themselves."""

    async def process(self, events: Sequence[Event]) -> list[Outcome]:
        if len(events) == 1:
            self.alone.append(events[0].event_name)
        for event in events:
            if event.event_name in self.errors:
                raise self.errors[event.event_name]()
        return await super().process(events)


@pytest.fixture
async def database(new_store: Path | str) -> AsyncIterator[Database]:
    async with Database.open(new_store) as opened:
        yield opened


def entry(number: int, name: str = "good", scope: Scope = TEST) -> StreamEntry:
    event = Event(f"evt_{number}", scope, name, "u", "{}", 0, 0)
    return StreamEntry(f"{number}-0", event.to_payload())


def bug() -> Exception:
    return ZeroDivisionError("a bug")


def put_off(result: EntryResult) -> NotNow:
    assert isinstance(result, NotNow)
    return result


async def test_a_message_is_given_up_after_three_failures_alone_over_minutes(database: Database) -> None:
    clock = SteppedClock()
    processor = Failing(database, {"poison": bug})
    messages = MessageProcessor(processor, clock)
    first, poison, last = await messages.process([entry(1), entry(2, "poison"), entry(3)])
    assert (first, last) == (None, None), "others go on"
    assert processor.alone == ["good", "poison", "good"]
    for _ in range(2 * FAILURES):  # at once, however often
        assert "a bug" in put_off((await messages.process([entry(2, "poison")]))[0]).reason
    assert put_off(poison).seconds == RETRY_SECONDS
    clock.advance(TRIAL_SECONDS)
    (given_up,) = await messages.process([entry(2, "poison")])
    assert isinstance(given_up, str)
    assert "a bug" in given_up


async def test_a_message_that_fails_twice_in_all_that_time_is_not_given_up(database: Database) -> None:
    clock = SteppedClock()
    messages = MessageProcessor(Failing(database, {"poison": bug}), clock)
    for _ in range(FAILURES - 1):
        assert put_off((await messages.process([entry(1, "poison")]))[0])
        clock.advance(10 * TRIAL_SECONDS)


async def test_one_that_failed_and_then_went_through_is_a_fact_and_forgotten(database: Database) -> None:
    clock = SteppedClock()
    processor = Failing(database, {"shaky": bug})
    messages = MessageProcessor(processor, clock)
    for _ in range(FAILURES):
        assert put_off((await messages.process([entry(1, "shaky")]))[0])
        clock.advance(RETRY_SECONDS / 2)
    processor.errors.clear()
    assert await messages.process([entry(1, "shaky")]) == [None]
    processor.errors["shaky"] = bug
    clock.advance(TRIAL_SECONDS)
    assert put_off((await messages.process([entry(1, "shaky")]))[0]), "what was before counts no more"


async def test_a_clock_set_back_makes_no_verdict_early(database: Database) -> None:
    clock = SteppedClock()
    messages = MessageProcessor(Failing(database, {"poison": bug}), clock)
    await messages.process([entry(1, "poison")])
    clock.advance(-3600)
    for _ in range(FAILURES):
        assert put_off((await messages.process([entry(1, "poison")]))[0])
    clock.advance(TRIAL_SECONDS)
    assert isinstance((await messages.process([entry(1, "poison")]))[0], str)


@pytest.mark.parametrize("lack", PASSING, ids=lambda make: repr(make()))
async def test_what_passes_never_gives_a_message_up(database: Database, lack: Callable[[], Exception]) -> None:
    clock = SteppedClock()
    messages = MessageProcessor(Failing(database, {"unlucky": lack}), clock)
    waits = []
    for _ in range(12):
        before, unlucky = await messages.process([entry(1), entry(2, "unlucky")])
        assert before is None
        waits.append(put_off(unlucky).seconds)
        clock.advance(3600)
    assert waits == sorted(waits), "it backs off"
    assert waits[0] < waits[-1]


def caught(cause: Exception | None = None, context: Exception | None = None) -> Exception:
    error = ValueError("this can't be read")
    error.__context__ = context
    if cause is not None:
        error.__cause__ = cause
    return error


def test_a_lack_behind_another_error_is_a_lack() -> None:
    assert is_passing(caught(cause=MemoryError()))
    assert is_passing(caught(context=OSError(28, "No space left on device")))
    assert not is_passing(caught(cause=ZeroDivisionError(), context=MemoryError()))
    assert not is_passing(sqlite3.IntegrityError("UNIQUE"))
    assert not is_passing(RuntimeError("something else"))
    assert is_passing(ValueError("Not enough memory to allocate buffer for parsing: line 1 column 1 (char 0)"))
    assert not is_passing(ValueError("unexpected end of data"))


async def test_a_store_that_fails_gives_up_no_message(database: Database) -> None:
    def full() -> Exception:
        return StoreUnavailable("database or disk is full")

    with pytest.raises(StoreUnavailable):
        await MessageProcessor(Failing(database, {"good": full}), SteppedClock()).process([entry(1)])


async def test_a_game_that_cannot_be_read_makes_only_its_own_environment_wait(database: Database) -> None:
    def unreadable() -> Exception:
        return GameUnreadable(TEST, "streaks.0.timezone: must be an IANA time zone")

    clock = SteppedClock()
    messages = MessageProcessor(Failing(database, {"played": unreadable}), clock)
    mixed = [entry(1, "played"), entry(2, "good", LIVE), entry(3), entry(4, "good", LIVE)]
    for _ in range(FAILURES + 1):
        results = await messages.process(mixed)
        assert results[1::2] == [None, None]
        assert all("timezone" in put_off(result).reason for result in results[::2])
        clock.advance(TRIAL_SECONDS)


async def test_what_is_no_event_is_given_up_at_once(database: Database) -> None:
    messages = MessageProcessor(Failing(database, {}), SteppedClock())
    assert [type(each) for each in await messages.process([StreamEntry("1-0", b"no event"), entry(2)])] == [
        str,
        type(None),
    ]
