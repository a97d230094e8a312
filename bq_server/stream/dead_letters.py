"""Messages that can't be processed: set aside with the reason, never in the way of the others."""

from dataclasses import dataclass
from typing import Any

import redis.asyncio as redis
from pydantic_core import from_json, to_json
from redis.exceptions import RedisError

from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.keys import FIELD, GROUP, StreamKeys


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up."""

    message_id: str
    payload: bytes
    reason: str
    died_at: int
    """Microseconds since the epoch, UTC."""


class DeadLetters:
    """The dead letters of one stream."""

    def __init__(self, client: redis.Redis, keys: StreamKeys) -> None:
        self._client = client
        self._keys = keys

    async def bury(self, letter: DeadLetter) -> None:
        """Move the message from the stream to the dead letters, in one step."""
        value = to_json({"reason": letter.reason, "died_at": letter.died_at, "payload": letter.payload.hex()})
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self._keys.dead, letter.message_id, value)
            pipe.xack(self._keys.events, GROUP, letter.message_id)
            pipe.xdel(self._keys.events, letter.message_id)
            await pipe.execute()

    async def find(self, message_id: str) -> DeadLetter | None:
        """The dead letter of that message id. Raises `StreamUnavailable`."""
        try:
            value = await self._client.hget(self._keys.dead, message_id)
        except RedisError as error:
            raise StreamUnavailable(str(error)) from error
        if value is None:
            return None
        fields = from_json(value)
        return DeadLetter(message_id, bytes.fromhex(fields["payload"]), fields["reason"], fields["died_at"])

    async def waiting(self, message_id: str) -> bytes | None:
        """The payload of a message that still waits in the stream. Raises `StreamUnavailable`."""
        try:
            entries: Any = await self._client.xrange(self._keys.events, message_id, message_id)
        except RedisError as error:
            raise StreamUnavailable(str(error)) from error
        if not entries:
            return None
        payload: bytes = entries[0][1].get(FIELD, b"")
        return payload
