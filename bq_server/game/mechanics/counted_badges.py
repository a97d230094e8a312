"""Badges that can be earned again, at each multiple of the target or level by level.

The count only grows, so facts may arrive in any order; negative amounts don't count here.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from bq_server import causes
from bq_server.game.document.badges import Badge
from bq_server.game.document.criteria import BadgeCriteria
from bq_server.game.expressions.conditions import Variables
from bq_server.game.facts import Fact
from bq_server.game.mechanics.measures import Amount, Hit, Measure, PartReading
from bq_server.game.mechanics.rule import (
    Bounds,
    Grant,
    HistoryNeed,
    Rewards,
    Rule,
    RuleHistory,
    RuleOutcome,
    bounds,
    explain,
    merge,
    revision,
    trigger,
)
from bq_server.game.recipients import AwardTo, award_to, told_to
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells

MOST_AT_ONCE = 1_000
"""How often one fact can earn a badge: an amount of any size must not take any time to pay."""

_BELOW_ZERO = "an amount below zero doesn't count towards a badge that is earned again"


class CountedBadgeRule(Struct, Rule):
    """A badge with levels, or a repeatable one. Its cell holds the value and how often it awarded the badge."""

    key: str
    cell: str
    measure: Measure
    levels: tuple[int, ...]
    """In the measure's own unit, ascending; empty for a badge that is earned at each multiple of `target`."""
    target: int
    bounds: Bounds
    revision: str
    fact_types: frozenset[str]
    rewards: Rewards
    award_to: AwardTo | None = None

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:
        """What the criteria read."""
        if not self.bounds.admits(fact.moment):
            return (PartReading(0, "outside_window"),)
        reading = self.measure.read(fact, variables)
        if reading.verdict == "matched" and not self.counts(reading.amount):
            return (PartReading(0, "condition_false", message=_BELOW_ZERO),)
        return (reading,)

    def cells(self, hits: Sequence[Hit]) -> Iterable[str]:
        """Its own cell, and the members that the hits name."""
        yield self.cell
        for hit in hits if self.measure.keeps_set else ():
            if hit.readings[0].verdict == "matched":
                yield self.member(hit.readings[0].amount)

    def is_current(self, hits: Sequence[Hit], cells: Cells) -> bool | None:  # noqa: ARG002
        """Whether the cell is of this definition."""
        cell = cells.get(self.cell)
        return None if cell is None else cell.get("rev") == self.revision

    def whole(self) -> HistoryNeed:
        """All facts it listens to, and the members of its set."""
        return HistoryNeed(self.fact_types, self.bounds.starts_at, (keys.members(self.key),))

    def step(self, hits: Sequence[Hit], cells: Cells, history: RuleHistory | None) -> RuleOutcome:
        """Add the hits, and award the badge each time they reach it again."""
        outcome = RuleOutcome()
        old = cells.get(self.cell)
        value = old["v"] if old is not None and history is None else 0
        given = self._given(old, cells)
        story = hits if history is None else merge(history.hits, hits)
        if history is not None:
            outcome.cells.update(dict.fromkeys(history.cells))
        for hit in story:
            reading = hit.readings[0]
            if reading.verdict == "matched":
                value = self.added(value, reading.amount, new=self._is_new(reading.amount, cells, outcome))
                for time in range(given + 1, self.times(value) + 1):
                    fact = trigger(hit.fact.moment, story, hits, None if history is None else history.by)
                    outcome.grants.append(Grant(fact, hit.fact.occurred_at, self.cause(time), self.rewards))
                    given = time
        if value or given or history is not None:
            cell = {"rev": self.revision, "v": value, "n": given}
            if cell != old:
                outcome.cells[self.cell] = cell
        way = self.way(value)
        for hit in hits:
            reading = hit.readings[0]
            outcome.explanations.append(explain(self, hit.fact, 0, reading.verdict, reading.message, way))
        return outcome

    def counts(self, amount: Amount) -> bool:
        """Whether an amount that matched counts."""
        return self.measure.aggregate != "sum" or int(amount) >= 0

    def added(self, value: int, amount: Amount, *, new: bool) -> int:
        """The value with one more amount; `new` says whether a set has no such member yet."""
        match self.measure.aggregate:
            case "sum":
                grown = int(amount)
                return value + (grown if self.levels else min(grown, MOST_AT_ONCE * self.target))
            case "max":
                return max(value, int(amount))
            case "count":
                return value + 1
            case _:
                return value + new

    def times(self, value: int) -> int:
        """How often a value gives the badge, or its level."""
        return bisect_right(self.levels, value) if self.levels else value // self.target

    def cause(self, time: int) -> str:
        """The cause of the n-th award of the badge."""
        return causes.of_criteria(self.key, time)

    def way(self, value: int) -> tuple[int | float, int | float | None]:
        """Progress towards the next award, for display; no target after the last level."""
        time = self.times(value)
        if self.levels:
            target = self.measure.shown(self.levels[time]) if time < len(self.levels) else None
            return self.measure.shown(value), target
        return self.measure.shown(value - time * self.target), self.measure.shown(self.target)

    def member(self, amount: Amount) -> str:
        """The cell of a member of its set."""
        return keys.member(self.key, "0", amount)

    def _given(self, cell: Cell | None, cells: Cells) -> int:
        """How often it was given; a badge that could only be earned once, before the game changed, counts as one."""
        if cell is not None and "n" in cell:
            times: int = cell["n"]
            return times
        held = cells.get(self.rewards_key)
        return int(held is not None and held["cause"] == self.cause(1))

    @property
    def rewards_key(self) -> str:
        """The cell of the badge."""
        return keys.badge(self.rewards.badges[0])

    def _is_new(self, amount: Amount, cells: Cells, outcome: RuleOutcome) -> bool:
        if not self.measure.keeps_set:
            return False
        key = self.member(amount)
        if outcome.cells.get(key) is not None or (key in cells and key not in outcome.cells):
            return False
        outcome.cells[key] = 1
        return True


def counted_badge_rule(badge: Badge, criteria: BadgeCriteria, applied_seq: int) -> CountedBadgeRule:
    """Compile the criteria of a badge with levels, or of a repeatable one."""
    measure = Measure(0, criteria)
    limits = bounds(badge, applied_seq)
    salt = f"{limits.starts_at} {limits.ends_at} again{told_to(badge.award_to)}"
    levels = tuple(measure.scaled(level) for level in criteria.levels)
    return CountedBadgeRule(
        key=f"badge/{badge.code}",
        cell=keys.criteria(badge.code),
        measure=measure,
        levels=levels,
        target=levels[0] if levels else measure.scaled(criteria.target),
        bounds=limits,
        revision=revision(criteria, applied_seq, salt=salt),
        fact_types=measure.fact_types,
        rewards=Rewards(badges=(badge.code,)),
        award_to=award_to(badge.award_to),
    )


def essence(cell: Any) -> Any:
    """A cell without how often the badge was given; one that counted nothing equals none."""
    return None if cell is None or not cell["v"] else {name: value for name, value in cell.items() if name != "n"}
