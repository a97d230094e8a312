"""The stream's count of itself: how many messages came, how many were settled, how many are there.

It is kept in the stream server, in the same steps that append and remove messages: while nobody else removes any,
`appended - settled` is the length of the stream.
"""

from dataclasses import dataclass
from typing import Any

import redis.asyncio as redis
from redis.exceptions import ResponseError

from bq_server.stream.connection import asking
from bq_server.stream.keys import GROUP, StreamKeys
from bq_server.stream.scripts import load

APPENDED = "appended"
SETTLED = "settled"


@dataclass(slots=True)
class Totals:
    """The counts as this process has last seen them: what is known when the stream itself is gone."""

    appended: int = 0
    settled: int = 0
    newest: str = "0-0"
    """The message appended last."""
    groups_made: int = 0
    """How often the consumer did not find its group, and made it again."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The stream at one moment."""

    epoch: str
    """Empty where there is none."""
    appended: int
    settled: int
    waiting: int
    owner: str
    """Empty where there is none."""
    grouped: bool
    oldest: str
    """The first message that waits; empty where none does."""
    newest: str
    """The message appended last."""

    @property
    def missing(self) -> int:
        """How many messages came, were not settled, and are not there; below 0 where more are there than came."""
        return self.appended - self.settled - self.waiting


async def make_group(client: redis.Redis, keys: StreamKeys) -> bool:
    """Make the consumer group where there is none; returns whether it was made. Raises `RedisError`."""
    try:
        # From 0: a group that vanished must not skip what waits; facts are unique, so reading twice is harmless.
        await client.xgroup_create(keys.events, GROUP, id="0", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise
        return False
    return True


class StreamCounts:
    """Asks the stream server for its counts. Every method raises `StreamUnavailable`."""

    def __init__(self, client: redis.Redis, keys: StreamKeys) -> None:
        self._client: Any = client
        self._keys = keys
        self._count = load("count")
        self._recount = load("recount")

    async def now(self) -> Counts:
        """The counts at this moment."""
        keys = (self._keys.events, self._keys.counts, self._keys.owner)
        with asking():
            found: Any = await self._client.eval(self._count.text, 3, *keys, GROUP)
        epoch, appended, settled, waiting, owner, grouped, oldest, newest = found
        texts = [each.decode() for each in (epoch, owner, oldest, newest)]
        return Counts(texts[0], appended, settled, waiting, texts[1], bool(grouped), *texts[2:])

    async def begin(self, epoch: str) -> int:
        """Count anew from what is there; returns how many messages that is."""
        with asking():
            found: int = await self._client.eval(self._recount.text, 2, self._keys.events, self._keys.counts, epoch)
        return found

    async def adopt(self, messages: int) -> None:
        """Count these in, too: somebody else has put them into the stream."""
        with asking():
            await self._client.hincrby(self._keys.counts, APPENDED, messages)

    async def make_group(self) -> bool:
        """Make the consumer group where there is none; returns whether it was made."""
        with asking():
            return await make_group(self._client, self._keys)

    async def mark_owner(self, installation_id: str) -> None:
        """Put the mark of the owner where there is none."""
        with asking():
            await self._client.set(self._keys.owner, installation_id, nx=True)
