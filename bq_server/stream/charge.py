"""Which of several consumers is in charge of a stream: only it removes messages and makes dead letters.

A consumer that was held up, and whose lease another has by now, finds it out in the same step in which it would do so:
the stream server compares the terms of the leases.
"""

from collections.abc import Sequence
from typing import Any

import redis.asyncio as redis

from bq_server.stream.counts import Count
from bq_server.stream.keys import GROUP, StreamKeys
from bq_server.stream.scripts import Script, load
from bq_server.stream.store_note import StoreNote


class NotInCharge(Exception):
    """Another consumer is in charge of the stream."""

    def __init__(self) -> None:
        super().__init__("another consumer is in charge of the stream")


class Charge:
    """What one of several consumers does under its name. Every method raises `redis.RedisError`."""

    def __init__(self, client: redis.Redis, keys: StreamKeys, consumer: str) -> None:
        self._client: Any = client
        self._keys = keys
        self._consumer = consumer
        self._take = load("charge")
        self._settle = load("charged", "settle")
        self._dead_letter = load("charged", "dead_letter")
        self._reset_deliveries = load("charged", "reset_deliveries")

    async def take(self, term: int) -> None:
        """Be in charge from now on. Raises `NotInCharge` if one with a later term is."""
        if not await self._run(self._take, [self._keys.charge], [term, self._consumer]):
            raise NotInCharge

    async def settle(
        self, message_ids: Sequence[str], letter_ids: Sequence[str], note: StoreNote | None = None
    ) -> Count:
        """Remove messages, and the dead letters that they were, and note how far the store is.

        Returns how many were settled in total.

        Raises `NotInCharge`.
        """
        noted = ("", 0) if note is None else (note.field, note.height)
        args = [GROUP, self._consumer, *noted, len(message_ids), *message_ids, *letter_ids]
        return self._settled(await self._run(self._settle, self._charged_keys, args))

    async def dead_letter(self, message_id: str, letter: bytes, entry_id: str) -> Count:
        """Move a message to the dead letters; returns how many were settled in total. Raises `NotInCharge`."""
        args = [GROUP, self._consumer, message_id, letter, entry_id]
        return self._settled(await self._run(self._dead_letter, self._charged_keys, args))

    async def reset_deliveries(self, message_ids: Sequence[str]) -> None:
        """Count their deliveries anew, for whoever is in charge: a lease that moved is no fault of theirs."""
        await self._run(self._reset_deliveries, [self._keys.events, self._keys.charge], [GROUP, *message_ids])

    @property
    def _charged_keys(self) -> list[str]:
        return [self._keys.events, self._keys.dead, self._keys.counts, self._keys.charge]

    def _settled(self, found: list[Any]) -> Count:
        if not found:
            raise NotInCharge
        total, epoch = found
        return Count(epoch.decode(), total)

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        return await self._client.eval(script.text, len(keys), *keys, *args)
