"""What counts towards something, and how much of it: metrics, criteria, and limits on both."""

from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bq_server.game.document.fields import Code, DocumentPart, Expression, IsoDuration, On, When, is_none
from bq_server.game.facts import TimezoneName
from bq_server.game.mechanics.amounts import MAX_AMOUNT, to_millionths

MAX_INLINE_MEMBERS = 1000
"""Largest target of a `distinct` objective in a challenge whose outcome depends on order, and of one limited `by`."""


def _pause(value: timedelta) -> timedelta:
    if not timedelta(0) < value <= timedelta(days=366):
        raise ValueError("must be longer than nothing, and at most P366D")
    return value


Aggregate = Literal["count", "sum", "max", "min", "distinct", "days"]
Per = Literal["day", "week", "month", "ever"]
Cooldown = Annotated[IsoDuration, AfterValidator(_pause)]


class Limit(DocumentPart):
    """How many events count in a calendar period: the first by event time."""

    times: int = Field(ge=1, le=1_000_000)
    per: Per
    by: Expression | None = Field(default=None, description="CEL: each value has its own limit")
    timezone: Literal["participant"] | TimezoneName = "participant"


class Limited(DocumentPart):
    """What may count only some of the matching events. Fields that aren't given are left out: revisions stay."""

    limit: Limit | None = Field(default=None, exclude_if=is_none)
    cooldown: Cooldown | None = Field(
        default=None, exclude_if=is_none, description="ISO 8601: how long no other event counts after one that does"
    )

    @property
    def is_limited(self) -> bool:
        """Whether matching isn't enough to count."""
        return self.limit is not None or self.cooldown is not None


class Metric(DocumentPart):
    """What is measured: an aggregate over the matching events."""

    on: On
    when: When = None
    aggregate: Aggregate = "count"
    of: Expression | None = Field(
        default=None, description="CEL: what to sum, take the maximum of, or count distinct values of"
    )

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if self.aggregate in ("sum", "max", "min", "distinct") and self.of is None:
            raise ValueError(f"{self.aggregate} needs `of`: an expression for the value")
        if self.aggregate in ("count", "days") and self.of is not None:
            raise ValueError(f"{self.aggregate} has no `of`")
        return self


class Criteria(Metric, Limited):
    """A metric and the target at which it is met."""

    # What can only fall reaches nothing.
    aggregate: Literal["count", "sum", "max", "distinct", "days"] = "count"
    target: float = Field(gt=0, le=MAX_AMOUNT)

    @model_validator(mode="after")
    def _whole_count(self) -> Self:
        if self.aggregate in ("count", "distinct", "days") and self.target != int(self.target):
            raise ValueError(f"the target of {self.aggregate} must be a whole number")
        if self.target and not to_millionths(self.target):
            raise ValueError("the target must be at least 0.000001: amounts are counted in millionths")
        return self


class BadgeCriteria(Criteria):
    """The criteria of a badge: met at a target, or level by level."""

    target: float = Field(default=0, gt=0, le=MAX_AMOUNT, description="Left out where there are levels")
    levels: list[Annotated[float, Field(gt=0, le=MAX_AMOUNT)]] = Field(
        default=[],
        max_length=100,
        exclude_if=lambda value: not value,
        description="The targets of one level after another",
    )

    @model_validator(mode="after")
    def _target_or_levels(self) -> Self:
        if bool(self.target) == bool(self.levels):
            raise ValueError("needs target or levels, one of them")
        if any(later <= earlier for earlier, later in pairwise(self.levels)):
            raise ValueError("each of the levels must be above the one before")
        whole = self.aggregate in ("count", "distinct", "days")
        if whole and any(level != int(level) for level in self.levels):
            raise ValueError(f"the levels of {self.aggregate} must be whole numbers")
        amounts = [0, *map(to_millionths, self.levels)]
        if any(later <= earlier for earlier, later in pairwise(amounts)):
            raise ValueError("the levels must be at least 0.000001 apart: amounts are counted in millionths")
        return self


class Objective(Criteria):
    """One part of a challenge. It counts only facts after its prerequisites were met."""

    code: Code
    name: str | None = Field(default=None, max_length=255)
    prerequisites: list[Code] = Field(default=[], max_length=100)
