"""Messages that can't be processed: set aside with the reason, out of the way of the others."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import redis.asyncio as redis
from msgspec import Struct
from pydantic_core import from_json, to_json

from bq_server.stream.charge import Charge
from bq_server.stream.connection import asking
from bq_server.stream.counts import Count, settled
from bq_server.stream.keys import GROUP, StreamKeys
from bq_server.stream.scripts import load

PAGE = 100
"""Letters per round trip."""


class DeadLetter(Struct, frozen=True):
    """A message that can't be processed."""

    message_id: str
    """The id its sender got."""
    payload: bytes
    reason: str
    died_at: int
    """Microseconds since the epoch, UTC."""
    retried_as: str | None = None
    """The message in the stream under which it is being retried; it isn't a dead letter meanwhile."""


Announcing = Callable[[Sequence[DeadLetter]], AbstractAsyncContextManager[None]]
"""A context in which these letters are written: entered before, when what it raises puts them off, and left after."""


def read_letter(message_id: str, value: bytes | str) -> DeadLetter:
    """A dead letter from its stored form."""
    fields = from_json(value)
    payload = bytes.fromhex(fields["payload"])
    return DeadLetter(message_id, payload, fields["reason"], fields["died_at"], fields.get("retried_as"))


def write_letter(letter: DeadLetter) -> bytes:
    """A dead letter from its stored form, unless it is being retried."""
    return to_json({"reason": letter.reason, "died_at": letter.died_at, "payload": letter.payload.hex()})


class DeadLetters:
    """The dead letters of one stream. Every method except `add` raises `StreamUnavailable`."""

    def __init__(self, client: redis.Redis, keys: StreamKeys, charge: Charge | None = None) -> None:
        """`charge`: of one of several consumers; then `add` raises `NotInCharge`."""
        self._client = client
        self._keys = keys
        self._charge = charge
        self._retry = load("retry")

    async def add(self, letter: DeadLetter, entry_id: str) -> Count:
        """Move the message, an entry of the stream, to the dead letters, in one step.

        Returns how many messages were settled in total.
        """
        if self._charge is not None:
            return await self._charge.dead_letter(letter.message_id, write_letter(letter), entry_id)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self._keys.dead, letter.message_id, write_letter(letter))
            pipe.xack(self._keys.events, GROUP, entry_id)
            pipe.xdel(self._keys.events, entry_id)
            return await settled(pipe, self._keys, 1)

    async def count(self) -> int:
        """How many there are, including those being retried."""
        with asking():
            found: int = await self._client.hlen(self._keys.dead)
            return found

    async def latest_first(self, before: str | None = None) -> AsyncIterator[DeadLetter]:
        """The dead letters in descending order of their ids, from the latest, or from before that id."""
        with asking():
            ids: Any = await self._client.hkeys(self._keys.dead)
        found = sorted((each.decode() for each in ids), key=_order, reverse=True)
        if before is not None:
            found = [each for each in found if _order(each) < _order(before)]
        for start in range(0, len(found), PAGE):
            for letter in await self.get(found[start : start + PAGE]):
                if letter.retried_as is None:
                    yield letter

    async def get(self, message_ids: Sequence[str]) -> list[DeadLetter]:
        """Those with these ids, including those being retried."""
        return [read_letter(message_id, value) for message_id, value in await self._values(message_ids)]

    async def _values(self, message_ids: Sequence[str]) -> list[tuple[str, bytes]]:
        if not message_ids:
            return []
        with asking():
            found: list[Any] = await self._client.hmget(self._keys.dead, list(message_ids))
        return [(message_id, value) for message_id, value in zip(message_ids, found, strict=True) if value is not None]

    async def retry(self, message_ids: Sequence[str]) -> list[str]:
        """Put these back into the stream; returns which existed. Each becomes a fact under its old id, or a letter."""
        keys = (self._keys.events, self._keys.dead, self._keys.counts)
        done: list[str] = []
        for start in range(0, len(message_ids), PAGE):
            args: list[str | bytes] = []
            for message_id, value in await self._values(message_ids[start : start + PAGE]):
                letter = read_letter(message_id, value)
                if letter.retried_as is None:
                    args += (message_id, value, letter.payload)
            if args:
                with asking():
                    command: Any = self._client.eval
                    answer = await command(self._retry.text, 3, *keys, *args)
                done += [each.decode() for each in answer]
        return done

    async def drop(self, message_ids: Sequence[str]) -> list[str]:
        """Remove these permanently, except those being retried; returns which were removed."""
        found = [each.message_id for each in await self.get(message_ids) if each.retried_as is None]
        with asking():
            if found:
                await self._client.hdel(self._keys.dead, *found)
        return found


def _order(message_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in message_id.split("-"))
