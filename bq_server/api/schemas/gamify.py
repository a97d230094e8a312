"""Schemas of `/api/v1/gamify`: the vendor's dialect of the sync path, and a participant's events."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from bq_server.api.schemas.events import BatchError
from bq_server.api.schemas.values import PageQuery


class ProcessedAnswer(BaseModel):
    """The event is a fact."""

    event_id: str
    fact_id: str
    status: Literal["processed"] = "processed"


class ProcessedBatchAnswer(BaseModel):
    """What became of each event of a batch."""

    processed: int
    rejected: int
    results: list[ProcessedAnswer] = Field(description="Of the processed events, in order.")
    errors: list[BatchError] | None = Field(None, description="Only if an event was rejected.")


class ParticipantEvent(BaseModel):
    """A participant's event."""

    id: str
    event_name: str
    properties: dict[str, Any]
    occurred_at: str = Field(json_schema_extra={"format": "date-time"})


class ParticipantEventsAnswer(BaseModel):
    """One page of a participant's events, latest first."""

    participant_id: str
    events: list[ParticipantEvent]
    total: int
    page: int
    page_size: int


class EventsQuery(PageQuery):
    """Which page, of which events."""

    event_name: str | None = None


PROCESSED_EXAMPLE: dict[str, Any] = {"event_id": "evt_abc123", "fact_id": "fact_def456", "status": "processed"}
PROCESS_GAMIFY_BATCH_ANSWER: dict[str, Any] = {"processed": 1, "rejected": 0, "results": [PROCESSED_EXAMPLE]}
