"""What a fact caused: typed effects for answers and the ledger, explanations, and warnings on definitions."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, TypeAdapter

from bq_server.moments import format_timestamp

At = Annotated[int, PlainSerializer(format_timestamp, return_type=str, when_used="json")]
"""Microseconds since the epoch, UTC; ISO 8601 in JSON."""

Verdict = Literal[
    "matched",
    "condition_false",
    "not_enrolled",
    "outside_window",
    "prerequisite_open",
    "already_complete",
    "expression_error",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effect:
    participant_id: str
    fact_id: str
    """The fact that caused it."""
    occurred_at: At
    """The event time that counts for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsChanged(_Effect):
    """One entry of the points ledger; `cause` is unique per participant."""

    cause: str
    amount: int
    balance: int
    """The balance with this entry."""
    type: Literal["points"] = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeEarned(_Effect):
    """A badge given, once per participant."""

    code: str
    name: str
    rarity: str
    cause: str
    type: Literal["badge"] = "badge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled(_Effect):
    """A participant entered a challenge, or is now known to have entered it earlier."""

    challenge: str
    expires_at: At | None
    type: Literal["enrolment"] = "enrolment"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveProgressed(_Effect):
    """The value of an objective after the batch; a value never shows beyond its target."""

    challenge: str
    objective: str
    value: int | float
    target: int | float
    completed: bool
    type: Literal["objective"] = "objective"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeProgressed(_Effect):
    """The progress of a challenge after the batch: the mean of its objectives, 0 to 1."""

    challenge: str
    progress: float
    completed: bool
    type: Literal["challenge"] = "challenge"


@dataclass(frozen=True, slots=True, kw_only=True)
class MilestoneReached(_Effect):
    """A milestone of a challenge (`at` is a fraction) or of a streak (`at` counts periods)."""

    of: Literal["challenge", "streak"]
    code: str
    at: float
    type: Literal["milestone"] = "milestone"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreakChanged(_Effect):
    """A streak's run, as of the last period recorded, after the batch."""

    code: str
    current: int
    longest: int
    type: Literal["streak"] = "streak"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierChanged(_Effect):
    """A higher tier."""

    code: str
    name: str
    level: int
    previous_code: str | None
    previous_level: int | None
    type: Literal["tier"] = "tier"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardScored(_Effect):
    """A score on a leaderboard after the batch."""

    code: str
    window: str
    period: str
    score: int | float
    type: Literal["leaderboard"] = "leaderboard"


Effect = (
    PointsChanged
    | BadgeEarned
    | Enrolled
    | ObjectiveProgressed
    | ChallengeProgressed
    | MilestoneReached
    | StreakChanged
    | TierChanged
    | LeaderboardScored
)
EFFECTS: TypeAdapter[list[Effect]] = TypeAdapter(list[Annotated[Effect, Field(discriminator="type")]])
"""Writes and reads a list of effects as JSON."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a definition did or didn't apply to a fact."""

    fact_id: str
    definition: str
    """`<kind>/<code>`."""
    part: str | None
    """The objective, for a challenge."""
    verdict: Verdict
    message: str | None = None


@dataclass(frozen=True, slots=True)
class RuleWarning:
    """An expression had no usable value for facts: how many of a batch, and one of them."""

    definition: str
    message: str
    fact_id: str
    count: int = field(default=1)
