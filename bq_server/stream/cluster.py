"""A primary in a cluster: each connection asks the cluster's nodes which one serves the hash slot, when it is opened.

All keys of an installation are in one slot, so a client needs one primary at a time. redis-py's client for clusters is
not used: it sends commands again by itself, and those that name no key, such as WAITAOF, to another node.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import redis.asyncio as redis
from redis.asyncio.connection import Connection, SSLConnection
from redis.crc import key_slot
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError

from bq_server.stream.hosts_url import HostsUrl, is_of_kind
from bq_server.stream.keys import StreamKeys
from bq_server.stream.primary_connection import FollowingPool

NODE_PORT = 6379

FORM = "redis+cluster://user:password@host:6379,host:6379/name-of-the-queue"

_KIND = "cluster"
_NAME = re.compile(r"[^{}/]+")

Address = tuple[str, int]


def is_of_cluster(url: str) -> bool:
    """Whether the URL names nodes of a cluster."""
    return is_of_kind(url, _KIND)


@dataclass(frozen=True, slots=True)
class ClusterUrl:
    """`redis+cluster://[user:password@]host[:port][,host[:port]...]/name`, or `rediss+cluster` with TLS.

    Any nodes of the cluster will do; `?ssl_ca_certs=FILE` is for TLS.
    """

    hosts: tuple[Address, ...]
    name: str
    """What all keys have in braces: it decides in which hash slot they are."""
    tls: bool
    login: dict[str, str] = field(repr=False)
    """What a connection needs beside its address, as redis-py names it."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises `ValueError` where it is no such URL."""
        found = HostsUrl.parse(url, kind=_KIND, form=FORM, port=NODE_PORT)
        name = _name_in(found.path)
        if name is None:
            raise ValueError(f"it must give the queue a name, without braces, which all its keys have: {FORM}")
        return cls(found.hosts, name, found.tls, found.login)


def keys_at(url: str | None, prefix: str) -> StreamKeys:
    """The names of keys in the stream server of this URL: in a cluster they begin with what puts them into one slot."""
    name = _name_in(urlsplit(url).path.strip("/")) if url is not None and is_of_cluster(url) else None
    return StreamKeys(prefix) if name is None else StreamKeys(prefix, f"{{{name}}}:")


class ClusterPool(FollowingPool):
    """Connections to the primary that serves a hash slot."""

    def __init__(self, url: ClusterUrl, **options: Any) -> None:
        """`options`: as of any pool. All nodes together get as long to answer as a connection may take to be opened."""
        self.name = url.name
        self._slot = key_slot(f"{{{url.name}}}".encode())
        self._limit: float = options["socket_connect_timeout"]
        self._hosts = url.hosts
        self._nodes = [*url.hosts]
        """In the order in which they are asked."""
        self._kind = SSLConnection if url.tls else Connection
        self._options = {**url.login, **{name: options[name] for name in ("socket_timeout", "retry")}}
        super().__init__(tls=url.tls, **url.login, **options)

    async def primary(self) -> Address:
        """Where the primary is. Raises `RedisError` where no node that answers knows it."""
        problem: Exception = Disconnected("no node of the cluster answers")
        try:
            async with asyncio.timeout(self._limit):
                for _ in range(len(self._nodes)):
                    # Whoever was asked is the last one next time: it may be cut off from the others, and wrong.
                    node = self._nodes.pop(0)
                    self._nodes.append(node)
                    try:
                        found = await self._ask(node)
                    except (RedisError, OSError) as error:
                        problem = error
                        continue
                    if found is not None:
                        return found
                    problem = Disconnected(f"{node[0]}:{node[1]} knows no primary for hash slot {self._slot}")
        except TimeoutError:
            problem = Disconnected(f"no node of the cluster has said within {self._limit:g} s where the primary is")
        raise Disconnected(str(problem)) from problem

    async def _ask(self, node: Address) -> Address | None:
        connection = self._kind(host=node[0], port=node[1], socket_connect_timeout=self._limit, **self._options)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("CLUSTER", "SLOTS")
            ranges: Any = await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)
        found = None
        known: dict[Address, None] = {}
        for first, last, primary, *replicas in ranges:
            for each in (primary, *replicas):
                known[_address(each, node)] = None
            if first <= self._slot <= last:
                found = _address(primary, node)
        self._learn(known)
        return found

    def _learn(self, known: Mapping[Address, None]) -> None:
        """Ask these from now on, too: the nodes of the URL may all be gone one day."""
        kept = [each for each in self._nodes if each in known or each in self._hosts]
        self._nodes = kept + [each for each in known if each not in kept]


class ClusterClient(redis.Redis):
    """A client of the primary that serves a hash slot."""

    async def ping(self, **_: Any) -> bool:
        """Whether the primary serves the slot, rather than merely answers. Raises `RedisError`."""
        pool: Any = self.connection_pool
        # Such as a claim that nobody has made yet: of a slot that is on its way, a primary serves only what is there.
        await self.exists(f"{{{pool.name}}}")
        return True


def _name_in(path: str) -> str | None:
    name = unquote(path)
    return name if _NAME.fullmatch(name) else None


def _address(described: Any, asked: Address) -> Address:
    """A node's address, as the node that was asked gives it: where it gives none, it is its own."""
    host, port = described[0], described[1]
    return (host.decode() if host else asked[0]), int(port)
