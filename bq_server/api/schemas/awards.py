"""Schemas of `/api/v1/gamify/points/...` and `/badges/award`: points and badges given by hand."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bq_server.api.schemas.values import Moment
from bq_server.game.effects import Sometimes
from bq_server.game.facts import MAX_MANUAL_POINTS


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    participant_id: str = Field(min_length=1, max_length=255)
    metadata: dict[str, Any] = Field({}, description="Stored with the fact.")


class PointsIn(_Sent):
    """Points to award or deduct."""

    amount: int = Field(gt=0, le=MAX_MANUAL_POINTS)
    reason: str | None = Field(None, max_length=500)
    currency: str | None = Field(None, max_length=30, description="Of the game's currencies; the default otherwise.")
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)


MAX_BATCH_AWARDS = 100


class PointsBatchIn(BaseModel):
    """Points to award to several participants. Each award is validated and given on its own."""

    model_config = ConfigDict(extra="forbid")

    awards: list[PointsIn] = Field(min_length=1, max_length=MAX_BATCH_AWARDS)


class BadgeIn(_Sent):
    """A badge to award."""

    badge_code: str = Field(min_length=1, max_length=50, description="Of a badge of the current game.")


class TierUpgrade(BaseModel):
    """The higher tier reached with the points."""

    code: str
    name: str
    level: int
    previous_code: str | None
    previous_level: int | None


class AwardAnswer(BaseModel):
    """The points were awarded."""

    transaction_id: str
    participant_id: str
    amount: int
    new_balance: int
    tier_upgrade: TierUpgrade | None
    badges_unlocked: list[str] = Field(description="Codes of the badges awarded with them.")
    currency: Sometimes[str] = Field(None, description="If it isn't the default; the balance is of it.")


class AwardError(BaseModel):
    """Why an award was not given."""

    code: str = Field(description="As of a problem document.")
    field: str | None = Field(description="The field that is wrong, if one is.")
    detail: str


class BatchAwardResult(BaseModel):
    """What became of one award of a batch; what is said of points given is null where `success` is false."""

    participant_id: str | None = Field(description="Null if none was given.")
    success: bool
    transaction_id: str | None = None
    amount: int | None = None
    new_balance: int | None = None
    tier_upgrade: TierUpgrade | None = None
    badges_unlocked: list[str] | None = None
    currency: Sometimes[str] = Field(None, description="If it isn't the default; the balance is of it.")
    error: AwardError | None = None


class AwardBatchAnswer(BaseModel):
    """What became of each award, in their order."""

    results: list[BatchAwardResult]
    awarded: int
    failed: int


class DeductAnswer(BaseModel):
    """The points were deducted."""

    transaction_id: str
    participant_id: str
    amount: int
    new_balance: int
    currency: Sometimes[str] = Field(None, description="If it isn't the default; the balance is of it.")


class BadgeAnswer(BaseModel):
    """The participant holds the badge."""

    participant_id: str
    badge_code: str
    badge_name: str
    icon: str | None
    rarity: str
    earned_at: Moment
    already_earned: bool


AWARD_POINTS_BODY: dict[str, Any] = {"participant_id": "user_123", "amount": 50, "reason": "welcome"}
AWARD_BATCH_BODY: dict[str, Any] = {
    "awards": [
        {"participant_id": "user_123", "amount": 50, "reason": "welcome", "idempotency_key": "welcome-user_123"},
        {"participant_id": "user_456", "amount": 50, "reason": "welcome", "idempotency_key": "welcome-user_456"},
    ]
}
DEDUCT_POINTS_BODY: dict[str, Any] = {"participant_id": "user_123", "amount": 20, "reason": "a sticker"}
AWARD_BADGE_BODY: dict[str, Any] = {"participant_id": "user_123", "badge_code": "champion"}
