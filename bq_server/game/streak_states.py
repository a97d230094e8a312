"""Streaks as a participant's cells say them at a moment, ready to be serialized; see `read_models`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC

from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import At
from bq_server.game.facts import Moment
from bq_server.game.mechanics.freezes import FreezeRules, FrozenRuns
from bq_server.game.mechanics.periods import zone_at
from bq_server.game.mechanics.runs import Runs
from bq_server.game.mechanics.streaks import StreakRule
from bq_server.game.read_models import FAR_SEQ, MilestoneState, milestone_state
from bq_server.game.state import keys
from bq_server.game.state.keys import Cells


@dataclass(frozen=True, slots=True)
class FreezesState:
    """The freezes one has for a streak."""

    available: int
    max: int
    automatic: bool
    price: int | None
    """In points; none where none can be bought."""


@dataclass(frozen=True, slots=True)
class StreakState:
    """A streak at a moment."""

    code: str
    name: str | None
    description: str | None
    period: str
    current_count: int
    longest_count: int
    last_recorded_at: At | None
    is_at_risk: bool
    """Whether it will be lost within the current period, unless extended."""
    expires_at: At | None
    """When it will be lost, unless extended before; None for a streak of length 0."""
    times: int
    """How many events of the period that now is have counted; no more than it takes."""
    required: int
    """How many a period takes."""
    freezes: FreezesState | None
    """None for a streak without."""
    timezone: str
    milestones: list[MilestoneState] = field(default_factory=list)


def read_streaks(game: CompiledGame, cells: Cells, now: int) -> list[StreakState]:
    """The streaks that the participant has ever recorded, at a moment, by display order."""
    return list(_streaks(game, cells, now))


def _streaks(game: CompiledGame, cells: Cells, now: int) -> Iterator[StreakState]:
    zone_here = zone_at(cells.get(keys.ZONE, ()), Moment(now, FAR_SEQ))
    for definition in sorted(game.game.streaks, key=lambda streak: streak.display_order):
        rule = game.rules[f"streak/{definition.code}"]
        cell = cells.get(keys.streak(definition.code))
        if cell is None or not isinstance(rule, StreakRule) or cell["rev"] != rule.revision:
            continue
        runs = rule.runs(cell)
        if runs.newest is None:
            continue  # counted anew, of nothing
        zone = rule.zone or zone_here
        calendar = rule.calendar
        period, reach = calendar.place(now, zone)
        # A day of rest comes before the period that holds it.
        last, count = runs.until(period - calendar.rests(now, zone))
        stand = runs.stand(period - calendar.rests(now, zone), reach) if isinstance(runs, FrozenRuns) else None
        if stand is not None:
            last = stand.last
        alive = last is not None and last >= reach
        if isinstance(runs, FrozenRuns) and stand is not None:
            last = runs.end(stand)
        lost_at = calendar.lost_at(last, zone) if last is not None and alive else None
        given = cell.get("given", {})
        yield StreakState(
            definition.code,
            definition.name,
            definition.description,
            definition.period,
            current_count=count if alive else 0,
            longest_count=runs.longest,
            last_recorded_at=_last_recorded(rule, runs),
            is_at_risk=lost_at is not None and lost_at <= calendar.day_ends(now, zone),
            expires_at=lost_at,
            times=0 if calendar.rests(now, zone) else rule.required if runs.has(period) else runs.times(period),
            required=rule.required,
            freezes=_freezes(runs, period, reach),
            timezone="UTC" if zone is UTC else str(zone),
            milestones=[milestone_state(each.at, given) for each in definition.milestones],
        )


def _last_recorded(rule: StreakRule, runs: Runs) -> int | None:
    if rule.notes_records or runs.newest is None:
        return runs.recorded_at
    return runs.newest.at


def freezes_of(runs: FrozenRuns, rules: FreezeRules, period: int, reach: int) -> FreezesState:
    """The freezes one has at a period, of a streak that is alive if its last is not before `reach`."""
    return FreezesState(runs.have(period, reach), rules.most, rules.automatic, rules.price)


def _freezes(runs: Runs, period: int, reach: int) -> FreezesState | None:
    if not isinstance(runs, FrozenRuns) or runs.rules is None:
        return None
    return freezes_of(runs, runs.rules, period, reach)
