"""Links to the console and sessions of it, where several processes serve: a request may go to any of them."""

from typing import Literal

from msgspec import Struct

from bq_server.store.database import Connection
from bq_server.store.processes import MEMORY
from bq_server.store.queries import load

_queries = load("console_sessions")


SessionKind = Literal["link", "session"]


class KeptSession(Struct, frozen=True):
    """A link or a session. Times are microseconds since the epoch, UTC."""

    secret_hash: str
    """Lower-case hex."""
    kind: SessionKind
    key_id: str
    lasts: int
    ends_at: int


async def put(connection: Connection, kept: KeptSession, now: int) -> None:
    """Keep it, in a transaction, and none that has ended."""
    connection.wakes.add(MEMORY)
    await _queries.remove_ended(connection, now=now)
    await _queries.put(
        connection,
        secret_hash=kept.secret_hash,
        kind=kept.kind,
        key_id=kept.key_id,
        lasts=kept.lasts,
        ends_at=kept.ends_at,
    )


async def remove(connection: Connection, secret_hash: str) -> bool:
    """Remove it, in a transaction; whether it was there."""
    connection.wakes.add(MEMORY)
    return bool(await _queries.remove(connection, secret_hash=secret_hash))


async def every(connection: Connection) -> list[KeptSession]:
    """All that are kept, in the order in which they end."""
    return [KeptSession(*row) async for row in _queries.every(connection)]
