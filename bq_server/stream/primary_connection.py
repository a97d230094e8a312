"""Connections to whichever server is the primary when they are opened."""

from abc import abstractmethod
from typing import Any

import redis.asyncio as redis
from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import AskError, ClusterDownError, ReadOnlyError, TryAgainError
from redis.exceptions import ConnectionError as Disconnected

_A_REPLICA = "the primary has become a replica"
_ON_ITS_WAY = "the hash slot is being moved to another primary"
REASONS = {
    "READONLY": _A_REPLICA,
    "UNBLOCKED": _A_REPLICA,
    "MOVED": "the hash slot has another primary now",
    "ASK": _ON_ITS_WAY,
    "TRYAGAIN": _ON_ITS_WAY,
    "CLUSTERDOWN": "the cluster is down, or knows no primary for the hash slot",
}
"""How errors of a server begin that isn't the primary, or will soon be it no more; and what they mean."""


def reason_to_leave(error: str) -> str | None:
    """Why the connection on which a server gave this error is of no use any more; None where it is."""
    return REASONS.get(error.partition(" ")[0])


class FollowingPool(redis.BlockingConnectionPool):
    """A pool of connections that find the primary when they are opened."""

    def __init__(self, *, tls: bool, **options: Any) -> None:
        """`options`: as of any pool."""
        own: dict[str, Any] = {"pool": self, **options}
        super().__init__(connection_class=FollowingTlsConnection if tls else FollowingConnection, **own)

    @abstractmethod
    async def primary(self) -> tuple[str, int]:
        """Where the primary is. Raises `RedisError` where nobody knows one that is up."""


class FollowingConnection(Connection):
    """A connection to the primary."""

    def __init__(self, *, pool: FollowingPool, **options: Any) -> None:
        super().__init__(**options)
        self._pool = pool

    async def connect(self) -> None:
        """Connect to where the primary is now."""
        if not self.is_connected:
            self.host, self.port = await self._pool.primary()
        await super().connect()  # type: ignore[no-untyped-call]

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        """As of any connection. One to a server that isn't the primary any more is closed; nothing is sent again."""
        try:
            return await super().read_response(*arguments, **options)
        except (ReadOnlyError, AskError, TryAgainError, ClusterDownError) as error:
            await self.disconnect()
            raise Disconnected(REASONS[str(error.status_code)]) from error


class FollowingTlsConnection(FollowingConnection, SSLConnection):
    """The same with TLS."""
