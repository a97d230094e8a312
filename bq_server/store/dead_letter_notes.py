"""Messages that are about to become dead letters: noted before, announced afterwards."""

from typing import Any

from bq_server.store.database import Connection
from bq_server.store.queries import load

_queries = load("dead_letter_notes")
_reading = load("dead_letter_notes", "sqlite3")


async def add(connection: Connection, message_id: str, died_at: int) -> None:
    """Note that a message is about to. `died_at` is in microseconds since the epoch, UTC."""
    await _queries.add(connection, message_id=message_id, died_at=died_at)


async def every(connection: Connection) -> dict[str, int]:
    """When those that are noted became dead letters, by message id."""
    return {message_id: died_at async for message_id, died_at in _queries.every(connection)}


def any_noted(reading: Any) -> bool:
    """Whether any is noted, on the connection's own thread."""
    return any(True for _ in _reading.every(reading))


async def remove(connection: Connection, message_id: str) -> None:
    """Forget it."""
    await _queries.remove(connection, message_id=message_id)
