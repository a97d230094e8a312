"""The periods of a streak, numbered in a row: hours, days, weeks or months, or those days of the week that count.

A record in period q continues a streak whose last period is p when it comes before the end of p + 1 and the grace. Put
the other way round, it reaches back to every period from `reach` on.
"""

from bisect import bisect_left
from datetime import MAXYEAR, UTC, date, tzinfo
from functools import lru_cache
from typing import assert_never

from msgspec import Struct

from bq_server.game.document.fields import WEEKDAYS, Period
from bq_server.game.document.streaks import Streak
from bq_server.game.mechanics.periods import (
    HOUR,
    first_day,
    is_skipped,
    local_date,
    moment_after,
    period_before,
    period_of,
    period_of_day,
    period_start,
)

_MINUTE = HOUR // 60


class StreakCalendar(Struct, frozen=True):
    """When a streak's periods begin and end, in a zone."""

    period: Period | None
    """None for hours, those of UTC whatever the zone."""
    grace: int
    """On the wall clock of the zone, in microseconds."""
    day_start: int = 0
    """How long after midnight, on that clock, a day begins; in microseconds."""
    weekdays: tuple[int, ...] = ()
    """The days of the week that count, Monday being 0; empty where all do."""

    @property
    def is_steady(self) -> bool:
        """Whether all records of a period reach back equally far."""
        hours = {None: 1, "daily": 24, "weekly": 7 * 24}.get(self.period)
        return self.grace == 0 or (hours is not None and self.grace % (hours * HOUR) == 0)

    def place(self, at: int, zone: tzinfo) -> tuple[int, int]:
        """The period of a moment, and the oldest last period of a streak that a record at that moment continues.

        On a day of rest, the period is the next one.
        """
        period = self._number(at, self.day_start, zone)
        reach = (self._number(at, self.day_start + self.grace, zone) if self.grace else period) - 1
        return period, reach - self._is_skipped(reach, zone)

    def rests(self, at: int, zone: tzinfo) -> bool:
        """Whether a moment is on a day that doesn't count."""
        return bool(self.weekdays) and self.rests_on(self.day_of(at, zone))

    def rests_on(self, day: date) -> bool:
        """Whether a day doesn't count."""
        return bool(self.weekdays) and day.weekday() not in self.weekdays

    def day_of(self, at: int, zone: tzinfo) -> date:
        """The streak's day that holds a moment."""
        if not self.day_start:
            return local_date(at, zone)
        return date.fromordinal(period_before(at, self.day_start, "daily", zone))

    def starts(self, period: int, zone: tzinfo) -> int:
        """When a period begins, in microseconds."""
        if self.period is None:
            return period * HOUR
        return moment_after(self._midnight(period, zone), self.day_start, zone)

    def ends(self, period: int, zone: tzinfo) -> int:
        """When a period ends, in microseconds."""
        if self.period is None:
            return (period + 1) * HOUR
        return moment_after(self._midnight_after(period, zone), self.day_start, zone)

    def day_bounds(self, day: date, zone: tzinfo) -> tuple[int, int]:
        """When a day begins and ends, of rest or not, in microseconds."""
        midnights = (period_start(each, "daily", zone) for each in (day.toordinal(), day.toordinal() + 1))
        start, end = (moment_after(each, self.day_start, zone) for each in midnights)
        return start, end

    def day_ends(self, at: int, zone: tzinfo) -> int:
        """When the period, or the day of rest, that holds a moment ends, in microseconds."""
        if not self.rests(at, zone):
            return self.ends(self.place(at, zone)[0], zone)
        return self.day_bounds(self.day_of(at, zone), zone)[1]

    def lost_at(self, last: int, zone: tzinfo) -> int:
        """When a streak whose last period is this one can no longer be continued, in microseconds."""
        following = last + 1 + self._is_skipped(last + 1, zone)
        if self.period is None:
            return (following + 1) * HOUR + self.grace
        return moment_after(self._midnight_after(following, zone), self.day_start + self.grace, zone)

    def first_day(self, period: int) -> date:
        """The first date of a period; of an hour, its date in UTC."""
        if self.period is None:
            return local_date(period * HOUR, UTC)
        return first_day(self._plain(period), self.period)

    def month_of(self, period: int) -> int:
        """The month in which a period begins, numbered in a row."""
        day = self.first_day(period)
        return day.year * 12 + day.month

    def begin_of(self, month: int) -> int:
        """The first period that begins in a month; after the calendar's last, one beyond `last_period`."""
        return _begin_of(self, month)

    @property
    def longest_month(self) -> int:
        """No month has more periods than this."""
        if self.weekdays:
            return min(5 * len(self.weekdays), 31)
        match self.period:
            case None:
                return 24 * 31
            case "daily":
                return 31
            case "weekly":
                return 5
            case "monthly":
                return 1
        assert_never(self.period)

    @property
    def last_period(self) -> int:
        """The last period of the calendar that ends within it."""
        return self.number_of(date.max) - 1

    def number_of(self, day: date) -> int:
        """The period that holds a date, its first hour if periods are hours; of a day of rest, the next."""
        if self.period is None:
            return period_start(day.toordinal(), "daily", UTC) // HOUR
        return self._numbered(period_of_day(day, self.period))

    def _number(self, at: int, back: int, zone: tzinfo) -> int:
        if self.period is None:
            return (at - back) // HOUR
        plain = period_before(at, back, self.period, zone) if back else period_of(at, self.period, zone)
        return self._numbered(plain)

    def _numbered(self, plain: int) -> int:
        """The number among the days that count of a day; as it is where all do."""
        if not self.weekdays:
            return plain
        week, weekday = divmod(plain - 1, 7)
        return week * len(self.weekdays) + bisect_left(self.weekdays, weekday)

    def _plain(self, period: int) -> int:
        """The day that has this number among those that count."""
        if not self.weekdays:
            return period
        week, index = divmod(period, len(self.weekdays))
        return week * 7 + self.weekdays[index] + 1

    def _midnight(self, period: int, zone: tzinfo) -> int:
        return period_start(self._plain(period), self.period or "daily", zone)

    def _midnight_after(self, period: int, zone: tzinfo) -> int:
        return period_start(self._plain(period) + 1, self.period or "daily", zone)

    def _is_skipped(self, period: int, zone: tzinfo) -> bool:
        return self.period == "daily" and is_skipped(self._plain(period), self.period, zone)


@lru_cache(maxsize=1 << 14)
def _begin_of(calendar: StreakCalendar, month: int) -> int:
    year, index = divmod(month - 1, 12)
    if year > MAXYEAR:
        return calendar.last_period + 1
    period = calendar.number_of(date(year, index + 1, 1))
    return period if calendar.month_of(period) >= month else period + 1


def streak_calendar(streak: Streak) -> StreakCalendar:
    """The calendar of a streak."""
    hours, minutes = streak.day_starts_at.split(":")
    return StreakCalendar(
        None if streak.period == "hourly" else streak.period,
        streak.grace_period_hours * HOUR,
        int(hours) * HOUR + int(minutes) * _MINUTE,
        tuple(sorted(WEEKDAYS.index(day) for day in streak.on_days or ())),
    )
