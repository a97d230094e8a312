"""A person's rights in the database: everything kept about a participant, and erasing it.

An erased participant's facts stay as facts of nobody, with only their type and times: counts of events stay the same,
and a redelivered message is still recognized by its event id. Nobody's name is the empty string, which no event can
carry and which sorts before every name, so that whatever goes through the participants skips it.
"""

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from msgspec import Struct

from bq_server.events import Scope
from bq_server.store import (
    checksums,
    contests,
    feed,
    group_dues,
    participant_tokens,
    rank_sections,
    received_facts,
    team_scores,
)
from bq_server.store.database import Connection
from bq_server.store.facts import EARLIEST, LATEST, StoredFact, fact_id_of, fact_of
from bq_server.store.queries import load
from bq_server.store.references import References

_queries = load("erasures")
_writing = load("erasures", "sqlite3")

NOBODY = ""
"""Whose the facts of erased participants are."""


class KeptDelivery(Struct, frozen=True):
    """What a webhook endpoint was sent, or will be sent, about a participant."""

    delivery_id: str | None
    """None until its turn to be sent has come."""
    endpoint_id: str
    event_type: str
    fact_id: str | None
    created_at: int
    """Microseconds since the epoch, UTC."""
    state: str


async def keys_of(connection: Connection, participant: int, limit: int) -> list[str]:
    """The idempotency keys of the facts that `strip` would take next."""
    rows = _queries.facts_to_strip(connection, participant=participant, limit=limit)
    return [row[-1] async for row in rows if row[-1] is not None]


async def strip(connection: Connection, scope: Scope, participant: int, limit: int) -> tuple[int, set[str]]:
    """Make at most so many of the participant's facts nobody's, in a transaction; returns how many.

    And who else has received any of them: for these, they say nothing any more.
    """
    return await connection.run(lambda writing: _strip(writing, connection.references, scope, participant, limit))


def _strip(connection: Any, references: References, scope: Scope, participant: int, limit: int) -> tuple[int, set[str]]:
    own = references.scope(connection, scope)
    _writing.add_nobody(connection, scope=own)
    nobody = _writing.nobody(connection, scope=own)
    rows = list(_writing.facts_to_strip(connection, participant=participant, limit=limit))
    _writing.strip_facts(connection, [{"seq": row[0], "participant": nobody} for row in rows])
    checksums.renew(connection, [row[0] for row in rows])
    fact_ids = json.dumps([fact_id_of(row[1], row[2]) for row in rows])
    _writing.remove_warnings(connection, **scope._asdict(), fact_ids=fact_ids)
    recipients = received_facts.recipients_of(connection, [row[0] for row in rows])
    return len(rows), set().union(*recipients.values())


async def give_received_to_nobody(connection: Connection, scope: Scope, participant: int, limit: int) -> int:
    """Take at most so many facts of others from the participant, in a transaction; returns how many."""

    def give(writing: Any) -> int:
        own = connection.references.scope(writing, scope)
        _writing.add_nobody(writing, scope=own)
        return received_facts.give_to_nobody(writing, participant, _writing.nobody(writing, scope=own), limit)

    return await connection.run(give)


async def count(connection: Connection, participant: int | None) -> int:
    """How many facts are the participant's."""
    found: int = 0 if participant is None else await _queries.count_facts(connection, participant=participant)
    return found


async def remove_announcements(
    connection: Connection, scope: Scope, participant_id: str, after: int, limit: int
) -> int | None:
    """Take the participant out of so many announcements after this one, in a transaction.

    Returns the last of them, and None when there are no more. Do this before `remove_deliveries`: announcements become
    deliveries meanwhile.
    """
    until: int | None = await _queries.announcements_until(connection, after=after, limit=limit)
    if until is not None:
        some = {"after": after, "until": until}
        own = scope._asdict() | {"participant_id": participant_id}
        await _queries.remove_announcements(connection, **own, **some)
        await _queries.remove_empty_announcements(connection, **some)
    return until


async def remove_deliveries(connection: Connection, scope: Scope, participant_id: str, limit: int) -> int:
    """Take out at most so many deliveries about the participant, in a transaction; answer how many."""
    own = scope._asdict() | {"participant_id": participant_id}

    def remove(writing: Any) -> int:
        found = [{"position": row[0]} for row in _writing.deliveries_to_remove(writing, **own, limit=limit)]
        _writing.remove_tries(writing, found)
        _writing.remove_deliveries(writing, found)
        return len(found)

    return await connection.run(remove)


async def remove_ledger(connection: Connection, participant: int, limit: int) -> int:
    """Take out at most so many of the participant's entries, in a transaction; answer how many."""
    removed: int = await _queries.remove_ledger(connection, participant=participant, limit=limit)
    return removed


async def remove(
    connection: Connection, scope: Scope, participant_id: str, participant: int | None, *, facts: int, now: int
) -> None:
    """Take out the rest of what is kept of a participant; remember that somebody was erased, but not whom."""
    await remove_name(connection, scope, participant_id, participant)
    await _queries.add_erasure(connection, **scope._asdict(), erased_at=now, facts=facts)


async def remove_name(connection: Connection, scope: Scope, participant_id: str, participant: int | None) -> None:
    """Take out what is kept under a name beside facts, what these caused, and what others are told."""
    own = scope._asdict() | {"participant_id": participant_id}
    await _queries.remove_watched_streaks(connection, **own)
    await _queries.step_back(connection, **own)
    await _queries.remove_expiring_points(connection, **own)
    await participant_tokens.end_series(connection, scope, participant_id)  # one may have begun meanwhile
    await feed.remove_notices_of(connection, scope, participant_id)
    await _queries.recount_waiting(connection, **scope._asdict())
    if participant is not None:
        await give_received_to_nobody(connection, scope, participant, LATEST)  # of what came meanwhile
        await _queries.remove_cells(connection, participant=participant)
        await contests.forget_participant(connection, participant)
        await connection.run(partial(group_dues.forget_participant, participant=participant))
        await connection.run(lambda writing: _remove_places(writing, connection.references, scope, participant))
        await _queries.remove_aliases(connection, participant=participant)
        await _queries.remove_participant(connection, participant=participant)


def _remove_places(writing: Any, references: References, scope: Scope, participant: int) -> None:
    rank_sections.remove_places_of(writing, references.scope(writing, scope), participant)
    team_scores.remove_of(writing, references, participant)


async def uncleaned(connection: Connection) -> list[int]:
    """The numbers of the erasures of which files may still contain something."""
    return [row[0] async for row in _queries.open_erasures(connection)]


async def put_cleaned(connection: Connection, until: int, now: int) -> None:
    """Remember that nothing is left in the files of erasures up to this one."""
    await _queries.put_cleaned(connection, until=until, cleaned_at=now)


async def facts_with_effects(
    connection: Connection, participant: int, page: int
) -> AsyncIterator[tuple[StoredFact, str | None]]:
    """A participant's facts in the order of the fold, each with what it caused, packed."""
    at, seq = EARLIEST, 0
    while True:
        rows = _queries.facts_with_effects(connection, participant=participant, occurred_at=at, seq=seq, limit=page)
        found = [(fact_of(row), row[-1]) async for row in rows]
        for each in found:
            yield each
        if len(found) < page:
            return
        at, seq = found[-1][0].occurred_at, found[-1][0].seq


async def deliveries_of(connection: Connection, scope: Scope, participant_id: str) -> list[KeptDelivery]:
    """What webhook endpoints were sent, or will be sent, about a participant."""
    rows = _queries.deliveries_of(connection, **scope._asdict(), participant_id=participant_id)
    return [KeptDelivery(*row) async for row in rows]
