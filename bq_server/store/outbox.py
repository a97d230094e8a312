"""What is to be told outside, written in the transaction of the facts that it tells of.

Everything here is called on the writing connection's own thread (`Connection.run`), in a transaction.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from pydantic_core import from_json

from bq_server.events import Scope
from bq_server.exact_json import dumps
from bq_server.store.bulk import Insert
from bq_server.store.queries import load

_queries = load("outbox", "sqlite3")
_add_deliveries = Insert(_queries.add_deliveries.sql)

MOST_WAITING = 200_000
"""Deliveries that may wait for one endpoint: one that falls further behind is switched off."""

TOO_FAR_BEHIND = f"more than {MOST_WAITING} deliveries waited"


@dataclass(frozen=True, slots=True)
class ListeningEndpoint:
    """An endpoint that is on."""

    endpoint_id: str
    event_types: frozenset[str]
    waiting: int


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One thing that one endpoint is told. Times are microseconds since the epoch, UTC."""

    delivery_id: str
    endpoint_id: str
    participant_id: str
    event_type: str
    fact_id: str | None
    occurred_at: int
    """Of the fact."""
    effect: str | None
    """As facts keep what they caused; None for what is no effect."""
    created_at: int
    """By the clock of the environment."""


def listening(connection: Any, scope: Scope) -> list[ListeningEndpoint]:
    """The endpoints of the environment that are on."""
    return [
        ListeningEndpoint(endpoint_id, frozenset(from_json(event_types)), waiting)
        for endpoint_id, event_types, waiting in _queries.listening(connection, **scope._asdict())
    ]


def add(connection: Any, listener: ListeningEndpoint, deliveries: Sequence[NewDelivery]) -> None:
    """Have these wait for the endpoint, or switch it off where too many would."""
    if listener.waiting + len(deliveries) > MOST_WAITING:
        _queries.switch_off(connection, endpoint_id=listener.endpoint_id, off_because=TOO_FAR_BEHIND)
        return
    names = dumps(list({each.participant_id for each in deliveries}))
    put_off = dict(_queries.put_off_until(connection, endpoint_id=listener.endpoint_id, participants=names))
    _add_deliveries(connection, [(*astuple(each), put_off[each.participant_id] or 0) for each in deliveries])
    _queries.add_waiting(connection, endpoint_id=listener.endpoint_id, count=len(deliveries))
