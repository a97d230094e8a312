"""Multipliers: what a points rule pays is multiplied at some times, for some participants or for some events."""

from collections.abc import Sequence
from datetime import UTC, tzinfo
from fractions import Fraction

from msgspec import Struct

from bq_server.game.document.fields import WEEKDAYS
from bq_server.game.document.points import Multiplier, MultiplierPeriod, PointsRule
from bq_server.game.expressions.conditions import MAX_AWARD, ExpressionFailure, Formula, Variables
from bq_server.game.facts import timezone
from bq_server.game.mechanics.amounts import MILLIONTHS, to_millionths
from bq_server.game.mechanics.measures import Condition
from bq_server.game.mechanics.periods import local_date
from bq_server.game.mechanics.rule import micros


class FactorPeriod(Struct, frozen=True):
    """When a factor applies."""

    starts_at: int | None
    ends_at: int | None
    weekdays: frozenset[int]
    """From Monday, 0; empty for all."""
    zone: tzinfo

    def holds(self, at: int) -> bool:
        """Whether it contains a moment, in microseconds."""
        return (
            (self.starts_at is None or self.starts_at <= at)
            and (self.ends_at is None or at < self.ends_at)
            and (not self.weekdays or local_date(at, self.zone).weekday() in self.weekdays)
        )


class Factor(Struct, frozen=True):
    """A factor, and when and on which events it applies."""

    by: Fraction
    during: FactorPeriod | None
    """None for all of time."""
    condition: Condition

    def holds(self, variables: Variables) -> bool | ExpressionFailure:
        """Whether it applies to a fact."""
        if self.during is not None and not self.during.holds(variables.fact.occurred_at):
            return False
        return self.condition.holds(variables)


class MultipliedFormula(Formula):
    """A points formula whose value is multiplied before it is rounded down."""

    __slots__ = ("_factors",)

    def __init__(self, source: str, factors: Sequence[Factor]) -> None:
        super().__init__(source)
        self._factors = factors

    def points(self, variables: Variables) -> int | ExpressionFailure:
        """The formula's value, multiplied by all factors that apply to the event.

        A condition that fails is a failure of the whole: what was paid without its factor would stay as it is.
        """
        plain = super().points(variables)
        if isinstance(plain, ExpressionFailure):
            return plain
        held = []
        for factor in self._factors:
            holds = factor.holds(variables)
            if isinstance(holds, ExpressionFailure):
                return holds
            if holds:
                held.append(factor.by)
        if not held:
            return plain
        number = self.number(variables)
        if isinstance(number, ExpressionFailure):
            return number
        product = Fraction(to_millionths(number), MILLIONTHS)
        for by in held:
            product *= by
        if product > MAX_AWARD:
            return ExpressionFailure(f"the multiplied formula gave more than {MAX_AWARD:,} points")
        return int(product)


def award_of(rule: PointsRule) -> Formula:
    """What a points rule pays."""
    if not rule.multiplier:
        return Formula(rule.award)
    return MultipliedFormula(rule.award, [_factor(each) for each in rule.multiplier])


def _factor(multiplier: Multiplier) -> Factor:
    during = multiplier.during
    return Factor(Fraction(str(multiplier.by)), None if during is None else _period(during), Condition(multiplier.when))


def _period(during: MultiplierPeriod) -> FactorPeriod:
    return FactorPeriod(
        micros(during.starts_at),
        micros(during.ends_at),
        frozenset(WEEKDAYS.index(day) for day in during.on_days),
        UTC if during.timezone == "UTC" else timezone(during.timezone),
    )
