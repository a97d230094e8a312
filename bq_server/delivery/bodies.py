"""What endpoints are sent: small JSON documents, one model per kind."""

from typing import Any, Literal

from pydantic import BaseModel, Field
from pydantic_core import from_json

from bq_server.exact_json import loads_own
from bq_server.game.effects import EFFECTS, unpacked
from bq_server.moments import format_timestamp
from bq_server.processing.announcements import MESSAGE_DEAD, EventType
from bq_server.processing.rank_changes import RANK_CHANGED
from bq_server.processing.recorded_effects import shown
from bq_server.store.facts import StoredFact
from bq_server.store.webhooks import Delivery

TEST = "endpoint.test"
"""The event of a test, which is sent whatever the endpoint chose."""


class EffectData(BaseModel):
    """What a fact caused."""

    participant_id: str
    fact_id: str = Field(description="The fact that caused it.")
    effect: dict[str, Any] = Field(description="As in `include=effects` and `/facts/{fact_id}/effects`.")


class FactData(BaseModel):
    """A fact that an event became."""

    participant_id: str
    fact_id: str
    fact_type: str
    event_name: str
    properties: dict[str, Any]
    occurred_at: str


class RankData(BaseModel):
    """A participant's rank on a leaderboard in one period of a window."""

    participant_id: str
    fact_id: str | None = Field(description="The participant's fact that changed it; null if they were only overtaken.")
    leaderboard_code: str
    window: str
    period: str
    rank: int | None = Field(description="Null for a participant who is no longer among the first ranks.")
    previous_rank: int | None = Field(description="Null for a participant who was not among the first ranks.")
    score: int | float


class DeadData(BaseModel):
    """A message that became a dead letter."""

    participant_id: str
    message_id: str
    event_name: str
    reason: str
    occurred_at: str = Field(description="When the event happened.")


class TestData(BaseModel):
    """Nothing happened: this is a test."""

    endpoint_id: str


Data = EffectData | FactData | RankData | DeadData | TestData


class WebhookBody(BaseModel):
    """The body of every webhook."""

    type: EventType | Literal["endpoint.test"]
    timestamp: str = Field(description="When the server processed it; the same in every try.")
    data: Data


def write_body(delivery: Delivery, endpoint_id: str, fact: StoredFact | None) -> bytes | None:
    """What the endpoint is sent: the same bytes in every try. None if the fact is gone.

    The fact is needed only if it is what the event is about.
    """
    data = _data(delivery, endpoint_id, fact)
    if data is None:
        return None
    at = format_timestamp(delivery.created_at)
    return WebhookBody(type=delivery.event_type, timestamp=at, data=data).model_dump_json().encode()


def _data(delivery: Delivery, endpoint_id: str, fact: StoredFact | None) -> Data | None:
    if delivery.event_type == TEST:
        return TestData(endpoint_id=endpoint_id)
    who = delivery.participant_id
    if delivery.event_type == RANK_CHANGED:
        return RankData(participant_id=who, fact_id=delivery.fact_id, **loads_own(delivery.effect or ""))
    if delivery.event_type == MESSAGE_DEAD:
        at = format_timestamp(delivery.occurred_at)
        return DeadData(participant_id=who, occurred_at=at, **loads_own(delivery.effect or ""))
    if delivery.effect is not None and delivery.fact_id is not None:
        effect = unpacked(loads_own(delivery.effect), delivery.fact_id, who, delivery.occurred_at)
        [told] = EFFECTS.dump_python([effect], mode="json")
        return EffectData(participant_id=who, fact_id=delivery.fact_id, effect=shown(told))
    if fact is None:
        return None
    return FactData(
        participant_id=who,
        fact_id=fact.fact_id,
        fact_type=fact.fact_type,
        event_name=fact.event_name,
        properties=from_json(fact.properties),
        occurred_at=format_timestamp(fact.occurred_at),
    )
