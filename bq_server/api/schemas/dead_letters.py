"""Schemas of `/api/v1/admin/dead-letters`: accepted messages that can't be processed."""

from typing import Any

from pydantic import BaseModel, Field

from bq_server.api.schemas.values import Moment, Query

MESSAGE_ID = r"[0-9]{1,15}-[0-9]{1,15}"


class DeadLetterAnswer(BaseModel):
    """A dead letter, with its event."""

    message_id: str
    reason: str = Field(description="Why it can't be processed.")
    died_at: Moment
    event_id: str
    event_name: str
    participant_id: str
    properties: dict[str, Any]
    occurred_at: Moment
    received_at: Moment
    idempotency_key: str | None


class DeadLettersAnswer(BaseModel):
    """One page of dead letters, latest accepted first."""

    dead_letters: list[DeadLetterAnswer]
    next_before: str | None = Field(description="Send it as `before` for the next page; null on the last page.")


class RetriedAnswer(BaseModel):
    """It is in the stream again; `/ingest/messages/{message_id}` reports its status."""

    message_id: str
    retried: bool = True


class DroppedAnswer(BaseModel):
    """It was removed permanently."""

    message_id: str
    dropped: bool = True


class DeadLettersQuery(Query):
    """Which page."""

    before: str | None = Field(None, pattern=f"^{MESSAGE_ID}$", description="`next_before` of the previous page.")
    limit: int = Field(20, ge=1, le=100)


DEAD_LETTER_EXAMPLE: dict[str, Any] = {
    "message_id": "1707900600000-0",
    "reason": "it failed by itself 3 times: ZeroDivisionError('division by zero')",
    "died_at": "2026-04-10T10:32:00Z",
    "event_id": "evt_abc123",
    "event_name": "purchase_completed",
    "participant_id": "user_123",
    "properties": {"amount": 49.99},
    "occurred_at": "2026-04-10T10:30:00Z",
    "received_at": "2026-04-10T10:30:00Z",
    "idempotency_key": None,
}
DEAD_LETTERS_EXAMPLE: dict[str, Any] = {"dead_letters": [DEAD_LETTER_EXAMPLE], "next_before": None}
