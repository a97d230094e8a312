"""The stream's count of itself: how many messages entered, how many were settled, how many are there.

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
    """The counts as this process last saw them: what is known if the stream itself has vanished."""

    appended: int = 0
    settled: int = 0
    newest: str = "0-0"
    """The last message appended."""
    groups_made: int = 0
    """How often the consumer did not find its group, and recreated it."""


@dataclass(frozen=True, slots=True)
class Counts:
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


class StreamCounts:
    """Queries the stream server's counts. Every method raises `StreamUnavailable`."""

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
        """Restart the counts from what is there; returns how many messages that is."""
        with asking():
            found: int = await self._client.eval(self._recount.text, 2, self._keys.events, self._keys.counts, epoch)
        return found

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
