"""What an endpoint is sent: small JSON documents, a model for each kind."""

from typing import Any, Literal

from pydantic import BaseModel, Field
from pydantic_core import from_json

from bq_server.exact_json import loads_own
from bq_server.game.effects import EFFECTS, unpacked
from bq_server.moments import format_timestamp
from bq_server.processing.announcements import EventType
from bq_server.processing.recorded_effects import shown
from bq_server.store.facts import StoredFact
from bq_server.store.webhooks import Delivery

TEST = "endpoint.test"
"""The event that a test sends, chosen or not."""


class EffectData(BaseModel):
    """What a fact caused."""

    participant_id: str
    fact_id: str = Field(description="The fact that caused it.")
    effect: dict[str, Any] = Field(description="As `include=effects` and `/facts/{fact_id}/effects` tell it.")


class FactData(BaseModel):
    """A fact that was made of an event."""

    participant_id: str
    fact_id: str
    fact_type: str
    event_name: str
    properties: dict[str, Any]
    occurred_at: str


class TestData(BaseModel):
    """Nothing happened: this is a test."""

    endpoint_id: str


class WebhookBody(BaseModel):
    """The body of every webhook."""

    type: EventType | Literal["endpoint.test"]
    timestamp: str = Field(description="When it happened to the server: the same in every try.")
    data: EffectData | FactData | TestData


def write_body(delivery: Delivery, endpoint_id: str, fact: StoredFact | None) -> bytes | None:
    """What the endpoint is sent: the same bytes in every try. None where the fact is gone.

    The fact is only needed where it is what is told.
    """
    data = _data(delivery, endpoint_id, fact)
    if data is None:
        return None
    at = format_timestamp(delivery.created_at)
    return WebhookBody(type=delivery.event_type, timestamp=at, data=data).model_dump_json().encode()


def _data(delivery: Delivery, endpoint_id: str, fact: StoredFact | None) -> EffectData | FactData | TestData | None:
    if delivery.event_type == TEST:
        return TestData(endpoint_id=endpoint_id)
    who = delivery.participant_id
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
