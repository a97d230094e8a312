"""What a fact caused: typed effects for answers and the ledger, explanations, and warnings about definitions."""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, PlainSerializer, TypeAdapter

from bq_server.causes import pack_cause, unpack_cause
from bq_server.moments import format_timestamp

At = Annotated[int, PlainSerializer(format_timestamp, return_type=str, when_used="json")]
"""Microseconds since the epoch, UTC; ISO 8601 in JSON."""

T = TypeVar("T")

Sometimes = Annotated[T | None, Field(exclude_if=lambda value: value is None)]
"""What only some definitions have: nothing is said of it for others."""

Verdict = Literal[
    "matched",
    "condition_false",
    "not_enrolled",
    "outside_window",
    "prerequisite_open",
    "already_complete",
    "limit_reached",
    "cooling_down",
    "rest_day",
    "expression_error",
    "voided",
    "no_recipient",
    "no_team",
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
    """The balance including this entry."""
    currency: Sometimes[str] = None
    """None is the default."""
    type: Literal["points"] = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeEarned(_Effect):
    """A badge given: once per participant, unless it is counted."""

    code: str
    name: str
    rarity: str
    cause: str
    count: Sometimes[int] = None
    """How often it was given so far, or the level reached; none for a badge that is earned once."""
    type: Literal["badge"] = "badge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled(_Effect):
    """A participant enrolled in a challenge, or is now known to have enrolled earlier."""

    challenge: str
    expires_at: At | None
    period: Sometimes[str] = None
    """The round of a recurring challenge."""
    type: Literal["enrolment"] = "enrolment"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveProgressed(_Effect):
    """The value of an objective after the batch; never shown beyond its target."""

    challenge: str
    objective: str
    value: int | float
    target: int | float
    completed: bool
    period: Sometimes[str] = None
    """The round of a recurring challenge."""
    type: Literal["objective"] = "objective"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeProgressed(_Effect):
    """The progress of a challenge after the batch: the mean of its objectives, 0 to 1."""

    challenge: str
    progress: float
    completed: bool
    period: Sometimes[str] = None
    """The round of a recurring challenge."""
    type: Literal["challenge"] = "challenge"


@dataclass(frozen=True, slots=True, kw_only=True)
class MilestoneReached(_Effect):
    """A milestone of a challenge (`at` is a fraction) or of a streak (`at` counts periods)."""

    of: Literal["challenge", "streak"]
    code: str
    at: float
    period: Sometimes[str] = None
    """The round of a recurring challenge."""
    type: Literal["milestone"] = "milestone"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreakChanged(_Effect):
    """A streak after the batch, as of the last period recorded."""

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
    team: Sometimes[str] = None
    """On a leaderboard of teams the one that the participant scored for; the score is the participant's own."""
    type: Literal["leaderboard"] = "leaderboard"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactStruck(_Effect):
    """A fact counts as if it had never been or, `restored`, counts again."""

    voided_fact_id: str
    restored: bool
    type: Literal["void"] = "void"


@dataclass(frozen=True, slots=True, kw_only=True)
class AwardRevoked(_Effect):
    """Something revocable that was given and is not reached any more."""

    cause: str
    badge: str | None
    """The badge taken away; none for a step of a challenge."""
    type: Literal["revocation"] = "revocation"


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
    | FactStruck
    | AwardRevoked
)
EFFECTS: TypeAdapter[list[Effect]] = TypeAdapter(list[Annotated[Effect, Field(discriminator="type")]])
"""Writes and reads a list of effects as JSON."""


PackedEffect = list[Any]
"""An effect in few bytes: its kind, and then the kind's values. If its event time isn't its fact's, the kind is
inverted and the event time comes next."""

POINTS, BADGE, ENROLMENT, OBJECTIVE, CHALLENGE, MILESTONE, STREAK, TIER, LEADERBOARD, VOID, REVOCATION = range(11)
"""The kinds of packed effects. They are stored, so none may change its number."""

_CLASSES: tuple[type[Effect], ...] = (
    PointsChanged,
    BadgeEarned,
    Enrolled,
    ObjectiveProgressed,
    ChallengeProgressed,
    MilestoneReached,
    StreakChanged,
    TierChanged,
    LeaderboardScored,
    FactStruck,
    AwardRevoked,
)
_COMMON = {each.name for each in fields(_Effect)} | {"type"}
_OWN = [[each.name for each in fields(kind) if each.name not in _COMMON] for kind in _CLASSES]
_SOMETIMES = [{each.name for each in fields(kind) if each.default is None} for kind in _CLASSES]
"""What was added to kinds later, and is left out at the end where it says nothing."""
_KINDS = {kind: number for number, kind in enumerate(_CLASSES)}


def packed(effect: Effect, occurred_at: int) -> PackedEffect:
    """An effect of a fact with that event time, packed."""
    kind = _KINDS[type(effect)]
    own = {name: getattr(effect, name) for name in _OWN[kind]}
    if "cause" in own:
        own["cause"] = pack_cause(own["cause"], effect.fact_id)
    while own and next(reversed(own)) in _SOMETIMES[kind] and next(reversed(own.values())) is None:
        own.popitem()
    return timed(kind, effect.occurred_at, occurred_at, *own.values())


def timed(kind: int, at: int, occurred_at: int, *values: Any) -> PackedEffect:
    """A packed effect at a moment, of a fact with that event time."""
    return [kind, *values] if at == occurred_at else [~kind, at, *values]


def kind_of(each: PackedEffect) -> tuple[int, list[Any]]:
    """The kind of a packed effect, and its values."""
    return (each[0], each[1:]) if each[0] >= 0 else (~each[0], each[2:])


def unpacked(each: PackedEffect, fact_id: str, participant_id: str, occurred_at: int) -> Effect:
    """The unpacked effect of that fact. Fields added to its kind since then have their defaults."""
    kind, *values = each
    if kind < 0:
        kind, occurred_at = ~kind, values.pop(0)
    own: dict[str, Any] = dict(zip(_OWN[kind], values, strict=False))
    if "cause" in own:
        own["cause"] = unpack_cause(own["cause"], fact_id)
    return _CLASSES[kind](participant_id=participant_id, fact_id=fact_id, occurred_at=occurred_at, **own)


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
    value: int | float | None = None
    """How far the part has come with it; for a streak, its length. None for what has no target, such as points."""
    target: int | float | None = None
    """Where it is reached; for a streak, its next milestone, None after the last."""
    participant_id: str | None = None
    """The recipient, where the definition has `award_to`; None for the fact's own participant."""


@dataclass(frozen=True, slots=True)
class RuleWarning:
    """An expression had no usable value for facts: how many of a batch, and one of them."""

    definition: str
    message: str
    fact_id: str
    count: int = field(default=1)
