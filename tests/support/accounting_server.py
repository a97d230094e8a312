"""What a server that accounts for its stream does, step by step."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import redis.asyncio as redis

from bq_server.clock import system_clock
from bq_server.ids import IdSource
from bq_server.ingest.stream_account import StreamAccount
from bq_server.store import losses
from bq_server.store.database import Database
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.consumer_group import ConsumerGroup
from bq_server.stream.counts import StreamCounts, Totals
from bq_server.stream.entries import StreamEntry
from bq_server.stream.guarded_pipe import GuardedPipe
from bq_server.stream.keys import StreamKeys
from bq_server.stream.store_note import note_of
from bq_server.stream.writer import Message, Writer

KEYS = StreamKeys("bq")
OURS = "inst_1"


class UnreliableCounts(StreamCounts):
    """Loses the answer of a count that begins, when it is told to."""

    loses_an_answer = False

    async def begin(self, epoch: str, lost: int, missing: int) -> int:
        found = await super().begin(epoch, lost, missing)
        if self.loses_an_answer:
            self.loses_an_answer = False
            raise StreamUnavailable("the answer got lost")
        return found


class OneServer:
    """What a server that accounts for its stream does, step by step."""

    def __init__(self, client: Any, database: Database) -> None:
        self.client, self.database = client, database
        self.totals = Totals()
        self.note = note_of(OURS)
        self.counts = UnreliableCounts(client, KEYS, self.note)
        self.group = ConsumerGroup(client, KEYS, "me", note=self.note)
        self.account = StreamAccount(
            database, self.counts, self.totals, OURS, place="here", ids=IdSource(), clock=system_clock
        )
        self.pipe = GuardedPipe(client)

    async def start(self, *, alone: bool = True) -> None:
        await self.client.set(KEYS.owner, OURS)
        await self.account.start(owned=True, alone=alone)

    async def accept(self, messages: int) -> None:
        writer = Writer(self.pipe, KEYS, queue_limit=10_000, window_hours=24, totals=self.totals)
        await writer.append([Message(b"{}") for _ in range(messages)])
        await writer.close()

    async def take(self) -> list[StreamEntry]:
        """Have all that is new in hand."""
        return await self.group.read(block=False)

    async def settle(self, entries: list[StreamEntry]) -> None:
        self.totals.saw_settled(await self.group.remove(entries))

    async def noticed(self) -> list[tuple[int, bool]]:
        """What is noticed within two checks: of each loss how many messages, and whether there may be more."""
        await self.account.check()
        await self.account.check()
        async with self.database.read() as connection:
            return [(loss.messages, loss.at_least) for loss in await losses.every(connection)]


@asynccontextmanager
async def started(client: redis.Redis, database: Database) -> AsyncIterator[OneServer]:
    made = OneServer(client, database)
    await made.start()
    yield made
    await made.pipe.close()


def after_a_kill(server: OneServer) -> AbstractAsyncContextManager[OneServer]:
    """The next server, of one that was killed."""
    return started(server.client, server.database)
