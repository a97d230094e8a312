"""Measures: what one fact adds to an aggregate, before any state is read."""

from typing import assert_never

from msgspec import Struct

from bq_server.game.document.criteria import Aggregate, Metric
from bq_server.game.effects import Verdict
from bq_server.game.expressions.conditions import ExpressionFailure, Formula, Variables
from bq_server.game.facts import Fact, type_named
from bq_server.game.mechanics.amounts import from_millionths, to_millionths
from bq_server.game.mechanics.distinct import digest_of
from bq_server.game.mechanics.periods import utc_day

Amount = int | str
"""A count or an ordinal, millionths for sum, max and min, or the digest of a value for distinct.

Of a part with a limit, text that begins with what the limit needs: see `limits.LimitedMeasure`."""


class PartReading(Struct, frozen=True):
    """A fact as one part of a definition reads it; there is an amount if and only if it matched."""

    part: int
    verdict: Verdict
    amount: Amount = 0
    message: str | None = None


class Hit(Struct, frozen=True):
    """A fact with what the parts of one definition read from it."""

    fact: Fact
    readings: tuple[PartReading, ...]


def fact_types(names: list[str]) -> frozenset[str]:
    """The types of the facts that these names in `on` mean."""
    return frozenset(map(type_named, names))


class Condition:
    """An optional condition: without one, every fact matches."""

    __slots__ = ("formula", "source")

    def __init__(self, when: str | None) -> None:
        self.source = when
        self.formula = Formula(when) if when is not None else None

    def holds(self, variables: Variables) -> bool | ExpressionFailure:
        """Whether a fact matches."""
        return True if self.formula is None else self.formula.holds(variables)

    def refusal(self, part: int, variables: Variables) -> PartReading | None:
        """Why a fact doesn't match, or None if it does."""
        holds = self.holds(variables)
        return None if holds is True else refused(part, holds)


class Measure:
    """A compiled metric."""

    __slots__ = ("_condition", "_of", "_when", "aggregate", "fact_types", "in_millionths", "keeps_set", "part")

    def __init__(self, part: int, metric: Metric) -> None:
        self.part = part
        self.aggregate = metric.aggregate
        self.keeps_set = _keeps_set(metric.aggregate)
        """Whether it counts members of a set."""
        self.in_millionths = _in_millionths(metric.aggregate)
        """Whether values of this measure are millionths."""
        self.fact_types = fact_types(metric.on)
        self._condition = Condition(metric.when)
        self._when = self._condition.formula
        self._of = Formula(metric.of) if metric.of is not None else None

    def amount(self, fact: Fact, variables: Variables) -> Amount | ExpressionFailure | None:
        """What the fact adds: 1, an amount in millionths, the digest of a value, or the ordinal of a UTC day.

        None if it doesn't match.
        """
        if self._when is not None and (holds := self._when.holds(variables)) is not True:
            return holds or None
        if self._of is not None:
            return digest_of(self._of, variables) if self.aggregate == "distinct" else _amount(self._of, variables)
        return utc_day(fact.occurred_at) if self.aggregate == "days" else 1

    @property
    def question(self) -> tuple[str | None, ...]:
        """What is asked of a fact: measures with the same question get the same amounts."""
        of = self._of.source if self._of is not None else None
        return self._condition.source, of, self.aggregate if self.keeps_set else None

    def read(self, fact: Fact, variables: Variables) -> PartReading:
        """What the fact adds, as `amount`, or why it adds nothing."""
        amount = self.amount(fact, variables)
        if amount is None or isinstance(amount, ExpressionFailure):
            return refused(self.part, amount or False)
        return PartReading(self.part, "matched", amount)

    def scaled(self, target: float) -> int:
        """A target in the measure's own unit."""
        return to_millionths(target) if self.in_millionths else int(target)

    def shown(self, value: int | None) -> int | float:
        """A value as the reader sees it."""
        return 0 if value is None else from_millionths(value) if self.in_millionths else value


def _keeps_set(aggregate: Aggregate) -> bool:
    match aggregate:
        case "distinct" | "days":
            return True
        case "count" | "sum" | "max" | "min":
            return False
        case never:
            assert_never(never)


def _in_millionths(aggregate: Aggregate) -> bool:
    match aggregate:
        case "sum" | "max" | "min":
            return True
        case "count" | "distinct" | "days":
            return False
        case never:
            assert_never(never)


def refused(part: int, holds: bool | ExpressionFailure) -> PartReading:
    """The reading of a fact that doesn't match, or for which an expression has no value."""
    if isinstance(holds, ExpressionFailure):
        return PartReading(part, "expression_error", message=holds.message)
    return PartReading(part, "condition_false")


def _amount(of: Formula, variables: Variables) -> int | ExpressionFailure:
    number = of.number(variables)
    if isinstance(number, ExpressionFailure):
        return number
    try:
        return to_millionths(number)
    except ValueError as error:
        return ExpressionFailure(f"the amount {error}")
