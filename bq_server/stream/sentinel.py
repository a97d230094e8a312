"""A primary that is found through sentinels: each connection asks them where it is when it is opened."""

from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import redis.asyncio as redis
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ReadOnlyError

SENTINEL_PORT = 26379

FORM = "redis+sentinel://user:password@host:26379,host:26379/name-of-the-primary/0"

CERTIFICATES = "ssl_ca_certs"
_OF_SENTINELS = {"sentinel_username": "username", "sentinel_password": "password"}
_KNOWN = (*_OF_SENTINELS, CERTIFICATES)
"""What a URL's query may have."""


def is_of_sentinels(url: str) -> bool:
    """Whether the URL names sentinels, rather than the stream server itself."""
    return urlsplit(url).scheme.endswith("+sentinel")


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """`redis+sentinel://[user:password@]host[:port][,host[:port]...]/name[/database]`, or `rediss+sentinel` with TLS.

    `?sentinel_password=` is for sentinels that want one. With TLS they are spoken to with TLS as well, and
    `?ssl_ca_certs=FILE` is for both.
    """

    hosts: tuple[tuple[str, int], ...]
    name: str
    """Under which the sentinels know the primary."""
    database: int
    tls: bool
    login: dict[str, str] = field(repr=False)
    """What a connection to the stream server needs beside its address, as redis-py names it."""
    sentinels_login: dict[str, str] = field(repr=False)
    """What one to a sentinel needs."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises `ValueError` where it is no such URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("redis+sentinel", "rediss+sentinel"):
            raise ValueError(f"the scheme {parts.scheme} is not known")
        user, _, hosts = parts.netloc.rpartition("@")
        name, _, database = parts.path.strip("/").partition("/")
        if not name or not (database or "0").isdecimal():
            raise ValueError(f"it must name the primary as the sentinels do: {FORM}")
        username, _, password = map(unquote, user.partition(":"))
        query, tls = _query(parts.query), parts.scheme == "rediss+sentinel"
        if CERTIFICATES in query and not tls:
            raise ValueError(f"{CERTIFICATES} is for TLS: rediss+sentinel://")
        own = {CERTIFICATES: query[CERTIFICATES]} if CERTIFICATES in query else {}
        login = {"username": username, "password": password, **own}
        for_sentinels = {part: query[name] for name, part in _OF_SENTINELS.items() if name in query} | own
        return cls(
            tuple(_host(each) for each in hosts.split(",")),
            unquote(name),
            int(database or 0),
            tls,
            {part: value for part, value in login.items() if value},
            for_sentinels,
        )


class SentinelPool(redis.BlockingConnectionPool):
    """Connections to whichever server is the primary when they are opened."""

    def __init__(self, url: SentinelUrl, **options: Any) -> None:
        """`options`: as of any pool. Sentinels get as long to answer as a connection may take to be opened."""
        limit = options["socket_connect_timeout"]
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
            url.hosts,
            sentinel_kwargs={
                **url.sentinels_login,
                "ssl": url.tls,
                "socket_timeout": limit,
                "socket_connect_timeout": limit,
                "retry": Retry(NoBackoff(), 0),
            },
        )
        self._name = url.name
        own: dict[str, Any] = {"pool": self, "db": url.database, **url.login, **options}
        super().__init__(connection_class=FollowingTlsConnection if url.tls else FollowingConnection, **own)

    async def primary(self) -> tuple[str, int]:
        """Where the primary is. Raises `RedisError` where no sentinel knows one that is up."""
        found: tuple[str, int] = await self._sentinel.discover_master(self._name)
        return found

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the connections, those to the sentinels as well."""
        await super().disconnect(inuse_connections)
        for each in self._sentinel.sentinels:
            await each.aclose()


class FollowingConnection(Connection):
    """A connection to the primary."""

    def __init__(self, *, pool: SentinelPool, **options: Any) -> None:
        super().__init__(**options)
        self._pool = pool

    async def connect(self) -> None:
        """Connect to where the primary is now."""
        if not self.is_connected:
            self.host, self.port = await self._pool.primary()
        await super().connect()  # type: ignore[no-untyped-call]

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        """As of any connection. One to a primary that has become a replica is closed."""
        try:
            return await super().read_response(*arguments, **options)
        except ReadOnlyError as error:
            await self.disconnect()
            raise Disconnected("the primary has become a replica") from error


class FollowingTlsConnection(FollowingConnection, SSLConnection):
    """The same with TLS."""


def _host(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"a host is missing: {FORM}")
    return parts.hostname, parts.port or SENTINEL_PORT


def _query(text: str) -> dict[str, str]:
    found = dict(parse_qsl(text, keep_blank_values=True))
    for name in found:
        if name not in _KNOWN:
            raise ValueError(f"{name} is not known: a query may have {', '.join(_KNOWN)}")
    return found
