"""Points that expire: when, and how many of them are left by then.

What is spent or expires is taken from the points that expire first, so what has expired by a moment is what was given
that expires by then, less everything ever taken. The order of arrival doesn't change that.
"""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from bq_server.game.document.points import PointsExpiry
from bq_server.game.mechanics.account import standing_entries
from bq_server.game.mechanics.periods import to_micros
from bq_server.game.mechanics.rule import LedgerEntry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

NEVER = 2**63 - 1
"""Stands for a moment beyond the calendar."""


class ExpiringPoints(Struct, frozen=True):
    """Points that are left, and when they expire, in microseconds."""

    amount: int
    expires_at: int


def expires_at(expiry: PointsExpiry, at: int) -> int:
    """When points given at a moment expire; both in microseconds since the epoch, UTC."""
    try:
        given = _EPOCH + timedelta(microseconds=at)
        if expiry.after is not None:
            return to_micros(given + expiry.after)
        for year in (given.year, given.year + 1):
            day = datetime(year, *expiry.day, tzinfo=UTC)
            if day > given:
                return to_micros(day)
    except (OverflowError, ValueError):
        pass
    return NEVER


def left(expiry: PointsExpiry, ledger: Iterable[LedgerEntry]) -> list[ExpiringPoints]:
    """The points that are left, by when they expire; including those that have expired but weren't taken yet."""
    entries = standing_entries(ledger)
    given: dict[int, int] = {}
    for entry in entries:
        if entry.amount > 0:
            moment = expires_at(expiry, entry.occurred_at)
            given[moment] = given.get(moment, 0) + entry.amount
    taken = -sum(entry.amount for entry in entries if entry.amount < 0)
    found: list[ExpiringPoints] = []
    for moment in sorted(given):
        rest = max(given[moment] - taken, 0)
        taken = max(taken - given[moment], 0)
        if rest:
            found.append(ExpiringPoints(rest, moment))
    return found


def expired(expiry: PointsExpiry, ledger: Iterable[LedgerEntry], now: int) -> list[ExpiringPoints]:
    """Those that are left and have expired by now."""
    points = left(expiry, ledger)
    return points[: bisect_right(points, now, key=lambda each: each.expires_at)]
