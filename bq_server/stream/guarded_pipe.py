"""Scripts behind a circuit breaker: after a failure nothing waits for the stream server until it is back."""

import asyncio
from collections.abc import Sequence
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError

from bq_server.concurrency.supervision import pause
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.replicas import Replicas, probe
from bq_server.stream.script_connection import Pipe
from bq_server.stream.scripts import Script

PROBE_SECONDS = 0.1
"""How often a failed stream server is probed."""


class Breaker:
    """Closed while the stream server works. One failure opens it; an answered PING closes it.

    Where a replica must keep up, one that does closes it instead.
    """

    def __init__(self, client: redis.Redis, replicas: Replicas | None = None) -> None:
        self._client = client
        self._replicas = replicas
        self._reason: str | None = None
        self._probe: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raises `StreamUnavailable` while it is open."""
        if self._reason is not None:
            self._ask()
            raise StreamUnavailable(f"the stream server does not answer: {self._reason}")

    def trip(self, error: Exception) -> StreamUnavailable:
        """Open it; returns what to raise."""
        self._reason = str(error)
        self._ask()
        return StreamUnavailable(self._reason)

    async def close(self) -> None:
        """Stop probing."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait({self._probe})

    def _ask(self) -> None:
        """Have the stream server asked, until it is back; anew if what asks it came to an end before."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._wait_until_back(), name="breaker-probe")

    async def _wait_until_back(self) -> None:
        while self._reason is not None:
            await pause(PROBE_SECONDS)
            try:
                await probe(self._client, self._replicas)
            except Exception:  # noqa: BLE001, S112 - whatever it is, it is asked again
                continue
            self._reason = None


class GuardedPipe:
    """A `Pipe` behind a `Breaker`, for everything incoming."""

    def __init__(self, client: redis.Redis, replicas: Replicas | None = None) -> None:
        """`replicas`: if what is accepted must be on the disk of one."""
        self._pipe = Pipe(client)
        self._breaker = Breaker(client, replicas)
        self._replicated = replicas is not None

    def check(self) -> None:
        """Raises `StreamUnavailable` while the stream server is unavailable."""
        self._breaker.check()

    async def run(
        self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | int], *, accepts: bool = False
    ) -> Any:
        """What the script returns; texts are bytes. `accepts`: whether it makes what must not be lost.

        Raises `StreamUnavailable`; the script may have run nevertheless.
        """
        self._breaker.check()
        try:
            return await self._pipe.run(script, keys, args, replicated=accepts and self._replicated)
        except RedisError as error:
            raise self._breaker.trip(error) from error

    async def close(self) -> None:
        """Close the connection."""
        await self._breaker.close()
        self._pipe.close()
