"""Challenges as the document has them: how long each runs, what it asks for, and what it gives."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bq_server.game.document.criteria import Objective
from bq_server.game.document.fields import Definition, DocumentPart, Instant, Revocable, check_order, is_none
from bq_server.game.document.rewards import Rewards
from bq_server.game.document.teams import SharedBy
from bq_server.game.facts import TimezoneName


class Milestone(DocumentPart):
    """Rewards at a fraction of a challenge."""

    at: float = Field(gt=0, lt=1)
    rewards: Rewards = Field(min_length=1)


class FixedDuration(DocumentPart):
    """The same dates for everyone."""

    type: Literal["fixed"]
    starts_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        check_order(self.starts_at, self.ends_at)
        return self


class RollingDuration(DocumentPart):
    """A number of days, of 24 hours, from the participant's enrolment."""

    type: Literal["rolling"]
    days: int = Field(gt=0, le=36_500)


class RecurringDuration(DocumentPart):
    """Anew each day, week or month; each round has its own progress and rewards."""

    type: Literal["recurring"]
    every: Literal["day", "week", "month"]
    timezone: TimezoneName = Field(default="UTC", description="Where days, weeks and months begin")


class PerpetualDuration(DocumentPart):
    """No end."""

    type: Literal["perpetual"]


Duration = Annotated[
    FixedDuration | RollingDuration | RecurringDuration | PerpetualDuration, Field(discriminator="type")
]


class Challenge(Definition):
    """Objectives to meet, all of them, within a time."""

    name: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=2000)
    enrolment: Literal["automatic", "explicit"] = "automatic"
    duration: Duration = PerpetualDuration(type="perpetual")
    objectives: list[Objective] = Field(min_length=1, max_length=100)
    milestones: list[Milestone] = Field(default=[], max_length=20)
    rewards: Rewards = Field(default=[])
    revocable: Revocable = False
    shared_by: SharedBy | None = Field(default=None, exclude_if=is_none)

    @property
    def depends_on_order(self) -> bool:
        """Whether the order of facts decides the outcome, apart from sums that fall."""
        return (
            self.enrolment == "explicit"
            or self.duration.type in ("rolling", "recurring")
            or any(objective.prerequisites or objective.is_limited for objective in self.objectives)
        )
