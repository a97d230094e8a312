"""Facts: the immutable, deduplicated records from which everything else is computed."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from bq_server.events import Event, Scope, ScopedKey
from bq_server.ids import pack, unpack
from bq_server.store.database import Connection
from bq_server.store.queries import load

_queries = load("facts")
_reading = load("facts", "sqlite3")

FINGERPRINT_DIGITS = 32

EARLIEST = -(2**63)
LATEST = 2**63 - 1


class StoredFact(NamedTuple):
    """A fact as it is read. Times are microseconds since the epoch, UTC; `properties` and `warnings` are JSON text."""

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
    voids: str | None = None
    """What it says that it voids: an idempotency key or, of `system.fact_voided`, a fact's id."""
    voided_by: str | None = None
    """The id of the fact that voids it."""
    sent_as: str | None = None
    """The name under which it was sent, if that is an alias of `participant_id`."""

    @property
    def scoped_key(self) -> ScopedKey | None:
        """Its idempotency key, if it has one, and what that is unique in."""
        if self.idempotency_key is None:
            return None
        return ScopedKey(Scope(self.project, self.environment), self.idempotency_key)

    @property
    def sender(self) -> str:
        """The name under which it was sent, whomever that stands for."""
        return self.participant_id if self.sent_as is None else self.sent_as


class FactFilter(Struct, frozen=True):
    """Which facts to list. `since` is inclusive, `until` exclusive, both by `occurred_at`; `before` is a seq."""

    participant_id: str | None = None
    fact_type: str | None = None
    since: int = EARLIEST
    until: int = LATEST
    before: int = LATEST


def fact_of(row: Sequence[Any]) -> StoredFact:
    """A row of the view `fact_rows`."""
    seq, own_id, event_id, *texts, fingerprint, warnings, voids, voided_by, sent_as = row[: len(StoredFact._fields)]
    return StoredFact._make(
        (
            seq,
            fact_id_of(event_id, own_id),
            unpack("evt", event_id),
            *texts,
            fingerprint.hex() if isinstance(fingerprint, bytes) else fingerprint,
            "[]" if warnings is None else warnings,
            voids,
            None if voided_by is None else unpack("fact", voided_by),
            sent_as,
        )
    )


def fact_id_of(event_id: bytes, own_id: bytes | None) -> str:
    """The id of a fact as it is shown: its own, or else its event's with another prefix."""
    return unpack("fact", event_id if own_id is None else own_id)


def packed_fingerprint(fingerprint: str | None) -> bytes | str | None:
    """A fingerprint as stored: 16 bytes, or the text of one that isn't ours."""
    if fingerprint is None or len(fingerprint) != FINGERPRINT_DIGITS:
        return fingerprint
    try:
        packed = bytes.fromhex(fingerprint)
    except ValueError:
        return fingerprint
    return packed if packed.hex() == fingerprint else fingerprint


def _fact(row: Sequence[Any] | None) -> StoredFact | None:
    return None if row is None else fact_of(row)


async def last_seq(connection: Connection) -> int:
    """The seq of the newest fact of any environment; 0 if there is none."""
    found: int = await _queries.last_seq(connection)
    return found


def highest_seq(reading: Any) -> int:
    """As `last_seq`, on the connection's own thread."""
    found: int = _reading.last_seq(reading)
    return found


async def of_event(connection: Connection, event: Event) -> StoredFact | None:
    """The fact that this event became, by its id or else by its idempotency key."""
    row = await anext(_queries.facts_by_events(connection, event_ids=_hexadecimal([event.event_id])), None)
    if row is None and event.idempotency_key is not None:
        row = await _queries.fact_by_key(connection, **event.scope._asdict(), idempotency_key=event.idempotency_key)
    return _fact(row)


async def by_keys(connection: Connection, keys: Iterable[ScopedKey]) -> dict[ScopedKey, StoredFact]:
    """The facts that have these idempotency keys; a key without a fact is left out."""
    triples = json.dumps([[*scope, key] for scope, key in keys])
    return by_their_keys([fact_of(row) async for row in _queries.facts_by_keys(connection, triples=triples)])


def by_their_keys(found: Iterable[StoredFact]) -> dict[ScopedKey, StoredFact]:
    """Those of the facts that have an idempotency key, by it."""
    return {key: fact for fact in found if (key := fact.scoped_key) is not None}


async def count_who_came(connection: Connection, scope: Scope, participant_id: str, maker: str, follower: str) -> int:
    """How many others have a fact of the type `follower`, not void, that follows one of the participant's own.

    That one is of the type `maker`, and its idempotency key and a colon begin the other's.
    """
    about = {"participant_id": participant_id, "maker": maker, "follower": follower}
    found: int = await _queries.count_who_came(connection, **scope._asdict(), **about)
    return found


async def taken(connection: Connection, event_ids: Sequence[str]) -> set[str]:
    """Those event ids that have a fact, in any environment."""
    rows = _queries.facts_by_events(connection, event_ids=_hexadecimal(event_ids))
    return {fact_of(row).event_id async for row in rows}


async def by_id(connection: Connection, scope: Scope, fact_id: str) -> StoredFact | None:
    """The fact of that id in this scope."""
    return _fact(await _queries.fact_by_id(connection, **scope._asdict(), **_either(fact_id)))


async def by_message(connection: Connection, scope: Scope, message_id: str) -> StoredFact | None:
    """The fact that the message became."""
    return _fact(await _queries.fact_by_message(connection, **scope._asdict(), message_id=message_id))


async def repeated_by(connection: Connection, scope: Scope, message_id: str) -> StoredFact | None:
    """The fact that the message only repeated."""
    return _fact(await _queries.fact_by_duplicate(connection, **scope._asdict(), message_id=message_id))


async def record_duplicate(connection: Connection, event: Event, fact: StoredFact) -> None:
    """Remember that the event's message repeated this fact."""
    await _queries.insert_duplicate(connection, message_id=event.message_id, **event.scope._asdict(), fact=fact.seq)


async def newest(connection: Connection, scope: Scope, wanted: FactFilter, limit: int) -> list[StoredFact]:
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
    return [fact_of(row) async for row in rows]


async def of_participant(
    connection: Connection, scope: Scope, participant_id: str, event_name: str | None, limit: int, offset: int
) -> tuple[list[StoredFact], int]:
    """A page of a participant's facts, latest in event time first, and how many there are in total."""
    wanted = {**scope._asdict(), "participant_id": participant_id, "event_name": event_name}
    rows = _queries.participant_events(connection, **wanted, limit=limit, offset=offset)
    page = [fact_of(row) async for row in rows]
    return page, await _queries.count_participant_events(connection, **wanted)


def _either(fact_id: str) -> dict[str, bytes]:
    """Both ways a fact may be stored under an id."""
    packed = pack("fact", fact_id)
    return {"own_id": packed, "fact_id": packed}


def _hexadecimal(event_ids: Iterable[str]) -> str:
    return json.dumps([pack("evt", each).hex() for each in event_ids])
