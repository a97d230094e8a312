"""The stream's count of itself: how many messages entered, how many were settled, how many are there.

It is kept in the stream server, in the same steps that append and remove messages: while nobody else removes any,
`appended - settled` is the length of the stream.
"""

from typing import Any, NamedTuple

import redis.asyncio as redis
from msgspec import Struct, field
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError

from bq_server.stream.connection import asking
from bq_server.stream.keys import GROUP, StreamKeys
from bq_server.stream.scripts import load
from bq_server.stream.store_note import StoreNote

EPOCH = "epoch"
APPENDED = "appended"
SETTLED = "settled"


class Count(NamedTuple):
    """How many messages a stream has had in all, as it answers to a step that changes the count."""

    epoch: str
    """Of which stream; empty where nobody has begun to count."""
    total: int


class Totals(Struct):
    """The counts as this process last saw them: what is known if the stream itself has vanished.

    They are kept by epoch: a stream that replaced another counts from 0 before anybody has noticed it.
    """

    appended: dict[str, int] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)
    newest: str = "0-0"
    """The last message appended."""
    groups_made: int = 0
    """How often the consumer did not find its group, and recreated it."""

    def saw_appended(self, count: Count) -> None:
        """Remember how many messages have entered a stream. Answers may come in another order than they were made."""
        _rise(self.appended, count)

    def saw_settled(self, count: Count) -> None:
        """Remember how many messages of a stream were settled."""
        _rise(self.settled, count)

    def begin(self, epoch: str, appended: int, settled: int) -> None:
        """Start with these counts, and forget all other streams."""
        self.appended, self.settled = {epoch: appended}, {epoch: settled}

    @property
    def moved(self) -> tuple[int, int]:
        """Changes with every message."""
        return sum(self.appended.values()), sum(self.settled.values())


def _rise(totals: dict[str, int], count: Count) -> None:
    totals[count.epoch] = max(totals.get(count.epoch, 0), count.total)


class Counts(Struct, frozen=True):
    """The stream at one moment."""

    epoch: str
    """Empty if there is none."""
    appended: int
    settled: int
    waiting: int
    owner: str
    """Empty if there is none."""
    grouped: bool
    oldest: str
    """The first message that waits; empty if none does."""
    newest: str
    """The last message appended."""
    noted: int
    """The height that the stream has noted of the store; 0 before the first fact."""
    dead: int
    """How many dead letters there are."""

    @property
    def missing(self) -> int:
        """How many messages entered, were not settled, and are missing; below 0 if there are more than entered."""
        return self.appended - self.settled - self.waiting


async def make_group(client: redis.Redis, keys: StreamKeys) -> bool:
    """Create the consumer group if there is none; returns whether it was created. Raises `RedisError`."""
    try:
        # From 0: a recreated group must not skip what waits; facts are unique, so reading twice is harmless.
        await client.xgroup_create(keys.events, GROUP, id="0", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise
        return False
    return True


async def settled(pipe: Pipeline, keys: StreamKeys, messages: int) -> Count:
    """Count so many more as settled, as the last step of a transaction, and execute it. Raises `RedisError`."""
    pipe.hincrby(keys.counts, SETTLED, messages)
    pipe.hget(keys.counts, EPOCH)
    *_, total, epoch = await pipe.execute()
    return Count((epoch or b"").decode(), total)


class StreamCounts:
    """Queries the stream server's counts. Every method raises `StreamUnavailable`."""

    def __init__(self, client: redis.Redis, keys: StreamKeys, note: StoreNote) -> None:
        self._client: Any = client
        self.note = note
        self._keys = keys
        self._count = load("count")
        self._recount = load("recount")

    async def now(self) -> Counts:
        """The counts at this moment."""
        keys = (self._keys.events, self._keys.counts, self._keys.owner, self._keys.dead)
        with asking():
            found: Any = await self._client.eval(self._count.text, 4, *keys, GROUP, self.note.field)
        epoch, appended, settled, waiting, owner, grouped, oldest, newest, noted, dead = found
        epoch, owner, oldest, newest = (each.decode() for each in (epoch, owner, oldest, newest))
        return Counts(epoch, appended, settled, waiting, owner, bool(grouped), oldest, newest, noted, dead)

    async def begin(self, epoch: str, lost: int, missing: int) -> int:
        """Restart the counts: what waits and what is lost has entered, and nothing was settled.

        `lost`: how many are, determined when so many were `missing` by the counts; the difference since then is added.
        Returns how many are lost.
        """
        with asking():
            keys = (self._keys.events, self._keys.counts)
            found: int = await self._client.eval(self._recount.text, 2, *keys, epoch, lost, missing)
        return found

    async def put_note(self) -> None:
        """Note how far the store is."""
        with asking():
            await self._client.hset(self._keys.counts, self.note.field, self.note.height)

    async def set_back_at(self, now: int) -> int:
        """When it was first noticed that the store is behind its note: now, or by a start that did not come to an end.

        Microseconds since the epoch, as `now` is.
        """
        with asking():
            await self._client.hsetnx(self._keys.counts, self.note.set_back_field, now)
            return int(await self._client.hget(self._keys.counts, self.note.set_back_field))

    async def lower_note(self) -> None:
        """Note how far a store is that was set back, once that is stored as a loss."""
        with asking():
            async with self._client.pipeline() as pipe:
                pipe.hset(self._keys.counts, self.note.field, self.note.height)
                pipe.hdel(self._keys.counts, self.note.set_back_field)
                await pipe.execute()

    async def adopt(self, messages: int) -> None:
        """Count these as well: somebody else has put them into the stream."""
        with asking():
            await self._client.hincrby(self._keys.counts, APPENDED, messages)

    async def make_group(self) -> bool:
        """Create the consumer group if there is none; returns whether it was created."""
        with asking():
            return await make_group(self._client, self._keys)

    async def mark_owner(self, installation_id: str) -> None:
        """Set the owner's mark if there is none."""
        with asking():
            await self._client.set(self._keys.owner, installation_id, nx=True)
