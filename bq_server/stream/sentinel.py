"""A primary that is found through sentinels: each connection asks them where it is when it is opened."""

from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote

from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from bq_server.stream.hosts_url import CERTIFICATES, HostsUrl, is_of_kind
from bq_server.stream.primary_connection import FollowingPool

SENTINEL_PORT = 26379

FORM = "redis+sentinel://user:password@host:26379,host:26379/name-of-the-primary/0"

_KIND = "sentinel"
_OF_SENTINELS = {"sentinel_username": "username", "sentinel_password": "password"}
"""What a URL's query may have for them."""


def is_of_sentinels(url: str) -> bool:
    """Whether the URL names sentinels, rather than the stream server itself."""
    return is_of_kind(url, _KIND)


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
        found = HostsUrl.parse(url, kind=_KIND, form=FORM, port=SENTINEL_PORT, known=tuple(_OF_SENTINELS))
        name, _, database = found.path.partition("/")
        if not name or not (database or "0").isdecimal():
            raise ValueError(f"it must name the primary as the sentinels do: {FORM}")
        known = {**_OF_SENTINELS, CERTIFICATES: CERTIFICATES}
        for_sentinels = {part: found.query[name] for name, part in known.items() if name in found.query}
        return cls(found.hosts, unquote(name), int(database or 0), found.tls, found.login, for_sentinels)


class SentinelPool(FollowingPool):
    """Connections to the server that sentinels call the primary."""

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
        super().__init__(tls=url.tls, db=url.database, **url.login, **options)

    async def primary(self) -> tuple[str, int]:
        """Where the primary is. Raises `RedisError` where no sentinel knows one that is up."""
        found: tuple[str, int] = await self._sentinel.discover_master(self._name)
        return found

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the connections, those to the sentinels as well."""
        await super().disconnect(inuse_connections)
        for each in self._sentinel.sentinels:
            await each.aclose()
