"""Whether a store is complete and in use: not during a move into it, and not after a move out of it."""

import json
from typing import Any, NamedTuple

from bq_server.store.queries import load
from bq_server.store.unavailable import StoreUnavailable

MOVES = "store_moves"

_queries = load("moves", "sqlite3")
_copying = load("copying", "sqlite3")


class Mark(NamedTuple):
    """What a store is marked with."""

    way: str
    """`from`: it is being filled; `to`: all of it is elsewhere."""
    other: str
    """The other store, as messages call it."""


def require_in_use(connection: Any, name: str) -> None:
    """Raises `StoreUnavailable` for a store that isn't complete yet, or no longer in use."""
    mark = mark_of(connection)
    if mark is None:
        return
    if mark.way == "from":
        raise StoreUnavailable(f"{name}: a move from {mark.other} is not finished: run `bq-server store move` again")
    raise StoreUnavailable(f"{name}: it was moved to {mark.other}: use that one instead")


def mark_of(connection: Any) -> Mark | None:
    """What the store is marked with, if anything."""
    if not _copying.has_table(connection, name=MOVES):
        return None
    row = _queries.mark(connection)
    return None if row is None else Mark(*row)


def put_mark(connection: Any, mark: Mark) -> None:
    """Mark the store, in a transaction."""
    if not _copying.has_table(connection, name=MOVES):
        _queries.make(connection)
    _queries.put(connection, name=mark.way, value=mark.other)


def remove_mark(connection: Any) -> None:
    """The store is complete."""
    _queries.end(connection)


def progress(connection: Any, table: str) -> tuple[list[Any] | None, int]:
    """The key of the last row of a table that was moved, None before the first, and the number of rows moved."""
    found = _queries.get(connection, name=f"table/{table}")
    return (None, 0) if found is None else tuple(json.loads(found))


def put_progress(connection: Any, table: str, after: list[Any], done: int) -> None:
    """Record that, in the transaction that moves them."""
    _queries.put(connection, name=f"table/{table}", value=json.dumps([after, done]))
