"""Facts: the immutable, deduplicated records that everything else is worked out from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiosqlite

from bq_server.events import Event, Scope
from bq_server.store.queries import load

_queries = load("facts")

EARLIEST = -(2**63)
LATEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Fact:
    """A row of the fact table. Times are microseconds since the epoch, UTC; `properties` and `warnings` JSON text."""

    seq: int
    fact_id: str
    event_id: str
    message_id: str | None
    project: str
    environment: str
    fact_type: str
    event_name: str
    participant_id: str
    properties: str
    occurred_at: int
    received_at: int
    processed_at: int
    idempotency_key: str | None
    fingerprint: str | None
    warnings: str


@dataclass(frozen=True, slots=True)
class FactFilter:
    """Which facts to list. `since` is inclusive, `until` exclusive, both by `occurred_at`; `before` is a seq."""

    participant_id: str | None = None
    fact_type: str | None = None
    since: int = EARLIEST
    until: int = LATEST
    before: int = LATEST


def _fact(row: Sequence[Any] | None) -> Fact | None:
    return None if row is None else Fact(*row)


async def last_seq(connection: aiosqlite.Connection) -> int:
    """The seq of the newest fact of any environment; 0 when there is none."""
    found: int = await _queries.last_seq(connection)
    return found


async def insert(
    connection: aiosqlite.Connection, events: Mapping[str, Event], processed_at: Mapping[Scope, int]
) -> list[Fact]:
    """Make facts of the events, given by the fact id each would get; answer those that are new, in fact order.

    `processed_at` is the present moment of each environment, in microseconds since the epoch.

    An event whose id or idempotency key already has a fact makes none.
    """
    before = await last_seq(connection)
    rows = [
        {
            "fact_id": fact_id,
            "event_id": event.event_id,
            "message_id": event.message_id,
            "project": event.scope.project,
            "environment": event.scope.environment,
            "fact_type": event.fact_type,
            "event_name": event.event_name,
            "participant_id": event.participant_id,
            "properties": event.properties,
            "occurred_at": event.occurred_at,
            "received_at": event.received_at,
            "processed_at": processed_at[event.scope],
            "idempotency_key": event.idempotency_key,
            "fingerprint": event.fingerprint,
            "warnings": event.warnings,
        }
        for fact_id, event in events.items()
    ]
    await _queries.insert_facts(connection, rows)
    return [Fact(*row) async for row in _queries.facts_after(connection, seq=before)]


async def of_event(connection: aiosqlite.Connection, event: Event) -> Fact | None:
    """The fact that this very event became, by its id or else by its idempotency key."""
    row = await _queries.fact_by_event(connection, event_id=event.event_id)
    if row is None and event.idempotency_key is not None:
        row = await _queries.fact_by_key(connection, **event.scope._asdict(), idempotency_key=event.idempotency_key)
    return _fact(row)


async def by_keys(connection: aiosqlite.Connection, keys: Iterable[tuple[Scope, str]]) -> dict[tuple[Scope, str], Fact]:
    """The facts that hold these idempotency keys, by scope and key; a key without a fact is left out."""
    triples = json.dumps([[*scope, key] for scope, key in keys])
    found = [Fact(*row) async for row in _queries.facts_by_keys(connection, triples=triples)]
    return {(Scope(fact.project, fact.environment), fact.idempotency_key or ""): fact for fact in found}


async def taken(connection: aiosqlite.Connection, event_ids: Sequence[str]) -> set[str]:
    """Those event ids that have a fact, in any environment."""
    return {row[0] async for row in _queries.taken_event_ids(connection, event_ids=json.dumps(event_ids))}


async def by_id(connection: aiosqlite.Connection, scope: Scope, fact_id: str) -> Fact | None:
    """The fact of that id in this scope."""
    return _fact(await _queries.fact_by_id(connection, **scope._asdict(), fact_id=fact_id))


async def by_message(connection: aiosqlite.Connection, scope: Scope, message_id: str) -> Fact | None:
    """The fact that the message became."""
    return _fact(await _queries.fact_by_message(connection, **scope._asdict(), message_id=message_id))


async def repeated_by(connection: aiosqlite.Connection, scope: Scope, message_id: str) -> Fact | None:
    """The fact that the message only repeated."""
    return _fact(await _queries.fact_by_duplicate(connection, **scope._asdict(), message_id=message_id))


async def record_duplicate(connection: aiosqlite.Connection, event: Event, fact: Fact) -> None:
    """Remember that the event's message repeated this fact."""
    await _queries.insert_duplicate(
        connection, message_id=event.message_id, **event.scope._asdict(), fact_id=fact.fact_id
    )


async def newest(connection: aiosqlite.Connection, scope: Scope, wanted: FactFilter, limit: int) -> list[Fact]:
    """At most `limit` facts that pass the filter, the newest fact first."""
    parameters = {
        **scope._asdict(),
        "fact_type": wanted.fact_type,
        "since": wanted.since,
        "until": wanted.until,
        "before": wanted.before,
        "limit": limit,
    }
    if wanted.participant_id is not None:
        rows = _queries.newest_facts_of_participant(connection, **parameters, participant_id=wanted.participant_id)
    elif wanted.fact_type is not None:
        rows = _queries.newest_facts_of_type(connection, **parameters)
    else:
        rows = _queries.newest_facts(connection, **parameters)
    return [Fact(*row) async for row in rows]


async def of_participant(
    connection: aiosqlite.Connection, scope: Scope, participant_id: str, event_name: str | None, limit: int, offset: int
) -> tuple[list[Fact], int]:
    """A page of a participant's facts, latest in event time first, and how many there are in all."""
    wanted = {**scope._asdict(), "participant_id": participant_id, "event_name": event_name}
    rows = _queries.participant_events(connection, **wanted, limit=limit, offset=offset)
    page = [Fact(*row) async for row in rows]
    return page, await _queries.count_participant_events(connection, **wanted)
