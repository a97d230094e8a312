"""Who has points that expire, and when to look at them.

Everything here is called on the writing connection's own thread (`Connection.run`), in a transaction.
"""

from collections.abc import Mapping
from typing import Any

from bq_server.events import Scope
from bq_server.store.queries import load

_queries = load("expiring_points", "sqlite3")

NAME = "expiring_points"
"""Under which `Database.outbox` wakes who looks at them."""


def watch(connection: Any, scope: Scope, moments: Mapping[str, int]) -> None:
    """Look at these participants at those moments, in microseconds, or at an earlier one that is already known."""
    own = scope._asdict()
    _queries.watch(connection, [own | {"participant_id": who, "due_at": at} for who, at in moments.items()])


def watch_everyone(connection: Any, scope: Scope) -> None:
    """Look at all participants of an environment, because its points now expire differently."""
    _queries.watch_everyone(connection, **scope._asdict())


def due(connection: Any, scope: Scope, now: int, limit: int) -> list[str]:
    """The participants to look at by now."""
    return [row[0] for row in _queries.due(connection, **scope._asdict(), now=now, limit=limit)]


def next_due(connection: Any, scope: Scope) -> int | None:
    """When to look at the next one; None if there is none."""
    found: int | None = _queries.next_due(connection, **scope._asdict())
    return found


def forget(connection: Any, scope: Scope, participant_id: str) -> None:
    """Stop looking at a participant."""
    _queries.remove(connection, **scope._asdict(), participant_id=participant_id)


def scopes(connection: Any) -> list[Scope]:
    """The environments with participants to look at."""
    return [Scope(*row) for row in _queries.scopes(connection)]
