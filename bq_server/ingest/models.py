"""What a client sends (Events API, Event Schema)."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from bq_server.moments import parse_timestamp


def _moment(value: Any) -> int:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "must be a string, an ISO 8601 date and time")
    return parse_timestamp(value)


Timestamp = Annotated[
    int,
    BeforeValidator(_moment, json_schema_input_type=datetime),
]
"""Microseconds since the epoch, read from an ISO 8601 string."""


class EventIn(BaseModel):
    """An event as it is sent.

    Unknown fields are accepted, dropped from the fact, and warned about. An optional field that is null counts as
    left out.
    """

    model_config = ConfigDict(extra="allow", strict=True, title="Event")

    event_name: str = Field(
        min_length=1, max_length=100, description='Event type identifier, for example "purchase_completed".'
    )
    participant_id: str = Field(min_length=1, max_length=255, description="Your identifier for the user.")
    properties: Annotated[dict[str, Any], Field(title="Properties")] | None = Field(
        None, description="Arbitrary key-value data about the event."
    )
    timestamp: Timestamp | None = Field(
        None, description="ISO 8601. Defaults to the server's time; without an offset it is taken as UTC."
    )
    idempotency_key: str | None = Field(
        None, min_length=1, max_length=255, description="Prevents duplicate processing of the same event."
    )
    voids: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="The idempotency key of an event of the same participant, which counts as if it had never been.",
    )


class FactWarning(BaseModel):
    """Something odd about an event that was accepted nevertheless."""

    code: str
    field: str
    detail: str


class BatchIn(BaseModel):
    """A batch of at most `max_batch_events` events. Each is validated and queued on its own."""

    model_config = ConfigDict(title="Batch")

    events: list[EventIn] = Field(min_length=1)
