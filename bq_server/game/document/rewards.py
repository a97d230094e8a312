"""Rewards as the document has them: what is given for reaching something, and what is claimed for points."""

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from bq_server.game.document.fields import Code, Definition, DocumentPart, OfCurrency

RewardType = Literal["coupon", "voucher", "physical", "digital", "points_multiplier"]


class PointsReward(NamedTuple):
    """Points for reaching something."""

    points: int
    currency: str | None
    """None is the default."""


class BadgeReward(NamedTuple):
    """A badge for reaching something."""

    badge: str


RewardKind = PointsReward | BadgeReward
"""Everything that a reward can be. Whatever deals with rewards goes through the kinds with `match` and `assert_never`,
or unpacks `mechanics.rule.Rewards`: so the type checker names each place that another kind concerns."""


class Reward(DocumentPart):
    """Points or a badge."""

    points: int | None = Field(default=None, gt=0, le=1_000_000)
    badge: Code | None = None
    currency: OfCurrency = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.points is None) == (self.badge is None):
            raise ValueError("give either points or a badge")
        if self.points is None and self.currency is not None:
            raise ValueError("a badge has no currency")
        return self

    @property
    def kind(self) -> RewardKind:
        """What it is."""
        if self.badge is not None:
            return BadgeReward(self.badge)
        if self.points is not None:
            return PointsReward(self.points, self.currency)
        raise ValueError("a reward without points or a badge was not validated")


Rewards = Annotated[list[Reward], Field(max_length=20)]


class ClaimableReward(Definition):
    """Something that is claimed for points, from `starts_at` until `ends_at` by the environment's clock."""

    name: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=2000)
    type: RewardType = "digital"
    cost: int = Field(default=0, ge=0, le=10**9, description="Points")
    currency: OfCurrency = None
    stock: int | None = Field(default=None, ge=0, le=10**9, description="How many there are; without it no end")
    limit: int | None = Field(default=1, ge=1, le=10**6, description="Claims of one participant; null for no limit")
    codes: list[Annotated[str, Field(min_length=1, max_length=255)]] = Field(
        default=[], max_length=10_000, description="Each claim gets one of them: they are the stock"
    )

    @model_validator(mode="after")
    def _one_stock(self) -> Self:
        if self.codes and self.stock is not None:
            raise ValueError("give either stock or codes, which are the stock")
        if len(set(self.codes)) < len(self.codes):
            raise ValueError("codes names one twice")
        return self

    @property
    def amount(self) -> int | None:
        """How many there are; None for no end."""
        return len(self.codes) if self.codes else self.stock
