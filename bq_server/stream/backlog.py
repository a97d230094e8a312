"""What waits in the stream: a settled message is deleted from it, so whatever is there is not settled yet."""

from collections.abc import AsyncIterator
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError, ResponseError

from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.dead_letters import read_letter
from bq_server.stream.keys import FIELD, StreamKeys

PAGE = 500


class Backlog:
    """The messages of all environments that were accepted and not settled, and those that were given up.

    Every method raises `StreamUnavailable`.
    """

    def __init__(self, client: redis.Redis, keys: StreamKeys) -> None:
        self._client = client
        self._keys = keys

    async def newest(self) -> str:
        """The id of the message appended last, settled or not; `0-0` before the first."""
        try:
            info: Any = await self._client.xinfo_stream(self._keys.events)
        except ResponseError:
            return "0-0"  # there is no stream yet
        except RedisError as error:
            raise StreamUnavailable(str(error)) from error
        newest: bytes = info["last-generated-id"]
        return newest.decode()

    async def waits(self, up_to: str) -> bool:
        """Whether a message with this id or an older one is not settled."""
        try:
            return bool(await self._client.xrange(self._keys.events, "-", up_to, count=1))
        except RedisError as error:
            raise StreamUnavailable(str(error)) from error

    async def payloads(self, up_to: str) -> AsyncIterator[tuple[str, bytes]]:
        """Message id and payload of each message up to this id that is not settled, the oldest first."""
        start = "-"
        while True:
            try:
                entries: Any = await self._client.xrange(self._keys.events, start, up_to, count=PAGE)
            except RedisError as error:
                raise StreamUnavailable(str(error)) from error
            for message_id, fields in entries:
                yield message_id.decode(), fields.get(FIELD, b"")
            if len(entries) < PAGE:
                return
            start = f"({entries[-1][0].decode()}"

    async def dead(self) -> AsyncIterator[tuple[str, bytes]]:
        """Message id and payload of each message that was given up."""
        try:
            async for message_id, value in self._client.hscan_iter(self._keys.dead, count=PAGE):
                letter = read_letter(message_id.decode(), value)
                yield letter.message_id, letter.payload
        except RedisError as error:
            raise StreamUnavailable(str(error)) from error

    async def forget_dead(self, message_ids: list[str]) -> None:
        """Remove these dead letters."""
        try:
            if message_ids:
                await self._client.hdel(self._keys.dead, *message_ids)
        except RedisError as error:
            raise StreamUnavailable(str(error)) from error
