"""Streaks as the document has them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from bq_server.game.document.fields import Definition, DocumentPart, On, Period, Weekday, When, is_none
from bq_server.game.document.rewards import Rewards
from bq_server.game.facts import TimezoneName

StreakPeriod = Literal["hourly", Period]

_MOST_HOURLY_GRACE = 23


class StreakMilestone(DocumentPart):
    """Rewards at a length of a streak, in periods."""

    at: int = Field(gt=0, le=100_000)
    rewards: Rewards = Field(min_length=1)


class Freezes(DocumentPart):
    """What covers missed periods of a streak: some every month, others bought, up to the most that one can hold."""

    monthly: int = Field(default=0, ge=0, le=31, description="How many come with each calendar month")
    max: int = Field(ge=1, le=100, description="How many one can hold")
    automatic: bool = Field(default=True, description="Whether a missed period takes one of itself")
    price: int | None = Field(default=None, gt=0, le=1_000_000, description="In points; without it none can be bought")


class Streak(Definition):
    """Calendar periods in a row with enough matching events, by default one."""

    # Fields added by later releases are left out where they have their defaults, so that revisions stay the same.
    name: str | None = Field(default=None, max_length=255)
    description: str | None = Field(default=None, max_length=2000)
    on: On
    when: When = None
    period: StreakPeriod = "daily"
    grace_period_hours: int = Field(default=24, ge=0, le=720)
    timezone: Literal["participant"] | TimezoneName = "participant"
    day_starts_at: str = Field(
        default="00:00",
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
        exclude_if=lambda value: value == "00:00",
        description="When a day begins, on the wall clock of the zone: 04:00",
    )
    required: int = Field(
        default=1, ge=1, le=1000, exclude_if=lambda value: value == 1, description="Events that a period takes"
    )
    on_days: list[Weekday] | None = Field(
        default=None, min_length=1, max_length=7, exclude_if=is_none, description="The days that count; others rest"
    )
    freezes: Freezes | None = Field(default=None, exclude_if=is_none)
    milestones: list[StreakMilestone] = Field(default=[], max_length=100)
    display_order: int = 0

    @model_validator(mode="after")
    def _calendar_agrees(self) -> Self:
        if self.on_days is not None and self.period != "daily":
            raise ValueError("on_days needs period: daily")
        if self.on_days is not None and len(set(self.on_days)) < len(self.on_days):
            raise ValueError("on_days names a day twice")
        if self.period == "hourly" and self.day_starts_at != "00:00":
            raise ValueError("an hourly streak has no day_starts_at")
        if self.period == "hourly" and self.grace_period_hours > _MOST_HOURLY_GRACE:
            raise ValueError(f"an hourly streak needs grace_period_hours of at most {_MOST_HOURLY_GRACE}, such as 0")
        return self
