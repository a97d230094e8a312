"""Dead letters are told of once they are there, and only then."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from bq_server.clock import Clocks, system_clock
from bq_server.events import Event, Scope
from bq_server.processing.dead_messages import DeadMessages
from bq_server.store import feed
from bq_server.store.database import Database
from bq_server.store.feed import Happened, NoticeHappened, Position
from bq_server.stream.connection import connect
from bq_server.stream.dead_letters import DeadLetter, DeadLetters
from bq_server.stream.embedded import EmbeddedValkey
from bq_server.stream.keys import StreamKeys

pytestmark = pytest.mark.anyio
SCOPE = Scope("default", "test")


class Disconnected(Exception):
    """The stream server went away."""


def letter(number: int) -> DeadLetter:
    event = Event(
        event_id=f"evt_{number}",
        scope=SCOPE,
        event_name="act",
        participant_id="ada",
        properties="{}",
        occurred_at=1,
        received_at=1,
        fingerprint="",
    )
    return DeadLetter(f"{number}-0", event.to_payload(), "why", 7)


@pytest.fixture
async def letters(tmp_path: Path) -> AsyncIterator[DeadLetters]:
    valkey = EmbeddedValkey(tmp_path / "stream")
    await valkey.start()
    async with connect(valkey.url) as client:
        yield DeadLetters(client, StreamKeys("bq"))
    await valkey.stop()


@asynccontextmanager
async def running(dead: DeadMessages) -> AsyncIterator[None]:
    task = asyncio.create_task(dead.run())
    try:
        async with asyncio.timeout(20):
            yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def told(database: Database, dead: DeadMessages) -> list[Happened]:
    """What the feed tells, once nothing waits to be told."""
    while True:
        beat = dead.progress.next()
        if not await dead.is_noted():
            break
        await beat
    async with database.read() as connection:
        return await feed.page(connection, SCOPE, Position(0, 0), 100)


async def test_a_letter_is_told_of_when_it_is_there_and_what_became_none_never(
    new_store: Path | str, letters: DeadLetters
) -> None:
    async with Database.open(new_store) as database:
        dead = DeadMessages(database, letters, Clocks(system_clock))
        async with running(dead):
            async with dead.announced([letter(1), letter(2)]):
                assert await dead.is_noted()
                await letters.add(letter(1), "1-0")
                looked = dead.progress.next()
                dead._written.beat()  # as another batch would
                await looked
                async with database.read() as connection:
                    assert await feed.page(connection, SCOPE, Position(0, 0), 100) == []
            [notice] = await told(database, dead)
            assert isinstance(notice, NoticeHappened)
            assert notice.data["message_id"] == "1-0"
            with suppress(Disconnected):
                async with dead.announced([letter(3)]):
                    raise Disconnected
            assert len(await told(database, dead)) == 1
            async with dead.announced([DeadLetter("4-0", b"nonsense", "why", 7)]):
                assert not await dead.is_noted()


async def test_what_a_process_that_was_killed_has_noted_is_told_by_the_next(
    new_store: Path | str, letters: DeadLetters
) -> None:
    async with Database.open(new_store) as database:
        killed = DeadMessages(database, letters, Clocks(system_clock))
        async with killed.announced([letter(1), letter(2)]):
            await letters.add(letter(1), "1-0")
        assert await killed.is_noted()
        again = DeadMessages(database, letters, Clocks(system_clock))
        async with running(again):
            assert len(await told(database, again)) == 1
