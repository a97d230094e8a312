"""A streak as a calendar: each period between two dates, with its status."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Literal, assert_never

from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import At
from bq_server.game.facts import Moment
from bq_server.game.mechanics.freezes import FrozenRuns
from bq_server.game.mechanics.periods import zone_at
from bq_server.game.mechanics.runs import Runs
from bq_server.game.mechanics.streaks import StreakRule
from bq_server.game.read_models import FAR_SEQ
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells

MAX_PERIODS = 400
"""Most periods of one calendar."""

PeriodStatus = Literal["recorded", "open", "forgiven", "frozen", "missed", "rest", "none", "upcoming"]


@dataclass(frozen=True, slots=True)
class StreakPeriodState:
    """One period, or a day of rest."""

    date: str
    """Its first date, in the streak's zone; of an hour, in UTC."""
    starts_at: At
    ends_at: At
    status: PeriodStatus
    """`open` is the one that now is, until it is recorded; `forgiven` was missed without breaking the streak, `frozen`
    was covered by a freeze; `none` came before the first record."""
    times: int
    """How many events it has that count; no more than it takes."""


@dataclass(frozen=True, slots=True)
class StreakCalendarState:
    """A streak between two dates."""

    code: str
    period: str
    timezone: str
    required: int
    start: str
    end: str
    periods: list[StreakPeriodState]


class TooManyPeriods(ValueError):
    """There are more periods between the dates than a calendar shows."""


def read_calendar(
    game: CompiledGame,
    code: str,
    cells: Cells,
    older: Mapping[str, Cell],
    dates: tuple[date | None, date | None],
    now: int,
) -> StreakCalendarState:
    """A streak's periods between two dates, both included: by default this month, of hours today, or this year.

    `older` holds the cells of the stretches that its own cell keeps no longer, those under `keys.members`.
    Raises `KeyError` when the game has no such streak, and `TooManyPeriods`.
    """
    rule = game.rules[f"streak/{code}"]
    if not isinstance(rule, StreakRule):
        raise KeyError(code)
    zone = rule.zone or zone_at(cells.get(keys.ZONE, ()), Moment(now, FAR_SEQ))
    start, end = _dates(rule, dates, rule.calendar.day_of(now, zone))
    cell = cells.get(rule.cell)
    runs = rule.runs(cell if cell is not None and cell["rev"] == rule.revision else None)
    if runs.rows_known:
        runs.recall((int(key.rpartition("/")[2]), row) for key, row in older.items())
    return StreakCalendarState(
        code,
        rule.period,
        str(zone),
        rule.required,
        start.isoformat(),
        end.isoformat(),
        list(_periods(rule, runs, zone, start, end, now)),
    )


def _dates(rule: StreakRule, dates: tuple[date | None, date | None], today: date) -> tuple[date, date]:
    start, end = dates
    match rule.period:
        case "hourly":
            first, last = today, today
        case "daily":
            first = today.replace(day=1)
            last = date(today.year + today.month // 12, today.month % 12 + 1, 1)
            last = date.fromordinal(last.toordinal() - 1)
        case "weekly" | "monthly":
            first, last = date(today.year, 1, 1), date(today.year, 12, 31)
        case unknown:
            assert_never(unknown)
    if start is not None and end is None:
        last = max(last, start)
    if end is not None and start is None:
        first = min(first, end)
    return start or first, end or last


def _periods(
    rule: StreakRule, runs: Runs, zone: tzinfo, start: date, end: date, now: int
) -> Iterator[StreakPeriodState]:
    calendar = rule.calendar
    shown = _Statuses(rule, runs, zone, now)
    first, last = calendar.number_of(start), calendar.number_of(end) + (23 if calendar.period is None else 0)
    days = end.toordinal() - start.toordinal() + 1
    if (days if calendar.weekdays else last - first + 1) > MAX_PERIODS:
        raise TooManyPeriods(f"a calendar shows at most {MAX_PERIODS} periods")
    if not calendar.weekdays:
        for period in range(first, last + 1):
            yield _period(rule, runs, zone, period, shown.of(period))
        return
    for ordinal in range(start.toordinal(), end.toordinal() + 1):
        day = date.fromordinal(ordinal)
        if calendar.rests_on(day):
            yield StreakPeriodState(day.isoformat(), *calendar.day_bounds(day, zone), "rest", 0)
        else:
            period = calendar.number_of(day)
            yield _period(rule, runs, zone, period, shown.of(period))


def _period(rule: StreakRule, runs: Runs, zone: tzinfo, period: int, status: PeriodStatus) -> StreakPeriodState:
    calendar = rule.calendar
    times = rule.required if status == "recorded" else runs.times(period)
    bounds = calendar.starts(period, zone), calendar.ends(period, zone)
    return StreakPeriodState(calendar.first_day(period).isoformat(), *bounds, status, times)


class _Statuses:
    """The status of each period of a streak, as of a moment."""

    def __init__(self, rule: StreakRule, runs: Runs, zone: tzinfo, now: int) -> None:
        period, reach = rule.calendar.place(now, zone)
        self._now, self._rests = period, rule.calendar.rests(now, zone)
        self._stretches = runs.stretches
        self._links = runs.links()
        self._last = None if not runs.stretches else runs.stretches[-1][1]
        self._covered: list[range] = []
        if isinstance(runs, FrozenRuns):
            stand = runs.stand(period - self._rests, reach)
            self._covered = [*runs.covered(), *([stand.covered] if stand is not None else [])]
            self._last = stand.last if stand is not None else None
        self._reach = reach

    def of(self, period: int) -> PeriodStatus:
        begun = bisect_right(self._stretches, period, key=lambda stretch: stretch[0])
        newest = begun - 1 if begun else None
        if newest is not None and period <= self._stretches[newest][1]:
            return "recorded"
        if any(period in covered for covered in self._covered):
            return "frozen"
        if period > self._now or (period == self._now and self._rests):
            return "upcoming"
        if period == self._now:
            return "open"
        if newest is None:
            return "none"
        if newest + 1 < len(self._stretches):
            return "forgiven" if self._links[newest + 1] else "missed"
        return "forgiven" if self._last is not None and self._last >= self._reach else "missed"
