"""A database with the real processor over it, drained as the consumer does it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal, Self

from bq_server.clock import Clock, Clocks
from bq_server.events import Event
from bq_server.game.document.definitions import Game
from bq_server.ids import IdSource
from bq_server.processing.compiled_games import Games
from bq_server.processing.game_changes import GameChanges
from bq_server.processing.message_batch import MessageProcessor
from bq_server.processing.processor import Processor
from bq_server.processing.refold_job import RefoldJob
from bq_server.store import facts, games, sqlite
from bq_server.store.backend import StoreAddress
from bq_server.store.database import Database
from bq_server.stream.entries import StreamEntry
from loadtests.processing_cost.games import SCOPE
from loadtests.processing_cost.rounds import Sample


class Bench:
    """One variant's database."""

    def __init__(self, database: Database, ids: IdSource, clock: Clock) -> None:
        self.database = database
        self.ids = ids
        self._clocks = Clocks(clock)
        self._games = Games()
        self.processor = Processor(database, ids, self._clocks, self._games)
        self._messages = MessageProcessor(self.processor, clock)

    @classmethod
    @asynccontextmanager
    async def open(cls, address: StoreAddress, ids: IdSource, clock: Clock) -> AsyncIterator[Self]:
        """Open the database there, new or not, and close it at the end."""
        async with Database.open(address) as database:
            yield cls(database, ids, clock)

    async def apply(self, game: Game, *, backfill: bool = False) -> None:
        """Put the game in force and, with `backfill`, fold all stored facts through it, as the server does."""
        refold_job = RefoldJob(self.database, self._games, self.ids, self._clocks)
        game_changes = GameChanges(self.database, self._games, self.ids, self._clocks)
        await game_changes.apply(SCOPE, game, backfill=backfill)
        work = asyncio.create_task(refold_job.run())
        while await self._refolds():  # noqa: ASYNC110 - a client asks in the same way
            await asyncio.sleep(0.05)
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    async def drain(self, batches: Sequence[Sequence[StreamEntry]]) -> None:
        """Process batches of messages one after the other. Raises `RuntimeError` where one becomes no fact."""
        for batch in batches:
            troubles = [result for result in await self._messages.process(batch) if result is not None]
            if troubles:
                raise RuntimeError(f"a message was not processed: {troubles[0]}")

    async def turn(self, batches: Sequence[Sequence[Event]], *, checkpointed: bool = False) -> Sample:
        """Drain batches and return what an event cost, with `checkpointed` down to the database's own file.

        Raises `RuntimeError` unless each became a new fact: the figures would say nothing.
        """
        messages = [messages_of(batch) for batch in batches]
        count = sum(map(len, messages))
        before = await self.last_seq()
        wall, cpu = time.perf_counter(), time.process_time()
        await self.drain(messages)
        if checkpointed:
            await asyncio.to_thread(checkpoint, self.database.path)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        made = await self.last_seq() - before
        if made != count:
            raise RuntimeError(f"{count} events made {made} facts")
        return Sample(wall * 1e6 / count, cpu * 1e6 / count)

    async def last_seq(self) -> int:
        """The seq of the newest fact."""
        async with self.database.read() as connection:
            return await facts.last_seq(connection)

    async def _refolds(self) -> int:
        async with self.database.read() as connection:
            return len(await games.open_refolds(connection))


def messages_of(events: Sequence[Event]) -> list[StreamEntry]:
    """The events as the stream holds them."""
    return [StreamEntry(event.message_id or "", event.to_payload()) for event in events]


def checkpoint(path: Path, mode: Literal["PASSIVE", "TRUNCATE"] = "PASSIVE") -> None:
    """Copy the write-ahead log into the database, as SQLite does by itself once the log is long."""
    connection = sqlite.connect(str(path))
    try:
        connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
    finally:
        connection.close()
