"""Participants: everyone an event named or who was made by hand, and their facts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import aiosqlite

from bq_server.events import Scope
from bq_server.store.facts import EARLIEST, Fact
from bq_server.store.queries import load

_queries = load("participants")


@dataclass(frozen=True, slots=True)
class Participant:
    """What is known of a participant beside their state. `attributes` is JSON text."""

    participant_id: str
    display_name: str | None
    avatar_url: str | None
    attributes: str
    total_events: int
    created_at: int
    """Microseconds since the epoch, UTC."""


async def count_events(connection: aiosqlite.Connection, scope: Scope, counts: Mapping[str, int], now: int) -> None:
    """Add these numbers of events; who was not known is known from now on."""
    rows = [
        {**scope._asdict(), "participant_id": participant_id, "count": count, "created_at": now}
        for participant_id, count in counts.items()
    ]
    await _queries.count_events(connection, rows)


async def put(connection: aiosqlite.Connection, scope: Scope, participant: Participant) -> None:
    """Make the participant, or replace what may be edited of one there is."""
    await _queries.put_participant(
        connection,
        **scope._asdict(),
        participant_id=participant.participant_id,
        display_name=participant.display_name,
        avatar_url=participant.avatar_url,
        attributes=participant.attributes,
        created_at=participant.created_at,
    )


async def find(connection: aiosqlite.Connection, scope: Scope, participant_id: str) -> Participant | None:
    """The participant of that id."""
    row = await _queries.participant(connection, **scope._asdict(), participant_id=participant_id)
    return None if row is None else Participant(*row)


async def count(connection: aiosqlite.Connection, scope: Scope) -> int:
    """How many participants an environment has."""
    found: int = await _queries.count_participants(connection, **scope._asdict())
    return found


async def after(connection: aiosqlite.Connection, scope: Scope, participant_id: str, limit: int) -> list[str]:
    """The next participants in the order of their ids."""
    rows = _queries.participants_after(connection, **scope._asdict(), after=participant_id, limit=limit)
    return [row[0] async for row in rows]


async def scopes(connection: aiosqlite.Connection) -> list[Scope]:
    """The environments that have participants."""
    return [Scope(*row) async for row in _queries.scopes_with_participants(connection)]


async def named_after(connection: aiosqlite.Connection, scope: Scope, participant_id: str, limit: int) -> list[str]:
    """The next ids that a participant, a fact, a cell or a ledger entry has, in order."""
    rows = _queries.named_after(connection, **scope._asdict(), after=participant_id, limit=limit)
    return [row[0] async for row in rows]


async def every_scope(connection: aiosqlite.Connection) -> list[Scope]:
    """The environments that have anything of participants. Looks at every row: not for a path that is hot."""
    return [Scope(*row) async for row in _queries.every_scope(connection)]


async def put_total_events(
    connection: aiosqlite.Connection, scope: Scope, participant_id: str, total_events: int, created_at: int
) -> None:
    """Set the number of events; who was not known is known from now on."""
    await _queries.put_total_events(
        connection,
        **scope._asdict(),
        participant_id=participant_id,
        total_events=total_events,
        created_at=created_at,
    )


async def facts(
    connection: aiosqlite.Connection,
    scope: Scope,
    participant_id: str,
    fact_types: Iterable[str] | None = None,
    since: int | None = None,
) -> list[Fact]:
    """A participant's facts, of these types or all, from a moment on, in the order of the fold (promise 3)."""
    rows = _queries.facts_of(
        connection,
        **scope._asdict(),
        participant_id=participant_id,
        fact_types=None if fact_types is None else json.dumps(sorted(fact_types)),
        since=EARLIEST if since is None else since,
    )
    return [Fact(*row) async for row in rows]


async def count_listeners(connection: aiosqlite.Connection, scope: Scope, listening: Sequence[tuple[str, int]]) -> int:
    """How many participants have a fact of any of these types after the seq beside it."""
    found: int = await _queries.count_listeners(
        connection, **scope._asdict(), listening=json.dumps([list(pair) for pair in listening])
    )
    return found
