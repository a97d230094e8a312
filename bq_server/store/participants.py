"""Participants: everyone an event named or who was created by hand, and their facts."""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from bq_server.events import Scope
from bq_server.store.aliases import stories_of, story_of
from bq_server.store.database import Connection
from bq_server.store.facts import EARLIEST, StoredFact, fact_of
from bq_server.store.queries import load
from bq_server.store.references import References

_queries = load("participants")
_reading = load("participants", "sqlite3")

LOOKED_AT = 20_000
"""Participants examined for a page of a search, which takes some ten milliseconds: a search uses no index."""


class Participant(Struct, frozen=True):
    """What is known about a participant beside their state. `attributes` is JSON text."""

    participant_id: str
    display_name: str | None
    avatar_url: str | None
    attributes: str
    total_events: int
    created_at: int
    """Microseconds since the epoch, UTC."""
    reference: int = 0
    """The participant's integer in other tables."""


async def put(connection: Connection, scope: Scope, participant: Participant) -> None:
    """Create the participant, or replace the editable part of an existing one."""
    await connection.run(lambda writing: connection.references.scope(writing, scope))
    await _queries.put_participant(
        connection,
        **scope._asdict(),
        participant_id=participant.participant_id,
        display_name=participant.display_name,
        avatar_url=participant.avatar_url,
        attributes=participant.attributes,
        created_at=participant.created_at,
    )


async def find(connection: Connection, scope: Scope, participant_id: str) -> Participant | None:
    """The participant of that id, if it is known; of an alias, whom it stands for."""
    return await connection.run(partial(look_up, references=connection.references, scope=scope, name=participant_id))


def look_up(reading: Any, references: References, scope: Scope, name: str) -> Participant | None:
    """As `find`, on the connection's own thread."""
    if scope in references.aliased:
        name = stories_of(reading, scope, [name]).get(name, name)
    row = _reading.participant(reading, **scope._asdict(), participant_id=name)
    return None if row is None or not row[-1] else Participant(*row[:-1])


async def reference(connection: Connection, scope: Scope, participant_id: str) -> int | None:
    """The participant's integer in other tables, known or not; of an alias, that of whom it stands for."""
    participant_id = await story_of(connection, scope, participant_id)
    row = await _queries.participant(connection, **scope._asdict(), participant_id=participant_id)
    return None if row is None else row[-2]


async def count(connection: Connection, scope: Scope) -> int:
    """How many participants an environment has."""
    return await connection.run(partial(counted, scope=scope))


def counted(reading: Any, scope: Scope) -> int:
    """As `count`, on the connection's own thread."""
    number: int = _reading.count_participants(reading, **scope._asdict())
    return number


async def after(connection: Connection, scope: Scope, participant_id: str, limit: int) -> list[str]:
    """The next participants in the order of their ids."""
    rows = _queries.participants_after(connection, **scope._asdict(), after=participant_id, limit=limit)
    return [row[0] async for row in rows]


async def page(
    connection: Connection, scope: Scope, search: str, after: str, limit: int
) -> tuple[list[Participant], str | None]:
    """The next participants, by id, whose id or name contains the text, and after which id the next page begins.

    The case of the letters A to Z is ignored. A page may contain few or none, though more follow.
    """
    own = scope._asdict()
    rows = _queries.page_of_participants(
        connection, **own, after=after, search=search, looked_at=LOOKED_AT, limit=limit + 1
    )
    found = [Participant(*row) async for row in rows]
    if len(found) > limit:
        return found[:limit], found[limit - 1].participant_id
    return found, await _queries.last_looked_at(connection, **own, after=after, looked_at=LOOKED_AT)


async def named_after(connection: Connection, scope: Scope, participant_id: str, limit: int) -> list[tuple[str, int]]:
    """The next participants that any row refers to, in order: their ids, and their integers."""
    rows = _queries.named_after(connection, **scope._asdict(), after=participant_id, limit=limit)
    return [(row[0], row[1]) async for row in rows]


async def every_scope(connection: Connection) -> list[Scope]:
    """The environments that contain anything about participants."""
    return [Scope(*row) async for row in _queries.every_scope(connection)]


async def put_total_events(connection: Connection, participant: int, total_events: int, created_at: int) -> None:
    """Set the number of events; makes an unknown participant known."""
    await _queries.put_total_events(
        connection, participant=participant, total_events=total_events, created_at=created_at
    )


async def facts(
    connection: Connection,
    scope: Scope,
    participant_id: str,
    fact_types: Iterable[str] | None = None,
    since: int | None = None,
) -> list[StoredFact]:
    """A participant's facts, of these types or all, from a moment on, in the order of the fold."""
    rows = _queries.facts_of(
        connection,
        **scope._asdict(),
        participant_id=participant_id,
        fact_types=None if fact_types is None else json.dumps(sorted(fact_types)),
        since=EARLIEST if since is None else since,
    )
    return [fact_of(row) async for row in rows]


async def count_listeners(connection: Connection, scope: Scope, listening: Sequence[tuple[str, int]]) -> int:
    """How many participants have a fact of any of these types after the seq beside it."""
    found: int = await _queries.count_listeners(
        connection, **scope._asdict(), listening=json.dumps([list(pair) for pair in listening])
    )
    return found
