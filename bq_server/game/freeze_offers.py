"""Buying and using freezes: whether it is possible at a moment, and what a use covers."""

from datetime import date, tzinfo

from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import Moment
from bq_server.game.mechanics.freezes import FreezeRules, FrozenRuns
from bq_server.game.mechanics.periods import zone_at
from bq_server.game.mechanics.streaks import StreakRule
from bq_server.game.read_models import FAR_SEQ
from bq_server.game.state import keys
from bq_server.game.state.keys import Cells
from bq_server.game.streak_states import FreezesState, freezes_of


class FreezeUnavailable(Exception):
    """No freeze can be bought or used now; the message says why."""


def read_freezes(game: CompiledGame, code: str, cells: Cells, now: int) -> FreezesState:
    """A participant's freezes. Raises `KeyError` without such a streak, `FreezeUnavailable` if it has none."""
    rule, rules = _rules(game, code)
    runs, period, reach, _ = _runs(rule, cells, now)
    return freezes_of(runs, rules, period, reach)


def is_frozen(game: CompiledGame, code: str, cells: Cells, now: int, day: date) -> bool:
    """Whether the participant already used a freeze for the period of a date."""
    rule, _ = _rules(game, code)
    return rule.calendar.number_of(day) in _runs(rule, cells, now)[0].used


def price_of_freeze(game: CompiledGame, code: str, cells: Cells, now: int) -> int:
    """What a freeze costs, in points. Raises `KeyError` without such a streak, and `FreezeUnavailable`."""
    rule, rules = _rules(game, code)
    if rules.price is None:
        raise FreezeUnavailable("freezes of this streak are not for sale")
    runs, period, reach, _ = _runs(rule, cells, now)
    if runs.have(period, reach) >= rules.most:
        raise FreezeUnavailable(f"one can hold {rules.most} at most")
    return rules.price


def period_to_freeze(game: CompiledGame, code: str, cells: Cells, now: int, wanted: date | int | None = None) -> int:
    """When the period begins that a freeze used now covers: the first that would end the streak, or the one wanted.

    It is named by a date or a moment in it. In microseconds since the epoch.
    Raises `KeyError` without such a streak, and `FreezeUnavailable`.
    """
    rule, rules = _rules(game, code)
    if rules.automatic:
        raise FreezeUnavailable("freezes of this streak are used by themselves")
    runs, current, reach, zone = _runs(rule, cells, now)
    stand = runs.stand(current, reach)
    if stand is None or stand.last < reach:
        raise FreezeUnavailable("no streak is running")
    if runs.have(current, reach) < 1:
        raise FreezeUnavailable("none is left")
    last = stand.last
    while last + 1 in runs.used:
        last += 1
    match wanted:
        case None:
            period = last + 1
        case date():
            period = rule.calendar.number_of(wanted)
        case _:
            period, _ = rule.calendar.place(wanted, zone)
    if period > current:
        raise FreezeUnavailable("nothing was missed")
    if period <= reach or runs.has(period) or period in runs.used:
        raise FreezeUnavailable("that was recorded or covered, or it is too late")
    return rule.calendar.starts(period, zone)


def _rules(game: CompiledGame, code: str) -> tuple[StreakRule, FreezeRules]:
    rule = game.rules[f"streak/{code}"]
    if not isinstance(rule, StreakRule):
        raise KeyError(code)
    if rule.freezes is None:
        raise FreezeUnavailable("this streak has no freezes")
    return rule, rule.freezes


def _runs(rule: StreakRule, cells: Cells, now: int) -> tuple[FrozenRuns, int, int, tzinfo]:
    """What is recorded, the current period, how far back a record now would reach, and the zone."""
    cell = cells.get(rule.cell)
    runs = rule.runs(cell if cell is not None and cell["rev"] == rule.revision else None)
    if not isinstance(runs, FrozenRuns):
        raise KeyError(rule.code)
    zone = rule.zone or zone_at(cells.get(keys.ZONE, ()), Moment(now, FAR_SEQ))
    return runs, *rule.calendar.place(now, zone), zone
