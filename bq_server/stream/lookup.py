"""Looking a message up: whether it waits in the stream, or is a dead letter."""

from typing import Any

import redis.asyncio as redis

from bq_server.stream.connection import asking
from bq_server.stream.dead_letters import DeadLetter, read_letter
from bq_server.stream.keys import FIELD, StreamKeys


class MessageLookup:
    """Finds messages by their id."""

    def __init__(self, client: redis.Redis, keys: StreamKeys) -> None:
        self._client = client
        self._keys = keys

    async def dead(self, message_id: str) -> DeadLetter | None:
        """The dead letter of that message id, if it is one. Raises `StreamUnavailable`."""
        with asking():
            value = await self._client.hget(self._keys.dead, message_id)
        return None if value is None else read_letter(message_id, value)

    async def waiting(self, message_id: str) -> bytes | None:
        """The payload of a message that still waits in the stream. Raises `StreamUnavailable`."""
        with asking():
            entries: Any = await self._client.xrange(self._keys.events, message_id, message_id)
        if not entries:
            return None
        payload: bytes = entries[0][1].get(FIELD, b"")
        return payload
