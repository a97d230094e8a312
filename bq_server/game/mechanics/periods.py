"""Calendar periods: streak periods in a zone, leaderboard windows in UTC."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, assert_never

from bq_server.game.document.fields import Period
from bq_server.game.document.leaderboards import Window
from bq_server.game.facts import Moment, timezone

HOUR = 3_600_000_000
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // _MICROSECOND


def to_micros(moment: datetime) -> int:
    """An aware datetime in microseconds since the epoch."""
    return (moment - _EPOCH) // _MICROSECOND


def _shown(at: int, zone: tzinfo) -> datetime:
    """The zone's wall clock time, for calculations on that clock. Raises `OverflowError` beyond the calendar."""
    return (_EPOCH + timedelta(microseconds=at)).astimezone(zone)


def local_date(at: int, zone: tzinfo) -> date:
    """The calendar date in a zone; at the ends of the calendar, the last existing date."""
    try:
        return _shown(at, zone).date()
    except OverflowError:
        return date.min if at < 0 else date.max


def utc_day(at: int) -> int:
    """The UTC date as an ordinal: day 1 is 1 January of the year 1."""
    return local_date(at, UTC).toordinal()


def period_of(at: int, period: Period, zone: tzinfo) -> int:
    """The number of the daily, weekly (from Monday) or monthly period that contains a moment."""
    return period_of_day(local_date(at, zone), period)


def period_of_day(day: date, period: Period) -> int:
    """The number of the period that holds a date."""
    match period:
        case "daily":
            return day.toordinal()
        case "weekly":
            return (day.toordinal() - 1) // 7
        case "monthly":
            return day.year * 12 + day.month - 1
    assert_never(period)


def period_start(number: int, period: Period, zone: tzinfo) -> int:
    """The first moment of a period, in microseconds: local midnight, or the next existing time if DST skips it."""
    try:
        first = first_day(number, period)
        return (datetime(first.year, first.month, first.day, tzinfo=zone) - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        return _LAST if number > 0 else _FIRST


@lru_cache(maxsize=4096)
def is_skipped(number: int, period: Period, zone: tzinfo) -> bool:
    """Whether the zone has no such period: a skipped day, such as 30 December 2011 in Apia."""
    if period != "daily" or zone is UTC:
        return False
    return period_start(number, period, zone) == period_start(number + 1, period, zone)


def period_before(at: int, back: int, period: Period, zone: tzinfo) -> int:
    """The number of the period of the wall clock time that many microseconds before a moment's."""
    try:
        return period_of_day((_shown(at, zone) - timedelta(microseconds=back)).date(), period)
    except OverflowError:
        return period_of_day(date.min if at - back < 0 else date.max, period)


def moment_after(at: int, ahead: int, zone: tzinfo) -> int:
    """When the zone's wall clock last shows that many microseconds more than at a moment."""
    try:
        ended = (_shown(at, zone) + timedelta(microseconds=ahead)).replace(fold=0)
        # If shown twice, the later one counts; if never shown, the moment at which the clock skips it.
        return max(each - _EPOCH for each in (ended, ended.replace(fold=1))) // _MICROSECOND if ahead else at
    except OverflowError:
        return at + ahead


def first_day(number: int, period: Period) -> date:
    """The first date of a period. Raises `ValueError` or `OverflowError` beyond the calendar."""
    match period:
        case "daily":
            return date.fromordinal(number)
        case "weekly":
            return date.fromordinal(number * 7 + 1)
        case "monthly":
            return date(number // 12, number % 12 + 1, 1)
    assert_never(period)


@lru_cache(maxsize=4096)
def window_period(ordinal: int, window: Window) -> str:
    """Which period of a leaderboard's window holds a day: `2026-04-10`, `2026-W15`, `2026-04`, `2026`."""
    if window == "all_time":
        return window
    day = date.fromordinal(ordinal)
    match window:
        case "daily":
            return day.isoformat()
        case "weekly":
            year, week, _ = day.isocalendar()
            return f"{year:04}-W{week:02}"
        case "monthly":
            return f"{day.year:04}-{day.month:02}"
        case "yearly":
            return f"{day.year:04}"
    assert_never(window)


def period_name(number: int, period: Period) -> str:
    """What a period is called, as those of leaderboards are; one beyond the calendar by its number."""
    try:
        return window_period(first_day(number, period).toordinal(), period)
    except (ValueError, OverflowError):
        return str(number)


class ProfileUnreadable(Exception):
    """This program can't read what is stored about a participant: their events wait."""


def zone_at(timeline: Sequence[Sequence[Any]], moment: Moment) -> tzinfo:
    """The participant's zone at a moment; UTC before the first known one.

    The timeline contains `[at, seq, zone name]` in order.
    """
    for at, seq, name in reversed(timeline):
        if (at, seq) <= moment:
            try:
                return timezone(name)
            except ValueError:
                raise ProfileUnreadable(f"the participant's time zone {name!r} is not known to this program") from None
    return UTC
