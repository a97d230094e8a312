"""Schemas of `/api/v1/facts`: what events became."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bq_server.api.schemas.values import Moment, Query, QueryMoment
from bq_server.ingest.models import FactWarning


class FactAnswer(BaseModel):
    """The immutable, deduplicated record of an event."""

    fact_id: str
    event_id: str
    message_id: str | None = Field(description="Its message in the stream; null for the sync path.")
    fact_type: str
    event_name: str
    participant_id: str
    sent_as: str | None = Field(description="The name under which it was sent, if that is an alias; null otherwise.")
    properties: dict[str, Any]
    occurred_at: Moment = Field(description="The event's own timestamp.")
    received_at: Moment = Field(description="When the server accepted it.")
    processed_at: Moment = Field(description="When the fact was committed.")
    idempotency_key: str | None
    warnings: list[FactWarning]
    voids: str | None = Field(description="What it voids: an idempotency key or, of `system.fact_voided`, a fact id.")
    voided_by: str | None = Field(description="The fact that voids this one; null while it counts.")


class FactWithEffects(FactAnswer):
    """A fact, and what it caused when it was processed."""

    effects: list[dict[str, Any]]


class FactEffectsAnswer(BaseModel):
    """What a fact caused, as with `include=effects`."""

    fact_id: str
    effects: list[dict[str, Any]]


class FactsAnswer(BaseModel):
    """One page of facts, newest first."""

    facts: list[FactAnswer]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")


class FactsWithEffectsAnswer(BaseModel):
    """One page of facts with what they caused, newest first."""

    facts: list[FactWithEffects]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")


class FactsQuery(Query):
    """Which facts."""

    participant_id: str | None = None
    fact_type: str | None = None
    event_name: str | None = None
    since: QueryMoment | None = Field(None, description="Only facts that occurred at this time or later.")
    until: QueryMoment | None = Field(None, description="Only facts that occurred before this time.")
    limit: int = Field(100, ge=1, le=1000, description="At most this many; fewer if facts are large.")
    cursor: str | None = Field(None, description="`next_cursor` of the previous page.")
    include: Literal["effects"] | None = Field(None, description="Also return what each fact caused.")


class VoidIn(BaseModel):
    """Why a fact is void."""

    model_config = ConfigDict(extra="forbid", strict=True, title="Void")

    reason: str | None = Field(None, max_length=500, description="Stored with the fact that voids.")


class VoidAnswer(BaseModel):
    """The fact counts as if it had never been."""

    fact_id: str
    voided_by: str | None = Field(description="The fact that voids it; null for a dry run.")
    already_voided: bool
    effects: list[dict[str, Any]] = Field(description="What that took back, or counted again.")


class VoidQuery(Query):
    """Whether to do anything."""

    dry_run: bool = Field(False, description="Write nothing; return what would happen.")


VOID_BODY: dict[str, Any] = {"reason": "the order was refunded"}
