"""Between two migrations: the tables of the first release are converted into the compact ones.

In portions, each in its own transaction that also records how far it has come, so that a killed process continues where
it was and memory stays bounded. Until all of it is done, and the next migration has dropped the old tables, no program
serves the database.

Whatever somebody wrote by hand is converted if the new tables can express it, so that `verify` still finds it. What
they can't express, and is therefore left behind:

- The cell of a score whose period isn't the newest of its window: its place in the ranking has the same information.
Without that place the score is lost, which `verify` finds; a revision or a time that differs from the place's is lost.
- That a ledger entry gives another seq than that of the fact it names: the fact it names counts. - Effects that aren't
JSON of this program.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import Struct

from bq_server.store.migrations import first_release
from bq_server.store.queries import load

if TYPE_CHECKING:
    from bq_server.store.database import Connection

log = structlog.get_logger("bq_server.store.migrations")

PORTION = 10_000
"""Rows per transaction."""

PARTICIPANTS = 500
"""Participants per transaction, each with some tens of cells."""

TELL_SECONDS = 3.0
"""Seconds between two lines of the log."""

_queries = load("conversion", "sqlite3")

FIRST = -(2**63)

Key = Sequence[Any]
"""The key of a row of an old table."""

_WHO = ("project", "environment", "participant_id")
_CELL = (*_WHO, "cell")
_PLACE = ("project", "environment", "board", "time_window", "period", "participant_id")


class _Step(Struct, frozen=True):
    """The conversion of one table, in the order of its key."""

    name: str
    table: str
    """Approximately how many rows there are."""
    first: Key
    """Before every key."""
    portion: int
    carry: Callable[[Any, Key, int], tuple[int, Key]]
    """Converts the next rows after a key, at most so many; returns how many, and the key of the last."""


async def carry_over(connection: "Connection") -> None:
    """Convert everything, or what is left of it. Raises the database's own errors; then it may be called again."""
    if not await connection.run(_prepare):
        return
    for step in _STEPS:
        await _carry(connection, step)
    log.info("migration.carried_over")


async def _carry(connection: "Connection", step: _Step) -> None:
    total = await connection.run(partial(_count, step.table))
    start = told = monotonic()
    after, done = await connection.run(partial(_progress, step))
    before = done
    log.info("migration.carrying_over", what=step.name, done=done, total=total)
    while True:
        count, after = await connection.run(partial(_portion, step, after, done))
        if not count:
            return
        done += count
        now = monotonic()
        if now - told >= TELL_SECONDS:
            told = now
            rate = round((done - before) / (now - start))
            log.info("migration.carrying_over", what=step.name, done=done, total=total, per_second=rate)


def _prepare(connection: Any) -> bool:
    """Whether there is anything to convert; if so, prepares what the steps need."""
    if not (_queries.has_any(connection) or _queries.had_facts(connection)):
        return False
    for name, count, function in (
        ("packed_id", 2, first_release.packed_id),
        ("own_id", 2, first_release.own_id),
        ("packed_fingerprint", 1, first_release.packed_fingerprint),
        ("packed_cause", 2, first_release.packed_cause),
        ("packed_effects", 3, first_release.packed_effects),
        ("exact_score", 2, first_release.exact),
    ):
        connection.create_function(name, count, function)
    with transaction(connection):
        if _queries.progress(connection, step="scopes") is None:
            _queries.keep_seq(connection)
            scopes = sorted(_scopes(connection))
            for project, environment in scopes:
                _queries.add_scope(connection, project=project, environment=environment)
            _queries.put_progress(connection, step="scopes", after="[]", done=len(scopes))
    return True


def _scopes(connection: Any) -> set[tuple[str, str]]:
    """The environments that any old row names."""
    found = set()
    for following in (
        _queries.scope_of_facts,
        _queries.scope_of_duplicates,
        _queries.scope_of_participants,
        _queries.scope_of_cells,
        _queries.scope_of_entries,
        _queries.scope_of_places,
    ):
        scope = ("", "")
        while row := following(connection, project=scope[0], environment=scope[1]):
            scope = (row[0], row[1])
            found.add(scope)
    return found


def _count(table: str, connection: Any) -> int:
    found: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own name
    return found


def _progress(step: _Step, connection: Any) -> tuple[Key, int]:
    row = _queries.progress(connection, step=step.name)
    return (step.first, 0) if row is None else (json.loads(row[0]), row[1])


def _portion(step: _Step, after: Key, done: int, connection: Any) -> tuple[int, Key]:
    with transaction(connection):
        count, last = step.carry(connection, after, step.portion)
        if count:
            _queries.put_progress(connection, step=step.name, after=json.dumps(last), done=done + count)
    return count, last


@contextmanager
def transaction(connection: Any) -> Iterator[None]:
    """One of a portion, on the connection's own thread."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _range(names: Sequence[str], after: Key, last: Key) -> dict[str, Any]:
    """The parameters of a statement about the rows after one key, up to another."""
    return dict(zip(names, after, strict=True)) | {
        f"last_{name.removesuffix('_id')}": value for name, value in zip(names, last, strict=True)
    }


def _participants(connection: Any, after: Key, limit: int) -> tuple[int, Key]:
    """With the state that is made of their cells, and how many ledger entries they have."""
    page = [tuple(row) for row in _queries.participants_after(connection, **_names(_WHO, after), limit=limit)]
    if not page:
        return 0, after
    between = _range(_WHO, after, page[-1])
    entries = {tuple(who): count for *who, count in _queries.entries_between(connection, **between)}
    cells = groupby(_queries.cells_between(connection, **between), key=lambda row: tuple(row[:3]))
    states = {who: first_release.state(((row[3], row[4]) for row in rows), entries.get(who, 0)) for who, rows in cells}
    rows = [
        _names(_WHO, who) | {"state": states.get(who) or first_release.state((), entries.get(who, 0))} for who in page
    ]
    _queries.add_participants(connection, rows)
    return len(page), page[-1]


def _facts(connection: Any, after: Key, limit: int) -> tuple[int, Key]:
    count, until = _queries.last_fact(connection, after=after[0], limit=limit)
    if count:
        _queries.add_fact_types(connection, after=after[0], until=until)
        _queries.add_facts(connection, after=after[0], until=until)
    return count, [until]


def _duplicates(connection: Any, after: Key, limit: int) -> tuple[int, Key]:
    count, until = _queries.last_duplicate(connection, after=after[0], limit=limit)
    if count:
        _queries.add_duplicates(connection, after=after[0], until=until)
    return count, [until]


def _ledger(connection: Any, after: Key, limit: int) -> tuple[int, Key]:
    count, until = _queries.last_entry(connection, after=after[0], limit=limit)
    if count:
        _queries.add_entries(connection, after=after[0], until=until)
    return count, [until]


def _cells(connection: Any, after: Key, limit: int) -> tuple[int, Key]:
    """Cells that are stored apart."""
    page = list(_queries.cells_after(connection, **_names(_CELL, after), limit=limit))
    if page:
        _queries.add_cells(connection, **_range(_CELL, after, page[-1]))
    return len(page), page[-1] if page else after


def _standings(connection: Any, after: Key, limit: int) -> tuple[int, Key]:
    page = list(_queries.places_after(connection, **_names(_PLACE, after), limit=limit))
    if page:
        between = _range(_PLACE, after, page[-1])
        for add in (_queries.add_rankings, _queries.add_ranked, _queries.add_places):
            add(connection, **between)
    return len(page), page[-1] if page else after


def _names(names: Sequence[str], key: Key) -> dict[str, Any]:
    return dict(zip(names, key, strict=True))


_STEPS = (
    _Step("participants", "old_participants", ("",) * len(_WHO), PARTICIPANTS, _participants),
    _Step("facts", "old_facts", (FIRST,), PORTION, _facts),
    _Step("duplicates", "old_duplicates", (FIRST,), PORTION, _duplicates),
    _Step("points ledger", "old_ledger", (FIRST,), PORTION, _ledger),
    _Step("cells", "old_cells", ("",) * len(_CELL), PORTION, _cells),
    _Step("rankings", "old_standings", ("",) * len(_PLACE), PORTION, _standings),
)
"""In this order: each needs what the previous ones have written."""
