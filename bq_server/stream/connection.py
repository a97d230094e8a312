"""Connecting to a stream server, embedded or not, and what it guarantees."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio as redis
from msgspec import Struct
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from bq_server.stream.cancellation import heeding
from bq_server.stream.cluster import FORM, ClusterClient, ClusterPool, ClusterUrl, is_of_cluster
from bq_server.stream.keys import StreamKeys
from bq_server.stream.sentinel import SentinelPool, SentinelUrl, is_of_sentinels

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

OLDEST_WITH_REPLICAS = (7, 2)
"""The first version that can wait until a replica has something on disk."""


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
    except (RedisError, OSError, RuntimeError) as error:  # the last is uvloop's, of what is closed as it is written to
        raise StreamUnavailable(str(error)) from error


@asynccontextmanager
async def connect(url: str, *, timeout: float = WRITE_TIMEOUT) -> AsyncIterator[redis.Redis]:  # noqa: ASYNC109
    """A client for one role. It never retries by itself: an append sent twice may be made twice.

    A connection is opened when first needed; where the URL names sentinels or a cluster's nodes, to what they call the
    primary then. Leaving the context closes them. Raises `StreamUnusable` for an invalid URL.
    """
    options: dict[str, Any] = {
        "max_connections": CONNECTIONS,
        "timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_timeout": timeout,
    }
    try:
        pool = _pool(url, options)
        pool.connection_class = heeding(pool.connection_class)
        # It connects to nothing yet, and refuses what it doesn't know of the URL's query.
        pool.make_connection()  # type: ignore[no-untyped-call]
        client = (ClusterClient if is_of_cluster(url) else redis.Redis).from_pool(pool)
    except (ValueError, TypeError) as error:
        raise StreamUnusable(f"--redis-url (BQ_REDIS_URL) is not a Redis URL: {error}") from None
    try:
        yield client
    finally:
        await client.aclose()


def _pool(url: str, options: dict[str, Any]) -> redis.ConnectionPool:
    if is_of_sentinels(url):
        return SentinelPool(SentinelUrl.parse(url), **options)
    if is_of_cluster(url):
        return ClusterPool(ClusterUrl.parse(url), **options)
    return redis.BlockingConnectionPool.from_url(url, **options)


class Durability(Struct, frozen=True):
    """What the stream server is, and what an accepted event survives; `unknown` if it doesn't say."""

    server: str
    """For example `Valkey 9.1.2`."""
    appendonly: str = "unknown"
    appendfsync: str = "unknown"
    maxmemory_policy: str = "unknown"
    replicated: bool = False
    """Whether an event is accepted only once a replica has it on disk, too."""

    @property
    def promise(self) -> str:
        """In words, what a 202 means with this server."""
        if self.replicated:
            return "replica: an accepted event is on the disk of a replica, too, and survives a failover to it"
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


async def inspect(client: redis.Redis, url: str | None = None, *, replicated: bool = False) -> Durability:
    """Ask the server for its version and durability settings. `url` names the one the user chose.

    `replicated`: whether what is accepted must be on a replica's disk. Raises `StreamUnusable` for a version or for
    settings that lack what we need, `StreamUnavailable` if it doesn't respond.
    """
    try:
        info = await client.info("server")
        name, version = "Redis", str(info.get("redis_version", "0"))
        if "valkey_version" in info:
            name, version = "Valkey", str(info["valkey_version"])
        if int(version.split(".")[0]) < OLDEST_VERSION:
            raise StreamUnusable(f"{name} {version} is too old: version {OLDEST_VERSION} or newer is needed")
        in_cluster = "cluster" in (info.get("redis_mode"), info.get("server_mode"))
        if in_cluster and not (url is not None and is_of_cluster(url)):
            raise StreamUnusable(f"this is a node of a cluster: give --redis-url (BQ_REDIS_URL) as {FORM}")
        try:
            found: Any = await client.config_get("append*", "maxmemory-policy")
        except (NoPermissionError, ResponseError):
            found = {}  # managed servers often forbid CONFIG
    except (RedisError, OSError) as error:
        raise StreamUnavailable(str(error) if url is None else _unusable(url, error)) from error
    known = {name: found[name] for name in ("appendonly", "appendfsync") if name in found}
    policy = found.get("maxmemory-policy", "unknown")
    durability = Durability(f"{name} {version}", **known, maxmemory_policy=policy, replicated=replicated)
    if replicated:
        _require_disks(durability, version)
    return durability


def _require_disks(durability: Durability, version: str) -> None:
    """Raises `StreamUnusable` where it can't be known soon what is on a replica's disk."""
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_WITH_REPLICAS:
        wanted = ".".join(map(str, OLDEST_WITH_REPLICAS))
        raise StreamUnusable(f"--durability replica needs Redis or Valkey {wanted}, this is {durability.server}")
    if durability.appendonly not in ("yes", "unknown") or durability.appendfsync not in ("always", "unknown"):
        raise StreamUnusable(
            "--durability replica needs `appendonly yes` and `appendfsync always`, on the stream server and on its "
            f"replicas; here it is {durability.appendonly} and {durability.appendfsync}"
        )


def _unusable(url: str, error: Exception) -> str:
    """Why the server at this URL can't be used, and what to do, without showing its password."""
    parts = urlsplit(url)
    at = parts.netloc.rpartition("@")[2]
    if is_of_cluster(url):
        return (
            f"the cluster with nodes at {at} (--redis-url, BQ_REDIS_URL) can't be used: {str(error).rstrip('.')}; is "
            "one of them up, and does each take the user and password of the URL?"
        )
    if is_of_sentinels(url):
        return (
            f"the stream server that the sentinels at {at} call {parts.path.strip('/')} (--redis-url, BQ_REDIS_URL) "
            f"can't be used: {str(error).rstrip('.')}; do they know one of that name that is up, and does it take the "
            "user and password of the URL?"
        )
    where = parts.path if parts.scheme == "unix" else f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
    advice = "is it running there?"
    if isinstance(error, AuthenticationError) or "HELLO" in str(error):
        advice = f"give its user and password in the URL: {parts.scheme}://user:password@{where}"
    elif parts.scheme == "rediss":
        advice = "is it running there, with TLS and a certificate that is trusted here?"
    return f"the stream server at {where} (--redis-url, BQ_REDIS_URL) can't be used: {str(error).rstrip('.')}; {advice}"


async def owner_of(client: redis.Redis, keys: StreamKeys) -> str | None:
    """The installation whose facts the messages become; None before the first. Raises `StreamUnavailable`."""
    with asking():
        found: Any = await client.get(keys.owner)
    return found.decode() if found else None


async def take_ownership(
    client: redis.Redis, keys: StreamKeys, installation_id: str, advice: str | None = None
) -> bool:
    """Bind the stream to this installation's database, so that no message becomes a fact elsewhere.

    Returns whether it was bound before.

    `advice` replaces that of the error, for a stream that no other server can reach.
    Raises `StreamUnusable` if the stream is bound to another one, `StreamUnavailable` if it doesn't respond.
    """
    with asking():
        bound: Any = await client.set(keys.owner, installation_id, nx=True)
        owner: Any = await client.get(keys.owner)
    if owner is None or owner.decode() != installation_id:
        name = owner.decode() if owner else "nobody"
        raise StreamUnusable(
            advice
            or f"the stream under the prefix {keys.prefix!r} belongs to another data directory ({name}, this one is "
            f"{installation_id}): choose another prefix with --redis-prefix, or delete the key {keys.owner!r} "
            "if that installation no longer exists and its queued events should become facts here"
        )
    return not bound
