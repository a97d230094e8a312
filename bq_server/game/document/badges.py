"""Badges as the document has them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from bq_server.game.document.criteria import BadgeCriteria
from bq_server.game.document.fields import AwardToProperty, Definition, Revocable, is_none

Rarity = Literal["common", "rare", "epic", "legendary"]


class Badge(Definition):
    """A badge. Without criteria it is awarded by a reward or by hand."""

    name: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=2000)
    icon_url: str | None = Field(default=None, max_length=500)
    category: str | None = Field(default=None, max_length=100)
    rarity: Rarity = "common"
    display_order: int = 0
    criteria: BadgeCriteria | None = None
    repeatable: bool = Field(
        default=False,
        exclude_if=lambda value: not value,
        description="Earned each time the target is reached once more, and counted",
    )

    revocable: Revocable = False
    award_to: AwardToProperty | None = Field(default=None, exclude_if=is_none)

    @property
    def is_counted(self) -> bool:
        """Whether it may be earned more than once, or has levels."""
        return self.repeatable or (self.criteria is not None and bool(self.criteria.levels))

    @model_validator(mode="after")
    def _can_repeat(self) -> Self:
        if self.award_to is not None and self.criteria is None:
            raise ValueError("award_to needs criteria: without them the badge is awarded by a reward or by hand")
        if self.is_counted and self.revocable:
            raise ValueError("what is counted only grows: give either revocable, or repeatable or levels")
        if self.is_counted and self.criteria is not None and self.criteria.is_limited:
            raise ValueError("a limit or a cooldown needs a badge that is earned once")
        if self.repeatable and self.criteria is not None:
            if self.criteria.levels:
                raise ValueError("give either repeatable or levels")
            if self.criteria.aggregate == "max":
                raise ValueError("a largest amount is reached once: a repeatable badge takes another aggregate")
        return self
