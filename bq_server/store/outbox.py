"""The outbox: what is to be delivered, written in the transaction of the facts that it is about.

What one endpoint is told about a batch is one row, which costs the batch little. It becomes deliveries, each with its
own id and row, when their turn to be sent has come.

Everything here is called on the writing connection's own thread (`Connection.run`), in a transaction.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from pydantic_core import from_json

from bq_server.events import Scope
from bq_server.exact_json import dumps, loads_own
from bq_server.store.bulk import Insert
from bq_server.store.queries import load

_queries = load("outbox", "sqlite3")
_add_deliveries = Insert(_queries.add_deliveries.sql)

MOST_WAITING = 2_000_000
"""Deliveries that may wait for one endpoint; one that falls further behind is disabled."""

MOST_WAITING_FAILING = 200_000
"""Those that may wait for an endpoint whose every request fails."""


class ListeningEndpoint(Struct, frozen=True):
    """An enabled endpoint."""

    endpoint_id: str
    event_types: frozenset[str]
    waiting: int
    failing: bool
    top_ranks: int
    """Down to which rank it is notified of leaderboards."""


Announcement = tuple[str, str, str | None, int, Any]
"""One thing that an endpoint is sent: participant, event type, fact, the fact's event time in microseconds since the
epoch, and an effect in the packed form of facts, or other details; None for a fact itself."""


def listening(connection: Any, scope: Scope) -> list[ListeningEndpoint]:
    """The enabled endpoints of the environment."""
    return [
        ListeningEndpoint(endpoint_id, frozenset(from_json(event_types)), waiting, bool(failing), top_ranks)
        for endpoint_id, event_types, waiting, failing, top_ranks in _queries.listening(connection, **scope._asdict())
    ]


def put(connection: Any, listener: ListeningEndpoint, announcements: Sequence[Announcement], now: int) -> None:
    """Queue these for the endpoint, or disable it if too many would wait. `now` is its environment's."""
    most = MOST_WAITING_FAILING if listener.failing else MOST_WAITING
    count = len(announcements)
    if listener.waiting + count > most:
        switch_off(connection, listener.endpoint_id, f"more than {most} deliveries waited")
        return
    own = {"endpoint_id": listener.endpoint_id, "content": dumps(announcements)}
    _queries.put(connection, **own, deliveries=count, created_at=now)
    add_waiting(connection, listener.endpoint_id, count)


def add_waiting(connection: Any, endpoint_id: str, count: int) -> None:
    """Count so many more that wait for the endpoint."""
    _queries.add_waiting(connection, endpoint_id=endpoint_id, count=count)


def switch_off(connection: Any, endpoint_id: str, because: str) -> None:
    """Stop writing and sending for the endpoint; one that is already off keeps its reason."""
    _queries.switch_off(connection, endpoint_id=endpoint_id, off_because=because)


def take(connection: Any, endpoint_id: str, new_id: Callable[[], str]) -> int | None:
    """Turn the endpoint's oldest row into deliveries; returns how many, or None if there is no row."""
    found = _queries.first(connection, endpoint_id=endpoint_id)
    if found is None:
        return None
    position, content, created_at = found
    announcements = loads_own(content)
    add(connection, endpoint_id, [(new_id(), each) for each in announcements], created_at)
    _queries.remove(connection, position=position)
    return len(announcements)


def add(connection: Any, endpoint_id: str, deliveries: Sequence[tuple[str, Announcement]], created_at: int) -> None:
    """Append deliveries, each under its own id, to what waits for the endpoint."""
    names = dumps(list({participant_id for _, (participant_id, *_) in deliveries}))
    put_off = dict(_queries.put_off_until(connection, endpoint_id=endpoint_id, participants=names))
    _add_deliveries(
        connection,
        [
            (
                delivery_id,
                endpoint_id,
                participant_id,
                event_type,
                fact_id,
                occurred_at,
                None if told is None else dumps(told),
                created_at,
                put_off[participant_id] or 0,
            )
            for delivery_id, (participant_id, event_type, fact_id, occurred_at, told) in deliveries
        ],
    )
