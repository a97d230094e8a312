"""Schemas of `/api/v1/gamify/points/transfer`: points that one participant gives another."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bq_server.game.effects import Sometimes
from bq_server.game.facts import MAX_MANUAL_POINTS


class TransferIn(BaseModel):
    """Points to move from one participant to another."""

    model_config = ConfigDict(extra="forbid", strict=True)

    participant_id: str = Field(min_length=1, max_length=255, description="Who spends them.")
    recipient_id: str = Field(min_length=1, max_length=255, description="Who is paid.")
    amount: int = Field(gt=0, le=MAX_MANUAL_POINTS)
    currency: str | None = Field(None, max_length=30, description="Of the game's currencies; the default otherwise.")
    reason: str | None = Field(None, max_length=500)
    metadata: dict[str, Any] = Field({}, description="Stored with the fact.")
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)


class TransferAnswer(BaseModel):
    """The points were transferred."""

    transfer_id: str = Field(description="The id of its fact.")
    participant_id: str
    recipient_id: str
    amount: int
    new_balance: int = Field(description="Of who spent them.")
    recipient_balance: int = Field(description="Below zero, the recipient still owes that much.")
    currency: Sometimes[str] = Field(None, description="If it isn't the default; the balances are of it.")


TRANSFER_BODY: dict[str, Any] = {
    "participant_id": "user_123",
    "recipient_id": "user_456",
    "amount": 20,
    "reason": "thanks",
}
