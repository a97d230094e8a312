"""Schemas of `/api/v1/ingest`: three ways to send events (Events API), and the status of a message."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from bq_server.api.schemas.values import Query
from bq_server.game.effects import Verdict
from bq_server.ingest.models import FactWarning

EVENT_EXAMPLE: dict[str, Any] = {
    "event_name": "purchase_completed",
    "participant_id": "user_123",
    "properties": {"amount": 49.99, "currency": "USD", "product_id": "prod_abc"},
    "timestamp": "2026-04-10T10:30:00Z",
}


BATCH_EXAMPLE: dict[str, Any] = {
    "events": [
        {"event_name": "page_view", "participant_id": "user_123", "properties": {"page": "/products"}},
        {
            "event_name": "add_to_cart",
            "participant_id": "user_123",
            "properties": {"product_id": "prod_abc", "quantity": 1},
        },
        {
            "event_name": "purchase_completed",
            "participant_id": "user_123",
            "properties": {"amount": 49.99, "currency": "USD"},
        },
    ]
}


SYNC_EXAMPLE: dict[str, Any] = {
    "event_name": "level_completed",
    "participant_id": "user_123",
    "properties": {"level": 5, "score": 9200, "time_seconds": 120},
}


class BatchError(BaseModel):
    """Why one event of a batch was rejected."""

    index: int = Field(description="Its place in `events`, from 0.")
    field: str
    code: str
    detail: str


class AcceptedAnswer(BaseModel):
    """The event is queued, durably."""

    accepted: Literal[True] = True
    message_id: str = Field(description="Its id in the stream: `<ms>-<n>`.")
    event_id: str | None = Field(None, description="With `wait=fact`: the event id of the fact it became or repeats.")
    fact_id: str | None = Field(None, description="With `wait=fact`: the fact; null for a dead letter.")


class BatchAnswer(BaseModel):
    """How many events were accepted, and why the others were rejected."""

    accepted: int
    rejected: int
    message_ids: list[str] = Field(description="Of the accepted events, in order.")
    event_ids: list[str | None] | None = Field(None, description="With `wait=fact`: of the facts, in that order.")
    fact_ids: list[str | None] | None = Field(None, description="With `wait=fact`: the facts; null for a dead letter.")
    errors: list[BatchError] | None = Field(None, description="Only if an event was rejected.")


class SyncAnswer(BaseModel):
    """The event is a fact."""

    event_id: str
    fact_id: str
    fact_type: str = Field(description="`custom.` and the event's name.")
    processed_at: str = Field(json_schema_extra={"format": "date-time"})
    warnings: list[FactWarning] | None = Field(None, description="Warnings about the event; only if there are some.")


class SyncEffectsAnswer(SyncAnswer):
    """The event is a fact, and this is what it caused."""

    effects: list[dict[str, Any]]


class Applied(BaseModel):
    """Why a definition that listens to the event would or wouldn't apply to it."""

    definition: str = Field(description="`<kind>/<code>`.")
    part: str | None = Field(description="The objective, for a challenge.")
    verdict: Verdict
    message: str | None
    value: int | float | None = Field(
        description="Progress towards `target`; for a streak, its length. Null for points and leaderboards."
    )
    target: int | float | None = Field(description="The target; for a streak, its next milestone, null after the last.")
    participant_id: str | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="Whom it concerns, only where the definition has `award_to`.",
    )


class RehearsalAnswer(BaseModel):
    """What would happen; nothing was written."""

    dry_run: Literal[True] = True
    fact_type: str
    would_be: Literal["processed", "duplicate"]
    warnings: list[FactWarning] = Field(description="Warnings about the event.")
    effects: list[dict[str, Any]]
    definitions: list[Applied] = Field(description="Every definition that listens to the event.")


class IntakeQuery(Query):
    """When to answer."""

    wait: Literal["fact"] | None = Field(
        None, description="Answer only once the events are facts; for test environments."
    )


class SyncQuery(Query):
    """What to answer, and whether to do anything."""

    include: Literal["effects"] | None = Field(None, description="Also return what the event caused.")
    dry_run: bool = Field(False, description="Write nothing; return what would happen, and why.")


class MessageAnswer(BaseModel):
    """The status of an accepted event."""

    message_id: str
    status: Literal["queued", "processed", "duplicate", "dead", "lost"]
    event_id: str | None = Field(None, description="The event id of the fact it became or repeats.")
    fact_id: str | None = Field(None, description="The fact it became (processed) or repeats (duplicate).")
    reason: str | None = Field(None, description="Why it can't be processed (dead), or how it was lost (lost).")


class MessageEffectsAnswer(MessageAnswer):
    """The status of an accepted event, and what its fact caused."""

    effects: list[dict[str, Any]] | None = Field(
        description="Of the fact it became or repeats; null while there is none."
    )


class MessageQuery(Query):
    """What to answer."""

    include: Literal["effects"] | None = Field(None, description="Also return what the fact caused.")


ACCEPT_EVENT_ANSWER: dict[str, Any] = {"accepted": True, "message_id": "1707900600000-0"}
ACCEPT_BATCH_ANSWER: dict[str, Any] = {
    "accepted": 3,
    "rejected": 0,
    "message_ids": ["1707900600000-0", "1707900600000-1", "1707900600000-2"],
}
PROCESS_EVENT_ANSWER: dict[str, Any] = {
    "event_id": "evt_abc123",
    "fact_id": "fact_def456",
    "fact_type": "custom.level_completed",
    "processed_at": "2026-04-10T10:30:01Z",
}
GET_MESSAGE_ANSWER: dict[str, Any] = {
    "message_id": "1707900600000-0",
    "status": "processed",
    "event_id": "evt_abc123",
    "fact_id": "fact_def456",
    "reason": None,
}
