"""What open feeds have asked to be told that is worked out only for who asks, by environment.

A wish outlives its feed by a while, so that who connects again has missed nothing. Everything here is called on the
connection's own thread (`Connection.run`).
"""

from collections.abc import Iterable
from typing import Any

from bq_server.events import Scope
from bq_server.store.queries import load

_queries = load("feed_wishes", "sqlite3")


def of(connection: Any, scope: Scope) -> frozenset[str]:
    """The event types that are wished for in the environment."""
    return frozenset(event_type for (event_type,) in _queries.of(connection, **scope._asdict()))


def last_until(connection: Any, scope: Scope, event_types: Iterable[str]) -> int:
    """Until when all of these are wished for, by the server's clock; 0 where one is not."""
    known = dict(_queries.untils(connection, **scope._asdict()))
    return min((known.get(each, 0) for each in event_types), default=0)


def put(connection: Any, scope: Scope, event_types: Iterable[str], until: int) -> None:
    """Wish for these until that moment of the server's clock, in microseconds since the epoch, or later."""
    for event_type in event_types:
        _queries.put(connection, **scope._asdict(), event_type=event_type, until=until)


def remove_old(connection: Any, now: int) -> None:
    """Forget what was wished for until before now."""
    _queries.remove_old(connection, now=now)
