"""What an endpoint is sent: small JSON documents."""

from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json

from bq_server.delivery.schemas import TEST, body_model
from bq_server.exact_json import loads_own
from bq_server.moments import format_timestamp
from bq_server.processing.announcement_data import data_of
from bq_server.store.facts import StoredFact
from bq_server.store.webhooks import Delivery

Json = dict[str, Any]


def webhook_body(event_type: str, timestamp: str, data: Json) -> BaseModel:
    """The body of an event."""
    return body_model(event_type)(type=event_type, timestamp=timestamp, data=data)


def write_body(delivery: Delivery, endpoint_id: str, fact: StoredFact | None) -> bytes | None:
    """What the endpoint is sent: the same bytes in every try. None if the fact is gone.

    The fact is needed only if it is what the event is about.
    """
    data = _data(delivery, endpoint_id, fact)
    if data is None:
        return None
    return webhook_body(delivery.event_type, format_timestamp(delivery.created_at), data).model_dump_json().encode()


def _data(delivery: Delivery, endpoint_id: str, fact: StoredFact | None) -> Json | None:
    if delivery.event_type == TEST:
        return {"endpoint_id": endpoint_id}
    about = delivery.participant_id, delivery.event_type, delivery.fact_id, delivery.occurred_at
    if delivery.effect is not None:
        return data_of((*about, loads_own(delivery.effect)))
    if fact is None:
        return None
    return {
        "participant_id": delivery.participant_id,
        "fact_id": fact.fact_id,
        "fact_type": fact.fact_type,
        "event_name": fact.event_name,
        "properties": from_json(fact.properties),
        "occurred_at": format_timestamp(fact.occurred_at),
    }
