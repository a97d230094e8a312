"""Scripts behind a circuit breaker: after a failure nothing waits for the stream server until it is back."""

from collections.abc import Sequence
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError

from bq_server.stream.breaker import Breaker
from bq_server.stream.script_connection import Pipe
from bq_server.stream.scripts import Script


class GuardedPipe:
    """A `Pipe` behind a `Breaker`, for everything incoming."""

    def __init__(self, client: redis.Redis) -> None:
        self._pipe = Pipe(client)
        self._breaker = Breaker(client)

    def check(self) -> None:
        """Raises `StreamUnavailable` while the stream server is unavailable."""
        self._breaker.check()

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | int]) -> Any:
        """What the script returns; texts are bytes.

        Raises `StreamUnavailable`; the script may have run nevertheless.
        """
        self._breaker.check()
        try:
            return await self._pipe.run(script, keys, args)
        except RedisError as error:
            raise self._breaker.trip(error) from error

    async def close(self) -> None:
        """Close the connection."""
        await self._breaker.close()
        self._pipe.close()
