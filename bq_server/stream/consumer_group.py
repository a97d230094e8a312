"""The commands with which a consumer reads the stream, takes over what others left, and removes what is settled."""

from collections.abc import Sequence
from typing import Any

import redis.asyncio as redis
from msgspec import Struct

from bq_server.stream.charge import Charge
from bq_server.stream.connection import READ_TIMEOUT
from bq_server.stream.counts import Count, make_group
from bq_server.stream.entries import StreamEntry
from bq_server.stream.keys import FIELD, GROUP, LETTER_FIELD, StreamKeys
from bq_server.stream.script_connection import Pipe
from bq_server.stream.scripts import load
from bq_server.stream.store_note import StoreNote

BATCH = 100
"""Most messages per command, so that the event loop is held only briefly."""

BLOCK_MILLISECONDS = 1000


class PendingEntry(Struct, frozen=True):
    """A message that was delivered to a consumer and not acknowledged."""

    message_id: str
    consumer: str
    deliveries: int


class ConsumerGroup:
    """The group as used by one of its consumers, whose name must be new at every start of the server.

    Every method raises `redis.RedisError`.
    """

    def __init__(
        self,
        client: redis.Redis,
        keys: StreamKeys,
        name: str,
        charge: Charge | None = None,
        note: StoreNote | None = None,
    ) -> None:
        """`charge`: of one of several consumers, which take turns; then `remove` raises `NotInCharge`.

        `note`: what `remove` notes of the store that has the facts.
        """
        self._client = client
        self._keys = keys
        self.name = name
        self._charge = charge
        self._note = note
        self._remove = load("charged", "remove")
        self._remove_idle = load("remove_idle")
        self._pipe = Pipe(client, seconds=READ_TIMEOUT)

    def close(self) -> None:
        """Close the connection that `remove` has opened."""
        self._pipe.close()

    async def make(self) -> bool:
        """Create the group if there is none; returns whether it was created."""
        return await make_group(self._client, self._keys)

    async def read(self, *, block: bool) -> list[StreamEntry]:
        """The next messages delivered to nobody yet; with `block`, wait for some for `BLOCK_MILLISECONDS`."""
        wait = BLOCK_MILLISECONDS if block else None
        events: Any = {self._keys.events: ">"}
        reply: Any = await self._client.xreadgroup(GROUP, self.name, events, count=BATCH, block=wait)
        return [_entry(*entry) for entry in reply[0][1]] if reply else []

    async def pending(self, after: str | None) -> list[PendingEntry]:
        """A page of what was delivered and not acknowledged, in the order of ids, after the id `after`."""
        start = "-" if after is None else f"({after}"
        found: Any = await self._client.xpending_range(self._keys.events, GROUP, start, "+", count=BATCH)
        return [
            PendingEntry(each["message_id"].decode(), each["consumer"].decode(), each["times_delivered"])
            for each in found
        ]

    async def take_over(self, pending: Sequence[PendingEntry]) -> list[StreamEntry]:
        """These messages, now this consumer's.

        Claiming counts as a delivery, and only a new process claims: it is how many processes a message outlived.
        """
        foreign: list[Any] = [each.message_id for each in pending if each.consumer != self.name]
        if foreign:
            await self._client.xclaim(self._keys.events, GROUP, self.name, 0, foreign)
        return await self.fetch([each.message_id for each in pending])

    async def fetch(self, message_ids: Sequence[str]) -> list[StreamEntry]:
        """These messages; one that is no longer in the stream is acknowledged."""
        if not message_ids:
            return []
        async with self._client.pipeline(transaction=False) as pipe:
            for message_id in message_ids:
                pipe.xrange(self._keys.events, message_id, message_id)
            found: Any = await pipe.execute()
        gone = [message_id for message_id, entries in zip(message_ids, found, strict=True) if not entries]
        if gone:
            await self._client.xack(self._keys.events, GROUP, *gone)
        return [_entry(*entries[0]) for entries in found if entries]

    async def reset_deliveries(self, entries: Sequence[StreamEntry]) -> None:
        """Reset their deliveries: a process that dies while they wait doesn't die because of them."""
        if self._charge is not None:
            await self._charge.reset_deliveries([entry.message_id for entry in entries])
            return
        ids: list[Any] = [entry.message_id for entry in entries]
        await self._client.xclaim(self._keys.events, GROUP, self.name, 0, ids, retrycount=0, justid=True)

    async def remove(self, entries: Sequence[StreamEntry]) -> Count:
        """Remove settled messages from the stream in one step; returns how many were settled in total."""
        ids = [entry.message_id for entry in entries]
        letters = [entry.letter_id for entry in entries if entry.letter_id is not None]
        if self._charge is not None:
            return await self._charge.settle(ids, letters, self._note)
        noted = ("", 0) if self._note is None else (self._note.field, self._note.height)
        keys = (self._keys.events, self._keys.dead, self._keys.counts)
        total, epoch = await self._pipe.run(self._remove, keys, [GROUP, *noted, len(ids), *ids, *letters])
        return Count(epoch.decode(), total)

    async def others_have_some(self) -> bool:
        """Whether something was delivered to another consumer, and is neither acknowledged nor taken over.

        One that was held up may read once more before it learns that its turn is over.
        """
        if self._charge is None:
            return False
        found: Any = await self._client.xpending(self._keys.events, GROUP)
        return any(each["name"].decode() != self.name for each in found["consumers"] or ())

    async def remove_idle_consumers(self) -> None:
        """Remove the consumers of earlier starts that have nothing pending any more."""
        command: Any = self._client.eval
        await command(self._remove_idle.text, 1, self._keys.events, GROUP, self.name)


def _entry(message_id: bytes, fields: dict[bytes, bytes]) -> StreamEntry:
    letter_id = fields.get(LETTER_FIELD)
    return StreamEntry(message_id.decode(), fields.get(FIELD, b""), letter_id.decode() if letter_id else None)
