"""What waits in the stream, and the dead letters: read while the stream is in use.

A settled message is deleted from the stream, so whatever is there isn't settled yet. It is deleted only after its fact
is committed, or in the same step in which it becomes a dead letter: reading the queue first, the dead letters next and
the facts last finds each message in at least one of them.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import redis.asyncio as redis
from msgspec import Struct
from redis.exceptions import ResponseError

from bq_server.stream.connection import WRITE_TIMEOUT, asking
from bq_server.stream.keys import FIELD, LETTER_FIELD, StreamKeys
from bq_server.stream.script_connection import Pipe
from bq_server.stream.scripts import load

PAGE = 100
"""Messages in one round trip: a few milliseconds of a stream server's time, and at most a few MB."""

NO_MESSAGE = "0-0"

LATEST = "+"
"""Stands for the id of whatever message is the newest then."""


class Kept(Struct, frozen=True):
    """A queued message with its payload, or a dead letter as its hash keeps it."""

    message_id: str
    content: bytes
    retried: bool = False
    """Whether the message is a dead letter being retried."""


class StreamEnd(Struct, frozen=True):
    """The end of the stream, at one moment."""

    messages: Sequence[Kept]
    """At most a page of what waits, latest first."""
    has_dead: bool
    """Whether there are dead letters."""


class Backlog:
    """The messages of all environments that are accepted and not settled, and the dead letters.

    Every method raises `StreamUnavailable`.
    """

    def __init__(self, client: redis.Redis, keys: StreamKeys) -> None:
        self._client = client
        self._keys = keys
        self._pipe = Pipe(client, seconds=WRITE_TIMEOUT)
        self._tail = load("tail")

    def close(self) -> None:
        """Close the connection that `tail` has opened."""
        self._pipe.close()

    async def extent(self) -> tuple[int, str | None, int]:
        """How many messages wait, the id of the one that has waited longest, and how many dead letters there are."""
        with asking():
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.xlen(self._keys.events)
                pipe.xrange(self._keys.events, count=1)
                pipe.hlen(self._keys.dead)
                waiting, oldest, dead = await pipe.execute()
            return waiting, oldest[0][0].decode() if oldest else None, dead

    async def is_empty(self) -> bool:
        """Whether nothing waits, and there is no dead letter."""
        with asking():
            return not await self._client.xlen(self._keys.events) and not await self._client.hlen(self._keys.dead)

    async def newest(self) -> str:
        """The id of the last message appended, settled or not; `NO_MESSAGE` before the first."""
        with asking():
            try:
                about: Any = await self._client.xinfo_stream(self._keys.events)
            except ResponseError as error:
                if "no such key" in str(error):
                    return NO_MESSAGE
                raise
            newest: bytes = about["last-generated-id"]
            return newest.decode()

    async def tail(self, up_to: str) -> StreamEnd:
        """What waits from this id, or from `LATEST`, down: what is asked often, and is nearly always nothing."""
        with asking():
            page, dead = await self._pipe.run(self._tail, [self._keys.events, self._keys.dead], [up_to, PAGE])
        return StreamEnd(
            [_kept(each, dict(zip(pairs[::2], pairs[1::2], strict=True))) for each, pairs in page], dead > 0
        )

    def queued(self, up_to: str) -> AsyncIterator[Kept]:
        """The waiting messages, oldest first, up to this id: new ones may arrive faster than they are read."""
        return self._read(self._client.xrange, "-", up_to)

    def queued_latest_first(self, up_to: str) -> AsyncIterator[Kept]:
        """The waiting messages from this id, or from `LATEST`, down to the oldest; none that arrives meanwhile."""
        return self._read(self._client.xrevrange, up_to, "-")

    async def _read(self, command: Callable[..., Any], start: str, end: str) -> AsyncIterator[Kept]:
        while True:
            with asking():
                page: Any = await command(self._keys.events, start, end, count=PAGE)
            for message_id, fields in page:
                yield _kept(message_id, fields)
            if len(page) < PAGE:
                return
            start = f"({page[-1][0].decode()}"

    async def dead(self) -> AsyncIterator[Kept]:
        """The dead letters, each once; one that arrives meanwhile may be among them."""
        seen: set[str] = set()
        with asking():
            async for message_id, value in self._client.hscan_iter(self._keys.dead, count=PAGE):
                letter = Kept(message_id.decode(), value)
                if letter.message_id not in seen:  # a scan may return one twice
                    seen.add(letter.message_id)
                    yield letter

    async def remove_dead(self, message_ids: Sequence[str]) -> None:
        """Remove these dead letters."""
        with asking():
            if message_ids:
                await self._client.hdel(self._keys.dead, *message_ids)


def _kept(message_id: bytes, fields: Mapping[bytes, bytes]) -> Kept:
    return Kept(message_id.decode(), fields.get(FIELD, b""), LETTER_FIELD in fields)
