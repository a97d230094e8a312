"""Schemas of `/api/v1/gamify/points/...` and `/badges/award`: points and badges given by hand."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bq_server.api.schemas.values import Moment
from bq_server.game.facts import MAX_MANUAL_POINTS


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    participant_id: str = Field(min_length=1, max_length=255)
    metadata: dict[str, Any] = Field({}, description="Stored with the fact.")


class PointsIn(_Sent):
    """Points to award or deduct."""

    amount: int = Field(gt=0, le=MAX_MANUAL_POINTS)
    reason: str | None = Field(None, max_length=500)
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)


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


class DeductAnswer(BaseModel):
    """The points were deducted."""

    transaction_id: str
    participant_id: str
    amount: int
    new_balance: int


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
DEDUCT_POINTS_BODY: dict[str, Any] = {"participant_id": "user_123", "amount": 20, "reason": "a sticker"}
AWARD_BADGE_BODY: dict[str, Any] = {"participant_id": "user_123", "badge_code": "champion"}
