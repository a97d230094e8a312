"""Scripts sent while the stream server works: after a failure nothing waits for it until it is back."""

from collections.abc import Sequence
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError

from bq_server.stream.breaker import Breaker
from bq_server.stream.script_connection import Pipe
from bq_server.stream.scripts import Script


class GuardedPipe:
    """A `Pipe` behind a `Breaker`, for all that is on its way in."""

    def __init__(self, client: redis.Redis) -> None:
        self._pipe = Pipe(client)
        self._breaker = Breaker(client)

    def check(self) -> None:
        """Raises `StreamUnavailable` while the stream server is away."""
        self._breaker.check()

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | int]) -> Any:
        """What the script returns; texts are bytes.

        Raises `StreamUnavailable`; the script may have run all the same.
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
