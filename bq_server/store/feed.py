"""What happened in an environment, in the order of commits: facts, and notices of everything else."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from bq_server.events import Scope
from bq_server.exact_json import dumps, loads_own
from bq_server.store import received_facts
from bq_server.store.database import Connection
from bq_server.store.facts import StoredFact, fact_of
from bq_server.store.queries import load
from bq_server.store.received_facts import KeptEffects

_queries = load("feed", "sqlite3")

MOST_NOTICES = 10_000
"""Notices that are kept of an environment; facts, and what was recomputed, are kept for ever."""

MOST_CHARACTERS = 256 << 10
"""Most bytes of properties and effects in one page; a page with more ends early."""

NoticeKind = Literal[
    "effects.recomputed",
    "streak.broken",
    "leaderboard.rank_changed",
    "message.dead",
    "game.changed",
    "environment.reset",
]
RECOMPUTED: NoticeKind = "effects.recomputed"


class Position(NamedTuple):
    """A position in what happened: after this fact and this notice. Both only grow, and are never reused."""

    seq: int
    notice: int


class FactHappened(Struct, frozen=True):
    """A fact was made."""

    position: Position
    fact: StoredFact
    effects: KeptEffects
    """What it caused, packed."""


class NoticeHappened(Struct, frozen=True):
    """Something else happened. `noted_at` is in microseconds since the epoch, UTC."""

    position: Position
    kind: NoticeKind
    participant_id: str | None
    event_name: str | None
    noted_at: int
    data: dict[str, Any]


Happened = FactHappened | NoticeHappened


class NewNotice(Struct, frozen=True):
    """Something to be reported beside facts. `noted_at` is in microseconds since the epoch, UTC."""

    scope: Scope
    kind: NoticeKind
    noted_at: int
    data: dict[str, Any]
    participant_id: str | None = None
    event_name: str | None = None


async def head(connection: Connection) -> Position:
    """The position after everything there is, in any environment."""
    return await connection.run(read_head)


def read_head(reading: Any) -> Position:
    """As `head`, on the connection's own thread."""
    return Position(*_queries.head(reading))


async def page(connection: Connection, scope: Scope, after: Position, limit: int) -> list[Happened]:
    """What came next, at most so many, and fewer if facts are large; empty if nothing did."""
    return await connection.run(lambda reading: _page(reading, scope, after, limit))


async def add_notices(connection: Connection, notices: Sequence[NewNotice]) -> None:
    """Note what happened, after all facts so far."""
    await connection.run(lambda writing: write_notices(writing, notices))


def write_notices(connection: Any, notices: Sequence[NewNotice]) -> None:
    """As `add_notices`, on the connection's own thread."""
    for each in notices:
        _queries.add_notice(
            connection,
            **each.scope._asdict(),
            kind=each.kind,
            participant_id=each.participant_id,
            event_name=each.event_name,
            noted_at=each.noted_at,
            data=dumps(each.data),
        )
    for scope in {each.scope for each in notices if each.kind != RECOMPUTED}:
        _queries.remove_old_notices(connection, **scope._asdict(), most=MOST_NOTICES)


def remove_notices(writing: Any, scope: Scope) -> None:
    """Delete the notices of an environment that is reset; on the connection's own thread."""
    _queries.remove_notices(writing, **scope._asdict())


async def notices_of(connection: Connection, scope: Scope, participant_id: str) -> list[NoticeHappened]:
    """The notices about a participant, oldest first."""
    about = scope._asdict() | {"participant_id": participant_id}
    return await connection.run(lambda reading: [_notice(row) for row in _queries.notices_of(reading, **about)])


async def remove_notices_of(connection: Connection, scope: Scope, participant_id: str) -> None:
    """Delete the notices about a participant who is erased."""
    about = scope._asdict() | {"participant_id": participant_id}
    await connection.run(lambda writing: _queries.remove_notices_of(writing, **about))


def _page(reading: Any, scope: Scope, after: Position, limit: int) -> list[Happened]:
    # Where transactions go on beside each other, a fact may come before one with a lower seq. Before the transaction,
    # which would not see what was committed after its beginning.
    until = read_head(reading).seq
    # In one transaction: what was committed between the two would be skipped.
    reading.execute("BEGIN")
    try:
        names = scope._asdict()
        notices = list(_queries.notices_after(reading, **names, notice=after.notice, limit=limit))
        notices = [notice for notice in notices if notice[0] <= until]
        rows = _queries.facts_after(reading, **names, seq=after.seq, until=until, limit=limit)
        facts = [fact_of(row) for row in rows]
        effects = received_facts.effects_of(reading, [fact.seq for fact in facts]) if facts else {}
    finally:
        if reading.in_transaction:
            reading.execute("ROLLBACK")
    return _merged(after, notices, facts, effects)[:limit]


def _merged(
    after: Position, notices: list[tuple[Any, ...]], facts: list[StoredFact], effects: Mapping[int, KeptEffects]
) -> list[Happened]:
    """Notices among facts: each after the fact that was the newest when it was written."""
    found: list[Happened] = []
    seq, notice, room = after.seq, after.notice, MOST_CHARACTERS
    waiting = iter(notices)
    following = next(waiting, None)
    for fact in (*facts, None):
        while following is not None and (fact is None or following[0] < fact.seq):
            told = _notice(following)
            notice = told.position.notice
            found.append(replace(told, position=Position(seq, notice)))
            following = next(waiting, None)
        if fact is not None:
            caused = effects.get(fact.seq, {})
            room -= len(fact.properties) + sum(map(len, caused.values()))
            if room < 0 and found:
                break
            seq = fact.seq
            found.append(FactHappened(Position(seq, notice), fact, caused))
    return found


def _notice(row: tuple[Any, ...]) -> NoticeHappened:
    after_seq, notice, kind, participant_id, event_name, noted_at, data = row
    return NoticeHappened(Position(after_seq, notice), kind, participant_id, event_name, noted_at, loads_own(data))
