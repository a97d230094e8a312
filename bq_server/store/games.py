"""Games: the document of an environment, since when its definitions count, and the refolds under way."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from bq_server.events import Scope
from bq_server.store import watched_streaks
from bq_server.store.beside import at_the_end
from bq_server.store.database import Connection
from bq_server.store.queries import load

_queries = load("games")
_writing = load("games", "sqlite3")

REFOLDS = "refolds"
"""Under which `Database.outbox` wakes who carries them out."""

MOST_WARNINGS = 20
"""Different messages kept for one definition."""


class StoredGame(Struct, frozen=True):
    """A game as stored. `document` is JSON text; times are microseconds since the epoch, UTC."""

    version: int
    document: str
    applied_at: int


class Refold(Struct, frozen=True):
    """The recomputation of definitions for every participant."""

    refold_id: str
    scope: Scope
    definitions: tuple[str, ...]
    until_seq: int
    """The newest fact when it began."""
    after_participant: str
    """The last participant done."""
    done: int
    total: int
    started_at: int
    finished_at: int | None


class StoredWarning(Struct, frozen=True):
    """An expression of a definition had no usable value for facts: how many, and one of them."""

    definition: str
    message: str
    count: int
    fact_id: str
    last_at: int


async def current(connection: Connection, scope: Scope) -> StoredGame | None:
    """The game of an environment."""
    row = await _queries.game(connection, **scope._asdict())
    return None if row is None else StoredGame(*row)


class GameInForce(Struct, frozen=True):
    """All that the store knows of an environment's game."""

    stored: StoredGame | None
    applied: Mapping[str, int]
    """For each definition the seq after which it counts."""
    pending: frozenset[str]
    """The definitions that are being recomputed."""


def in_force(reading: Any, scope: Scope) -> GameInForce:
    """The game of an environment, on the connection's own thread."""
    names = scope._asdict()
    row = _writing.game(reading, **names)
    refolds = [_refold(each) for each in _writing.refolds_of(reading, **names)]
    return GameInForce(
        None if row is None else StoredGame(*row),
        applied_seqs(reading, scope),
        frozenset(key for each in refolds if each.finished_at is None for key in each.definitions),
    )


async def version(connection: Connection, scope: Scope) -> int:
    """The version of the game, which grows whenever the meaning of facts changes; 0 without a game."""
    return await connection.run(partial(current_version, scope=scope))


def current_version(reading: Any, scope: Scope) -> int:
    """As `version`, on the connection's own thread."""
    return _writing.version(reading, **scope._asdict()) or 0


async def bump_version(connection: Connection, scope: Scope) -> None:
    """Record that the meaning of facts has changed though the document is the same."""
    await _queries.bump_version(connection, **scope._asdict())


async def applied(connection: Connection, scope: Scope) -> dict[str, int]:
    """For each definition the seq after which it counts."""
    return await connection.run(partial(applied_seqs, scope=scope))


def applied_seqs(reading: Any, scope: Scope) -> dict[str, int]:
    """As `applied`, on the connection's own thread."""
    return {key: seq for key, seq, *_ in _writing.definitions(reading, **scope._asdict())}


async def put(
    connection: Connection,
    scope: Scope,
    document: str,
    counts: Mapping[str, int],
    now: int,
) -> int:
    """Replace the game, with the seq after which each of its definitions counts; returns the new version."""
    names = scope._asdict()
    rows = [{**names, "definition": definition, "applied_seq": seq} for definition, seq in counts.items()]

    def write(writing: Any) -> int:
        _writing.put_game(writing, **names, document=document, applied_at=now)
        if rows:
            _writing.put_definitions(writing, rows)
        watched_streaks.forget_when(writing, scope)
        return _writing.version(writing, **names) or 0

    connection.wakes.add(watched_streaks.NAME)  # who finds it out anew
    return await connection.run(write)


async def forget_warnings(connection: Connection, scope: Scope, definitions: Iterable[str]) -> None:
    """Drop the warnings of definitions that were changed."""
    await _queries.remove_warnings(connection, [{**scope._asdict(), "definition": each} for each in definitions])


async def add_refold(connection: Connection, refold: Refold) -> None:
    """Start a refold; it is carried out in the background."""
    connection.wakes.add(REFOLDS)
    await _queries.add_refold(
        connection,
        refold_id=refold.refold_id,
        **refold.scope._asdict(),
        definitions=json.dumps(refold.definitions),
        until_seq=refold.until_seq,
        total=refold.total,
        started_at=refold.started_at,
    )


def _refold(row: Sequence[object]) -> Refold:
    refold_id, project, environment, definitions, *rest = row
    return Refold(refold_id, Scope(project, environment), tuple(json.loads(str(definitions))), *rest)  # type: ignore[arg-type]


async def open_refolds(connection: Connection) -> list[Refold]:
    """The unfinished refolds, oldest first."""
    return [_refold(row) async for row in _queries.open_refolds(connection)]


def refolds_under_way(reading: Any, scope: Scope) -> int:
    """How many refolds of an environment are unfinished, on the connection's own thread."""
    return sum(_refold(row).scope == scope for row in _writing.open_refolds(reading))


async def refolds(connection: Connection, scope: Scope) -> list[Refold]:
    """The refolds of an environment that are under way, then the newest finished ones."""
    return [_refold(row) async for row in _queries.refolds_of(connection, **scope._asdict())]


async def advance(connection: Connection, refold: Refold, participants: Sequence[str]) -> None:
    """Record that these participants, the next in order, are done."""
    await _queries.advance_refold(
        connection, refold_id=refold.refold_id, after_participant=participants[-1], done=len(participants)
    )


async def finish(connection: Connection, refold: Refold, now: int) -> None:
    """Record that every participant is done."""
    await _queries.finish_refold(connection, refold_id=refold.refold_id, finished_at=now)
    await bump_version(connection, refold.scope)


def add_warnings(connection: Any, scope: Scope, warnings: Iterable[StoredWarning]) -> None:
    """Add to the counts of warnings. On the writing connection's thread, in a transaction."""
    rows = [
        {
            **scope._asdict(),
            "definition": each.definition,
            "message": each.message,
            "count": each.count,
            "fact_id": each.fact_id,
            "last_at": each.last_at,
            "most": MOST_WARNINGS,
        }
        for each in warnings
    ]
    at_the_end(connection, lambda: _writing.add_warnings(connection, rows))


async def warnings(connection: Connection, scope: Scope) -> list[StoredWarning]:
    """All warnings of an environment's game."""
    return [StoredWarning(*row) async for row in _queries.warnings(connection, **scope._asdict())]
