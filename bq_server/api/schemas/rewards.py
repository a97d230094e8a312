"""Schemas of `/api/v1/gamify/rewards` and `/claims`: what is claimed for points (vendor notes, 1.10)."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bq_server.api.schemas.values import Moment, Query
from bq_server.game.document.rewards import RewardType
from bq_server.game.effects import Sometimes


class RewardsQuery(Query):
    """Which rewards."""

    reward_type: RewardType | None = None


class RewardAnswer(BaseModel):
    """A reward that can be claimed now."""

    id: str = Field(description="Its code.")
    name: str
    type: RewardType
    description: str | None
    points_cost: int
    currency: Sometimes[str] = Field(None, description="Of the cost, if it isn't the default.")
    available_codes: int | None = Field(description="How many are left; null if there is no limit.")
    max_claims_per_user: int | None
    expires_at: Moment | None


class RewardsAnswer(BaseModel):
    """The rewards that are open, in the order of the game."""

    rewards: list[RewardAnswer]
    total: int


class ClaimQuery(Query):
    """Whether to do anything."""

    dry_run: bool = Field(False, description="Write nothing; refuse what would be refused.")


class ClaimIn(BaseModel):
    """Who claims."""

    model_config = ConfigDict(extra="forbid", strict=True)

    participant_id: str = Field(min_length=1, max_length=255)
    points_deduction: bool = Field(True, description="False if the claim is to cost nothing.")
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)


class ClaimAnswer(BaseModel):
    """The reward was claimed."""

    claim_id: str = Field(description="The id of its fact.")
    participant_id: str
    reward_name: str
    reward_type: RewardType
    code_value: str | None
    points_deducted: int
    new_balance: int
    currency: Sometimes[str] = Field(None, description="If it isn't the default; the balance is of it.")


class ClaimRehearsalAnswer(BaseModel):
    """The reward could be claimed; nothing was written."""

    dry_run: Literal[True] = True
    participant_id: str
    reward_name: str
    reward_type: RewardType
    points_deducted: int
    new_balance: int
    currency: Sometimes[str] = Field(None, description="If it isn't the default; the balance is of it.")


class ParticipantReward(BaseModel):
    """A claim, as it stands."""

    claim_id: str
    reward_id: str
    reward_name: str
    reward_type: RewardType | None = Field(description="Null if the game no longer has this reward.")
    code_value: str | None
    points_deducted: int
    currency: Sometimes[str] = Field(None, description="Of what was deducted, if it isn't the default.")
    status: Literal["claimed", "fulfilled", "cancelled"]
    claimed_at: Moment


class ParticipantRewardsAnswer(BaseModel):
    """A participant's claims, the newest first."""

    participant_id: str
    rewards: list[ParticipantReward]
    total: int


class CancelIn(BaseModel):
    """Why a claim is cancelled."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: str | None = Field(None, max_length=500)


CLAIM_BODY: dict[str, Any] = {"participant_id": "user_123"}
CANCEL_BODY: dict[str, Any] = {"reason": "out of print"}
