"""Schemas of `/api/v1/admin/participants`: a person's rights. Ids are in bodies, because paths are logged."""

from typing import Any

from pydantic import BaseModel, Field

from bq_server.api.schemas.dead_letters import DeadLetterAnswer
from bq_server.api.schemas.facts import FactAnswer
from bq_server.api.schemas.participant_state import StateAnswer, TransactionAnswer
from bq_server.api.schemas.sandbox import Milliseconds
from bq_server.api.schemas.values import Moment, RequestBody
from bq_server.game.effects import Sometimes


class ExportIn(RequestBody):
    """Whose data."""

    participant_id: str = Field(min_length=1, max_length=255, strict=True)


class EraseIn(RequestBody):
    """Who is erased."""

    participant_id: str = Field(min_length=1, max_length=255, strict=True)
    timeout_ms: Milliseconds = Field(30_000, description="How long to wait until every accepted event is settled.")
    clean_up: bool = Field(
        True, strict=True, description="Whether the files are rewritten at once; otherwise call `clean-up` later."
    )


class CleanUpIn(RequestBody):
    """No details."""


class PersonalProfile(BaseModel):
    """What was entered about the participant by hand."""

    display_name: str | None
    avatar_url: str | None
    attributes: dict[str, Any]
    created_at: Moment


class PersonalFact(FactAnswer):
    """A fact with what it caused."""

    effects: list[dict[str, Any]]


class PersonalPlace(BaseModel):
    """A place in a ranking."""

    board: str = Field(description="`leaderboard/<code>` or `challenge/<code>`.")
    window: str
    period: str
    team: Sometimes[str] = Field(None, description="For which the participant scored, on a leaderboard of teams.")
    score: float | int
    reached_at: Moment | None


class PersonalMessage(BaseModel):
    """An event that was accepted and is not a fact yet."""

    message_id: str
    event_id: str
    event_name: str
    properties: dict[str, Any]
    occurred_at: Moment
    received_at: Moment
    idempotency_key: str | None


class PersonalDelivery(BaseModel):
    """What a webhook endpoint was sent, or will be sent."""

    delivery_id: str | None = Field(description="Null until its turn to be sent has come.")
    endpoint_id: str
    event_type: str
    fact_id: str | None
    created_at: Moment
    state: str


class PersonalNotice(BaseModel):
    """What the feed reports about the participant beside facts."""

    type: str
    noted_at: Moment
    data: dict[str, Any]


class PersonalReceivedFact(BaseModel):
    """A fact of somebody else that named the participant, and what it caused for them."""

    fact_id: str
    fact_type: str
    occurred_at: Moment
    effects: list[dict[str, Any]]


class PersonalDataAnswer(BaseModel):
    """Everything that is kept about a participant."""

    participant_id: str
    aliases: list[str] = Field(description="Other names of theirs, whose facts are among these.")
    environment: str
    exported_at: Moment
    profile: PersonalProfile | None = Field(description="Null if no event has named them yet.")
    state: StateAnswer | None = Field(description="What the facts add up to.")
    places: list[PersonalPlace] = Field(description="Every period of every window.")
    transactions: list[TransactionAnswer] = Field(
        description="The points ledger, in the order in which it was written."
    )
    waiting: list[PersonalMessage] = Field(description="What was accepted and is not a fact yet.")
    dead_letters: list[DeadLetterAnswer]
    webhook_deliveries: list[PersonalDelivery]
    notices: list[PersonalNotice] = Field(description="What the feed reports beside facts.")
    received: list[PersonalReceivedFact] = Field(description="Facts of others, in the order of event time.")
    facts: list[PersonalFact] = Field(description="In the order of event time.")


class ErasedAnswer(BaseModel):
    """The participant is gone."""

    erased: bool = True
    facts: int = Field(description="Facts that are anonymous now.")
    dead_letters: int
    database_clean: bool = Field(description="Whether nothing is left in the database's files.")
    stream_clean: bool = Field(description="Whether nothing is left in the stream server's append-only file.")


class CleanedUpAnswer(BaseModel):
    """Nothing is left of erased participants in the database's files."""

    erasures: int = Field(description="Erasures of which something may have been left.")
    stream_clean: bool = Field(description="Whether nothing is left in the stream server's append-only file.")


EXPORT_BODY = {"participant_id": "user_123"}
ERASE_BODY = {"participant_id": "user_123"}
