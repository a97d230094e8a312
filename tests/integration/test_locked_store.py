"""How long a request waits that makes facts at once, while another process has locked the store: 10 s at most.

Nothing here takes that long: the loop's clock is the test's, and the store is locked by its answers.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.ids import IdSource
from bq_server.ingest import sync_intake
from bq_server.ingest.known_facts import KnownFacts
from bq_server.ingest.sync_intake import GROUP_EVENTS, SyncIntake
from bq_server.metrics.counts import IntakeCounts
from bq_server.processing.compiled_games import Games
from bq_server.processing.processor import Processor
from bq_server.refusals import Code, Refusal
from bq_server.runtime.data_directory import DataDirectory
from bq_server.store.database import SERVING_SECONDS, TURN_SECONDS, Database
from bq_server.stream.claims import EventClaims
from bq_server.stream.keys import StreamKeys
from tests.support.store import of_a_file

pytestmark = [pytest.mark.anyio, of_a_file]

DOCS = Path(__file__).parents[2] / "docs"
BOUND = 10.0
TURNS = 100
"""Of the loop: whatever can go on without time passing has gone on after them."""


class SteppedLoop:
    """The running loop, whose time passes when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time()
        self.began = self.now
        monkeypatch.setattr(self._loop, "time", lambda: self.now)

    @property
    def passed(self) -> float:
        return round(self.now - self.began, 3)

    async def pass_until(self, seconds: float) -> None:
        """Let time pass until so many seconds from the beginning, in steps of 50 ms."""
        while self.passed < seconds:
            self.now = self.began + round(self.passed + 0.05, 3)
            for _ in range(TURNS):
                await asyncio.sleep(0)

    async def seconds_of(self, work: Coroutine[Any, Any, Any]) -> float:
        """How long it waits until it is refused."""
        began = self.passed
        with pytest.raises(Refusal) as refused:
            await work
        assert refused.value.code is Code.STORE_UNAVAILABLE
        return round(self.passed - began, 3)


class LockedDatabase:
    """A database of which each transaction that begins finds the lock taken, but for `hold`."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = database
        self._writers: set[Any] = set()
        """Tasks for which it is not locked."""
        monkeypatch.setattr(database._writer, "execute", self._execute)
        monkeypatch.setattr(database._writer, "run", self._run)

    async def _execute(self, sql: str) -> None:
        if sql == "BEGIN IMMEDIATE" and asyncio.current_task() not in self._writers:
            await asyncio.sleep(SERVING_SECONDS)
            raise self.database._backend.error("database is locked")

    async def _run(self, _: Any) -> None:
        return None

    async def hold(self, seconds: float) -> None:
        """Write for so long."""
        self._writers.add(asyncio.current_task())
        async with self.database.transaction():
            await asyncio.sleep(seconds)


@pytest.fixture
async def database(data_dir: Path, store_address: Path | str) -> AsyncIterator[Database]:
    DataDirectory(data_dir).create()
    async with Database.open(store_address) as opened:
        await opened.serve()
        yield opened


def intake_on(database: Database) -> SyncIntake:
    processor = Processor(database, IdSource(), Clocks(lambda: 1), Games())
    nobody: Any = None
    claims = EventClaims(StreamKeys("bq"), {})
    return SyncIntake(KnownFacts(database), processor, claims, nobody, nobody, IntakeCounts())


def one_event(number: int) -> Event:
    return Event(f"evt_{number}", Scope("p", "test"), "e", "u", "{}", 1, 1)


async def test_who_waits_behind_a_group_that_waits_itself_is_answered_within_ten_seconds(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, locked, intake = SteppedLoop(monkeypatch), LockedDatabase(database, monkeypatch), intake_on(database)
    writer = asyncio.create_task(locked.hold(TURN_SECONDS - 0.1))
    await time.pass_until(0.05)
    first = asyncio.create_task(time.seconds_of(intake.record([one_event(0)])))
    await time.pass_until(0.1)
    second = asyncio.create_task(time.seconds_of(intake.record([one_event(1)])))
    # Another long write comes between the two groups.
    await time.pass_until(2.5)
    between = asyncio.create_task(locked.hold(TURN_SECONDS - 0.1))
    await time.pass_until(2 * BOUND)
    assert await first < BOUND / 2
    waited = await second
    assert BOUND - 1 < waited <= BOUND
    await asyncio.gather(writer, between)


async def test_however_many_wait_each_is_answered_within_ten_seconds(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, _, intake = SteppedLoop(monkeypatch), LockedDatabase(database, monkeypatch), intake_on(database)
    waits = []
    for number in range(5 * GROUP_EVENTS):
        waits.append(asyncio.create_task(time.seconds_of(intake.record([one_event(number)]))))
        if number % GROUP_EVENTS == 0:
            await time.pass_until(time.passed + 0.05)
    await time.pass_until(5 * BOUND)
    assert max(await asyncio.gather(*waits)) <= BOUND


async def test_the_bound_is_what_the_store_is_told_and_what_the_documentation_says(database: Database) -> None:
    async with database.transaction() as connection, connection.execute("PRAGMA busy_timeout") as cursor:
        assert await cursor.fetchone() == (SERVING_SECONDS * 1000,)
    assert sync_intake.WAITING_SECONDS == BOUND
    said = (DOCS / "operations.md").read_text("utf-8")
    found = re.search(r"(\d+) s for earlier writes, then (\d+) s; twice that, (\d+) s in all", said)
    assert found is not None
    assert [float(number) for number in found.groups()] == [TURN_SECONDS, SERVING_SECONDS, BOUND]
