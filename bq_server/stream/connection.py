"""Connecting to a stream server, embedded or not, and what it guarantees."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from bq_server.stream.keys import StreamKeys

CONNECT_TIMEOUT = 0.25
"""Seconds; an unreachable server must become a 503 in under 300 ms."""

READ_TIMEOUT = 5.0
"""Seconds that the consumer waits for an answer; longer than its reads block."""

WRITE_TIMEOUT = 1.0
"""Seconds that most commands wait for an answer; longer than a slow disk's fsync."""

APPEND_TIMEOUT = 0.25
"""Seconds that an incoming event waits for an answer: after that it is refused, within 300 ms of its arrival. The first
that waits in vain is the last: then nothing is sent until the stream server responds again."""

CONNECTIONS = 16
"""Most connections of one client; further commands wait for a free one."""

OLDEST_VERSION = 7


class StreamUnavailable(Exception):
    """The stream server can't be reached, or refuses to work."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason.rstrip("."))  # it becomes part of a sentence


class StreamUnusable(Exception):
    """The stream server works, but this server must not use it. The message says why and what to do."""


@contextmanager
def asking() -> Iterator[None]:
    """Turns what the client raises into `StreamUnavailable`."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise StreamUnavailable(str(error)) from error


@asynccontextmanager
async def connect(url: str, *, timeout: float = WRITE_TIMEOUT) -> AsyncIterator[redis.Redis]:  # noqa: ASYNC109
    """A client for one role. It never retries by itself: an append sent twice may be made twice.

    A connection is opened when first needed. Leaving the context closes them. Raises `StreamUnusable` for an invalid
    URL.
    """
    try:
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=timeout,
        )
        client = redis.Redis.from_pool(pool)
    except (ValueError, TypeError) as error:
        raise StreamUnusable(f"--redis-url (BQ_REDIS_URL) is not a Redis URL: {error}") from None
    try:
        yield client
    finally:
        await client.aclose()


@dataclass(frozen=True, slots=True)
class Durability:
    """What the stream server is, and what an accepted event survives; `unknown` if it doesn't say."""

    server: str
    """For example `Valkey 9.1.2`."""
    appendonly: str = "unknown"
    appendfsync: str = "unknown"
    maxmemory_policy: str = "unknown"

    @property
    def promise(self) -> str:
        """In words, what a 202 means with this server."""
        if "unknown" in (self.appendonly, self.appendfsync):
            return "unknown: the stream server does not report its settings"
        if self.appendonly != "yes":
            return "none: the stream server keeps no append-only file, so its restart loses queued events"
        return {
            "always": "fsync: an accepted event survives a power cut",
            "everysec": "process: an accepted event survives a crash; a power cut may lose the last second",
        }.get(self.appendfsync, "process: an accepted event survives a crash; a power cut may lose more")

    @property
    def may_evict(self) -> bool:
        """Whether the server may drop the stream itself when its memory is full."""
        return self.maxmemory_policy not in ("noeviction", "unknown")


async def inspect(client: redis.Redis, url: str | None = None) -> Durability:
    """Ask the server for its version and durability settings. `url` names the one the user chose.

    Raises `StreamUnusable` for a version that lacks what we need, `StreamUnavailable` if it doesn't respond.
    """
    try:
        info = await client.info("server")
        name, version = "Redis", str(info.get("redis_version", "0"))
        if "valkey_version" in info:
            name, version = "Valkey", str(info["valkey_version"])
        if int(version.split(".")[0]) < OLDEST_VERSION:
            raise StreamUnusable(f"{name} {version} is too old: version {OLDEST_VERSION} or newer is needed")
        try:
            found: Any = await client.config_get("append*", "maxmemory-policy")
        except (NoPermissionError, ResponseError):
            found = {}  # managed servers often forbid CONFIG
    except (RedisError, OSError) as error:
        raise StreamUnavailable(str(error) if url is None else _unusable(url, error)) from error
    known = {name: found[name] for name in ("appendonly", "appendfsync") if name in found}
    return Durability(f"{name} {version}", **known, maxmemory_policy=found.get("maxmemory-policy", "unknown"))


def _unusable(url: str, error: Exception) -> str:
    """Why the server at this URL can't be used, and what to do, without showing its password."""
    parts = urlsplit(url)
    where = parts.path if parts.scheme == "unix" else f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
    advice = "is it running there?"
    if isinstance(error, AuthenticationError) or "HELLO" in str(error):
        advice = f"give its user and password in the URL: {parts.scheme}://user:password@{where}"
    elif parts.scheme == "rediss":
        advice = "is it running there, with TLS and a certificate that is trusted here?"
    return f"the stream server at {where} (--redis-url, BQ_REDIS_URL) can't be used: {str(error).rstrip('.')}; {advice}"


async def owner_of(client: redis.Redis, keys: StreamKeys) -> str | None:
    """The installation whose facts the messages become; None before the first. Raises `StreamUnavailable`."""
    try:
        found: Any = await client.get(keys.owner)
    except (RedisError, OSError) as error:
        raise StreamUnavailable(str(error)) from error
    return found.decode() if found else None


async def take_ownership(
    client: redis.Redis, keys: StreamKeys, installation_id: str, advice: str | None = None
) -> bool:
    """Bind the stream to this installation's database, so that no message becomes a fact elsewhere.

    Returns whether it was bound before.

    `advice` replaces that of the error, for a stream that no other server can reach.
    Raises `StreamUnusable` if the stream is bound to another one, `StreamUnavailable` if it doesn't respond.
    """
    try:
        bound: Any = await client.set(keys.owner, installation_id, nx=True)
        owner: Any = await client.get(keys.owner)
    except RedisError as error:
        raise StreamUnavailable(str(error)) from error
    if owner is None or owner.decode() != installation_id:
        name = owner.decode() if owner else "nobody"
        raise StreamUnusable(
            advice
            or f"the stream under the prefix {keys.prefix!r} belongs to another data directory ({name}, this one is "
            f"{installation_id}): choose another prefix with --redis-prefix, or delete the key {keys.owner!r} "
            "if that installation no longer exists and its queued events should become facts here"
        )
    return not bound
