"""Streaks whose end an endpoint wants to know, and when that will be.

Everything here is called on the writing connection's own thread (`Connection.run`), in a transaction.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from bq_server.events import Scope
from bq_server.exact_json import dumps
from bq_server.store.bulk import Insert
from bq_server.store.queries import load

_queries = load("watched_streaks", "sqlite3")
_put = Insert(_queries.put_streaks.sql)

NAME = "watched_streaks"
"""Under which `Database.outbox` wakes who looks at them."""

NEVER = 2**63 - 1
"""Stands for when a broken streak breaks: it is checked again when its participant has another fact."""


class WatchedStreak(Struct, frozen=True):
    """A running streak. Times are microseconds since the epoch, UTC."""

    participant_id: str
    code: str
    longest: int
    fact_id: str
    """The fact that extended it to this length."""
    occurred_at: int
    """Of that fact."""
    breaks_at: int = 0
    """0 if that is not yet known."""
    told: bool = False
    """Whether its end was announced."""


def put(connection: Any, scope: Scope, streaks: Iterable[WatchedStreak]) -> None:
    """Watch these; when they break is not yet known."""
    last = {(each.participant_id, each.code): each for each in streaks}
    _put(
        connection,
        [
            (*scope, each.participant_id, each.code, each.longest, each.fact_id, each.occurred_at)
            for each in last.values()
        ],
    )


def broken_of(connection: Any, scope: Scope, participants: Iterable[str], now: int) -> list[WatchedStreak]:
    """Broken streaks of these participants that weren't announced. From now on they count as announced.

    All of theirs that count as announced will be checked again: they may start again.
    """
    names = dumps(list(participants))
    rows = _queries.broken_of(connection, **scope._asdict(), participants=names, now=now)
    found = [_streak(row) for row in rows]
    if found:
        _queries.mark_told(connection, [_key(scope, each) for each in found])
    _queries.look_again(connection, **scope._asdict(), participants=names)
    return found


def forget_when(connection: Any, scope: Scope, participants: Iterable[str] | None = None) -> None:
    """Have the times at which they break recomputed, for these participants or the whole environment."""
    if participants is None:
        _queries.forget_when(connection, **scope._asdict())
    else:
        _queries.forget_when_of(connection, **scope._asdict(), participants=dumps(list(participants)))


def due(connection: Any, scope: Scope, now: int, limit: int) -> list[WatchedStreak]:
    """Those that have broken by now, unless they were extended, and those of which it isn't known when they will."""
    return [_streak(row) for row in _queries.due(connection, **scope._asdict(), now=now, limit=limit)]


def next_due(connection: Any, scope: Scope) -> int | None:
    """When the next one breaks; 0 if one is still to be checked, None if none is watched."""
    found: int | None = _queries.next_due(connection, **scope._asdict())
    return found


def put_when(connection: Any, scope: Scope, moments: Sequence[tuple[WatchedStreak, int | None]]) -> None:
    """Store when these will break; None for one that has, and was announced."""
    rows = [_key(scope, each) | {"breaks_at": NEVER if at is None else at, "told": at is None} for each, at in moments]
    if rows:
        _queries.put_when(connection, rows)


def remove_all(connection: Any, scope: Scope) -> None:
    """Watch none of the environment any more."""
    _queries.remove_all(connection, **scope._asdict())


def remove(connection: Any, scope: Scope, streaks: Sequence[WatchedStreak]) -> None:
    """Stop watching these."""
    if streaks:
        _queries.remove(connection, [_key(scope, each) for each in streaks])


def scopes(connection: Any) -> list[Scope]:
    """The environments where some are watched."""
    return [Scope(*row) for row in _queries.scopes(connection)]


def _streak(row: Sequence[Any]) -> WatchedStreak:
    who, code, longest, fact_id, occurred_at, breaks_at, told = row
    return WatchedStreak(who, code, longest, fact_id, occurred_at, breaks_at, bool(told))


def _key(scope: Scope, streak: WatchedStreak) -> dict[str, Any]:
    return {**scope._asdict(), "participant_id": streak.participant_id, "code": streak.code}
