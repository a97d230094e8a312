"""Waiting until a replica has on its disk what was written, so that a failover doesn't lose it."""

from typing import Any

import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError, ResponseError

from bq_server.stream.connection import StreamUnavailable, StreamUnusable
from bq_server.stream.keys import StreamKeys

TRIES = 8
"""How often to ask. A replica that is asked while it writes says what it had on disk before, and then nothing for a
second: whoever asks again learns it at once."""

WAIT_MILLISECONDS = 25
"""Longest wait for an answer. All of them take less than the time in which an incoming event must be refused."""

WAIT = ("WAITAOF", 1, 1, WAIT_MILLISECONDS)
"""Returns on how many disks is what was written before on this connection: this server's, and replicas'."""

log = structlog.get_logger("bq_server.stream")


class NotReplicated(RedisError):
    """What was written is on no replica's disk: a failover may lose it."""

    def __init__(self) -> None:
        super().__init__(f"no replica had it on disk within {TRIES * WAIT_MILLISECONDS} ms")


def is_replicated(found: Any) -> bool:
    """Whether `WAIT` has returned that a replica has it."""
    here, elsewhere = found
    return bool(here and elsewhere)


class Replicas:
    """Whether a replica keeps up."""

    def __init__(self, client: redis.Redis, keys: StreamKeys) -> None:
        self._client = client
        self._keys = keys

    async def check(self) -> None:
        """Write something, and wait until a replica has it on disk. Raises `RedisError`."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.set(self._keys.probe, 1)
            for _ in range(TRIES):
                pipe.execute_command(*WAIT)
            found = await pipe.execute()
        if not is_replicated(found[-1]):
            raise NotReplicated


async def probe(client: redis.Redis, replicas: Replicas | None) -> None:
    """Whether the stream server answers and, where a replica must keep up, one does. Raises `RedisError`."""
    await client.ping()
    if replicas is not None:
        await replicas.check()


async def require_use(replicas: Replicas) -> None:
    """At the start: that there is none yet is logged, and events are refused until there is.

    Raises `StreamUnusable` where the server can't wait for replicas, `StreamUnavailable` if it doesn't respond.
    """
    try:
        await replicas.check()
    except NotReplicated as error:
        log.warning("stream.not_replicated", reason=str(error))
    except ResponseError as error:
        raise StreamUnusable(f"--durability replica can't be had from this stream server: {error}") from error
    except (RedisError, OSError) as error:
        raise StreamUnavailable(str(error)) from error
