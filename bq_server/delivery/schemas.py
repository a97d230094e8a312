"""The bodies of webhooks: a model for each event."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from bq_server.game.effects import Sometimes

TEST = "endpoint.test"
"""The event that a test sends, chosen or not."""

At = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="Event time, in UTC.")]
Number = int | float


class _Model(BaseModel):
    model_config = ConfigDict(defer_build=True)  # most servers send none of most


class PointsEffect(_Model):
    """An entry of the points ledger."""

    type: Literal["points"]
    occurred_at: At
    cause: str = Field(description="Unique per participant.")
    amount: int
    balance: int = Field(description="With this entry.")
    currency: Sometimes[str] = Field(None, description="If it isn't the default; the balance is of it.")


class BadgeEffect(_Model):
    """A badge, awarded once per participant."""

    type: Literal["badge"]
    occurred_at: At
    code: str
    name: str
    rarity: str
    cause: str


class ChallengeEffect(_Model):
    """The progress of a challenge."""

    type: Literal["challenge"]
    occurred_at: At
    challenge: str
    progress: Number = Field(description="The mean of its objectives, 0 to 1.")
    completed: bool


class MilestoneEffect(_Model):
    """A milestone of a challenge or a streak."""

    type: Literal["milestone"]
    occurred_at: At
    of: Literal["challenge", "streak"]
    code: str
    at: Number = Field(description="Of a challenge a fraction, of a streak a number of periods.")


class RevocationEffect(_Model):
    """What a void took back."""

    type: Literal["revocation"]
    occurred_at: At
    cause: str = Field(description="What it had been given for.")
    badge: str | None = Field(description="The badge that is held no more; null for a step of a challenge.")


class StreakEffect(_Model):
    """The length of a streak, in periods."""

    type: Literal["streak"]
    occurred_at: At
    code: str
    current: int = Field(description="0 if it broke.")
    longest: int


class TierEffect(_Model):
    """A higher tier."""

    type: Literal["tier"]
    occurred_at: At
    code: str
    name: str
    level: int
    previous_code: str | None
    previous_level: int | None


class _EffectData(_Model):
    participant_id: str
    fact_id: str = Field(description="The fact that caused it.")


class PointsData(_EffectData):
    """Points that were added to or deducted from a participant's."""

    effect: PointsEffect


class BadgeData(_EffectData):
    """A badge that a participant was awarded."""

    effect: BadgeEffect


class RevocationData(_EffectData):
    """An award that a participant has no more."""

    effect: RevocationEffect


class ChallengeData(_EffectData):
    """A participant's progress in a challenge."""

    effect: ChallengeEffect


class MilestoneData(_EffectData):
    """A milestone that a participant reached."""

    effect: MilestoneEffect


class StreakData(_EffectData):
    """A participant's streak; if it broke, the fact is the one that extended it last."""

    effect: StreakEffect


class TierData(_EffectData):
    """A tier that a participant reached."""

    effect: TierEffect


class FactData(_Model):
    """A fact."""

    participant_id: str
    fact_id: str
    fact_type: str
    event_name: str
    properties: dict[str, Any]
    occurred_at: At


class RankData(_Model):
    """A participant's rank on a leaderboard in one period of a window."""

    participant_id: str
    fact_id: str | None = Field(description="The participant's fact that changed it; null for one who was overtaken.")
    leaderboard_code: str
    window: str
    period: str
    rank: int | None = Field(description="Null beyond the ranks that are reported.")
    previous_rank: int | None = Field(description="Null if it was beyond the ranks that are reported.")
    score: Number | None = Field(description="Null if the participant is no longer on the leaderboard.")


class DeadData(_Model):
    """A message that can't be processed."""

    participant_id: str
    message_id: str
    event_name: str
    reason: str
    occurred_at: At


class TestData(_Model):
    """Nothing happened: this is a test."""

    endpoint_id: str


DATA: Mapping[str, type[BaseModel]] = {
    "points.changed": PointsData,
    "badge.awarded": BadgeData,
    "award.revoked": RevocationData,
    "challenge.progressed": ChallengeData,
    "challenge.completed": ChallengeData,
    "milestone.reached": MilestoneData,
    "streak.extended": StreakData,
    "streak.broken": StreakData,
    "streak.milestone": MilestoneData,
    "tier.changed": TierData,
    "leaderboard.rank_changed": RankData,
    "fact.created": FactData,
    "message.dead": DeadData,
    TEST: TestData,
}
"""The `data` of each event."""


@cache
def body_model(event_type: str) -> type[BaseModel]:
    """The whole body of an event."""
    title = "".join(word.title() for word in event_type.replace(".", "_").split("_")) + "Webhook"
    told = "When it happened to the server, by the environment's clock; the same in every try."
    timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description=told)]
    fields: dict[str, Any] = {
        "type": (Literal[event_type], ...),
        "timestamp": (timestamp, ...),
        "data": (DATA[event_type], ...),
    }
    return create_model(title, __doc__=f"The body of `{event_type}`.", **fields)
