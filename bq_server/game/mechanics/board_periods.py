"""The periods of a leaderboard: which contain a moment, which is current, which came before, and their names."""

import re
from bisect import bisect_right
from datetime import UTC, date, tzinfo

from msgspec import Struct

from bq_server.game.document.leaderboards import Leaderboard, Window, WindowName
from bq_server.game.facts import timezone
from bq_server.game.mechanics.periods import local_date, to_micros, window_period
from bq_server.moments import format_timestamp

_SHAPES: dict[Window, re.Pattern[str]] = {
    "daily": re.compile(r"(\d{4})-(\d\d)-(\d\d)"),
    "weekly": re.compile(r"(\d{4})-W(\d\d)"),
    "monthly": re.compile(r"(\d{4})-(\d\d)"),
    "yearly": re.compile(r"(\d{4})"),
}
"""What the periods of a window are called, but for all time, which has one."""

PeriodOfWindow = tuple[WindowName, str]
"""A window and the name of one of its periods."""


class SeasonDates(Struct, frozen=True):
    """A season, in microseconds."""

    period: str
    """It is called by its start, so that later ones sort last."""
    starts_at: int
    ends_at: int


class BoardPeriods(Struct, frozen=True):
    """The windows of one leaderboard."""

    names: tuple[WindowName, ...]
    """In the order of the document; the first is the default."""
    zone: tzinfo
    seasons: tuple[SeasonDates, ...]
    """In the order of time; no two overlap."""
    starts: tuple[int, ...]
    """Of the seasons."""

    @classmethod
    def of(cls, board: Leaderboard) -> "BoardPeriods":
        """Those of a definition."""
        dates = [(to_micros(each.starts_at), to_micros(each.ends_at)) for each in board.seasons]
        seasons = tuple(SeasonDates(format_timestamp(starts_at), starts_at, ends_at) for starts_at, ends_at in dates)
        zone = UTC if board.timezone == "UTC" else timezone(board.timezone)
        return cls(tuple(board.window_names), zone, seasons, tuple(each.starts_at for each in seasons))

    @property
    def are_of_utc_days(self) -> bool:
        """Whether moments of one UTC day fall into the same periods."""
        return self.zone is UTC and not self.seasons

    def at(self, moment: int) -> list[PeriodOfWindow]:
        """The windows that contain a moment, each with its period; a season may be over or not have begun."""
        day = self._day(moment)
        found: list[PeriodOfWindow] = []
        for name in self.names:
            if name != "season":
                found.append((name, window_period(day, name)))
            elif (number := self._season(moment)) >= 0 and moment < self.seasons[number].ends_at:
                found.append((name, self.seasons[number].period))
        return found

    def place_in_time(self, moment: int) -> tuple[int, int]:
        """Equal for moments that fall into the same periods."""
        number = self._season(moment)
        return self._day(moment), 2 * number + (number >= 0 and moment >= self.seasons[number].ends_at)

    def now(self, name: WindowName, moment: int) -> str:
        """The current period of a window; for seasons, the last that has begun, or else the first."""
        if name == "season":
            return self.seasons[max(self._season(moment), 0)].period
        return window_period(self._day(moment), name)

    def before(self, name: WindowName, period: str) -> str | None:
        """The period before one, if there is one."""
        if name == "season":
            earlier = [each.period for each in self.seasons if each.period < period]
            return max(earlier, default=None)
        first = None if name == "all_time" else first_day(name, period)
        return None if first is None or first == date.min else window_period(first.toordinal() - 1, name)

    def named(self, asked: str) -> PeriodOfWindow | None:
        """The period with this name, and its window; None if there is none."""
        for name in self.names:
            if name == "season":
                if any(each.period == asked for each in self.seasons):
                    return name, asked
            elif first_day(name, asked) is not None:
                return name, asked
        return None

    def _day(self, moment: int) -> int:
        """The day, in the zone, as an ordinal."""
        return local_date(moment, self.zone).toordinal()

    def _season(self, moment: int) -> int:
        """The number of the last season that has begun by a moment; -1 if none has."""
        return bisect_right(self.starts, moment) - 1


def first_day(window: Window, period: str) -> date | None:
    """The first day of the period with this name in a window; None if there is none."""
    shape = _SHAPES.get(window)
    found = None if shape is None else shape.fullmatch(period)
    if found is None:
        return None
    year, *rest = (int(each) for each in found.groups())
    try:
        return date.fromisocalendar(year, rest[0], 1) if window == "weekly" else date(year, *rest, *(1, 1)[len(rest) :])
    except ValueError:
        return None
