"""Moving everything in a store to one of the other kind: every table, row by row, unchanged.

It goes in portions, each in a transaction together with its progress, so that an interrupted move can be resumed. A
store that is being filled, or that was moved away, can't be served from: see `store/settled.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bq_server.store.backend import Backend, StoreAddress, backend_of
from bq_server.store.bulk import Insert
from bq_server.store.postgresql.connection import PostgresConnection
from bq_server.store.settled import MOVES, Mark, mark_of, progress, put_mark, put_progress, remove_mark
from bq_server.store.sqlite_file import PATIENCE_SECONDS, SqliteFile

PORTION = 5_000
"""Rows in one transaction."""

_OF_EACH = ("schema_migrations", MOVES)
"""Tables that belong to the store itself."""

_KINDS = {"INTEGER": "bigint", "TEXT": "text", "BLOB": "bytea", "NUMERIC": "numeric"}

Told = Callable[[str, int, int], None]
"""Called with a table, how many of its rows are moved, and how many it has."""


class MoveRefused(Exception):
    """The move isn't possible. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table, as SQLite describes it. Its key is the columns that identify a row; empty if only its rowid does."""

    name: str
    columns: Sequence[str]
    kinds: Sequence[str]
    key: Sequence[str]


def move(source: StoreAddress, target: StoreAddress, told: Told) -> int:
    """Move everything, and mark the source as moved. Returns the number of rows.

    Both must have the newest schema, and nobody else may use either. Raises `MoveRefused` for a target that contains
    anything but what an earlier move from there has left, and `StoreUnavailable`.
    """
    if isinstance(source, Path) == isinstance(target, Path):
        raise MoveRefused("a store moves from a data directory to PostgreSQL, or from PostgreSQL to a data directory")
    ours, theirs = backend_of(source), backend_of(target)
    try:
        return _moved(ours, theirs, told)
    except (ours.error, theirs.error) as error:
        failed = ours if isinstance(error, ours.error) else theirs
        raise failed.unavailable(error, for_commands=True) from error


def _moved(ours: Backend, theirs: Backend, told: Told) -> int:
    with closing(ours.connect(PATIENCE_SECONDS)) as reading, closing(theirs.connect(PATIENCE_SECONDS)) as writing:
        ours.hold(reading)
        theirs.hold(writing)
        tables = _tables(reading if isinstance(ours, SqliteFile) else writing)
        _begin(writing, tables, ours.name, theirs.name)
        total = 0
        for table in tables:
            total += _carry(table, reading, writing, told)
        _finish(reading, writing, theirs.name)
    return total


def _tables(connection: Any) -> list[_Table]:
    names = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
    ).fetchall()
    found = []
    for (name,) in names:
        if name not in _OF_EACH:
            columns = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (name,)).fetchall()
            key = [column for column, _, place in sorted(columns, key=lambda each: each[2]) if place]
            found.append(_Table(name, [each[0] for each in columns], [each[1] for each in columns], key))
    return found


def _begin(writing: Any, tables: Sequence[_Table], source: str, target: str) -> None:
    """Mark the target as being filled; if an earlier move has marked it, that move is resumed."""
    if (found := mark_of(writing)) is not None:
        if found != Mark("from", source):
            raise MoveRefused(f"{target} holds what was moved {found.way} {found.other}: name another, or empty it")
        return
    for table in tables:
        if writing.execute(f"SELECT count(*) FROM (SELECT 1 FROM {table.name} LIMIT 1) AS any_row").fetchone()[0]:  # noqa: S608 - our own name
            raise MoveRefused(f"{target} is not empty ({table.name}): name one that is")
    writing.execute("BEGIN IMMEDIATE")
    put_mark(writing, Mark("from", source))
    writing.execute("COMMIT")


def _carry(table: _Table, reading: Any, writing: Any, told: Told) -> int:
    """Move the rows of a table that no earlier move has moved."""
    total: int = reading.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]  # noqa: S608 - our own name
    after, done = progress(writing, table.name)
    key, columns = _key_of(table, reading), ", ".join(table.columns)
    names = ", ".join(key)
    places = ", ".join("?" for _ in key)
    page = f"SELECT {names}, {columns} FROM {table.name}"  # noqa: S608 - our own names
    order = f" ORDER BY {names} LIMIT {PORTION}"
    insert = _inserting(table, writing)
    while True:
        if after is None:
            rows = reading.execute(page + order).fetchall()
        else:
            rows = reading.execute(f"{page} WHERE ({names}) > ({places}){order}", _parameters(after)).fetchall()
        if not rows:
            break
        values = [tuple(row[len(key) :]) for row in rows]
        after, done = list(rows[-1][: len(key)]), done + len(rows)
        writing.execute("BEGIN IMMEDIATE")
        try:
            insert(values)
            put_progress(writing, table.name, after, done)
            writing.execute("COMMIT")
        except BaseException:
            writing.execute("ROLLBACK")
            raise
        told(table.name, done, total)
    if done != total:
        raise MoveRefused(f"{table.name} had {total} rows and {done} were moved: something else writes to the store")
    return done


def _key_of(table: _Table, reading: Any) -> Sequence[str]:
    """What identifies a row: if no column does, the rowid that the store has given it, in the order of writing."""
    return table.key or (["ctid"] if isinstance(reading, PostgresConnection) else ["rowid"])


def _parameters(key: Sequence[Any]) -> list[Any]:
    return [tuple(each) if isinstance(each, list) else each for each in key]


def _inserting(table: _Table, writing: Any) -> Callable[[list[Any]], None]:
    columns = ", ".join(table.columns)
    if not isinstance(writing, PostgresConnection):
        values = ", ".join(f":{each}" for each in table.columns)
        return partial(Insert(f"INSERT INTO {table.name} ({columns}) VALUES ({values})"), writing)  # noqa: S608 - our own names
    arrays = ", ".join(f":{name}::{_KINDS[kind]}[]" for name, kind in zip(table.columns, table.kinds, strict=True))
    sql = f"INSERT INTO {table.name} ({columns}) SELECT * FROM unnest({arrays})"  # noqa: S608 - our own names
    return partial(writing.insert, sql, table.columns)


def _finish(reading: Any, writing: Any, target: str) -> None:
    """Continue the numbering; the source is marked first, so that both can never be served from."""
    writing.execute("BEGIN IMMEDIATE")
    if isinstance(writing, PostgresConnection):
        _go_on_in_postgresql(writing, dict(reading.execute("SELECT name, seq FROM sqlite_sequence").fetchall()))
    else:
        _go_on_in_sqlite(writing, reading)
    reading.execute("BEGIN IMMEDIATE")
    put_mark(reading, Mark("to", target))
    reading.execute("COMMIT")
    remove_mark(writing)
    writing.execute("COMMIT")


_IDENTITIES = """SELECT table_name::text, column_name::text FROM information_schema.columns
WHERE table_schema = current_schema() AND is_identity = 'YES' ORDER BY table_name"""


def _go_on_in_postgresql(writing: PostgresConnection, given: Mapping[str, int]) -> None:
    for table, column in writing.execute(_IDENTITIES).fetchall():
        highest = writing.execute(f"SELECT coalesce(max({column}), 0) FROM {table}").fetchall()[0][0]  # noqa: S608 - our own names
        last = max(highest, given.get(table, 0))
        sequence = f"pg_get_serial_sequence('{table}', '{column}')"
        writing.execute(f"SELECT setval({sequence}, greatest(?::bigint, 1), ?::bigint > 0)", (last, last))
    for name in ("facts", "notices"):
        writing.execute("UPDATE last_given SET seq = ? WHERE name = ?", (given.get(name, 0), name))


def _go_on_in_sqlite(writing: Any, reading: PostgresConnection) -> None:
    given = dict(reading.execute("SELECT name, seq FROM last_given").fetchall())
    for table, column in reading.execute(_IDENTITIES).fetchall():
        if table not in given:
            sequence = reading.execute(f"SELECT pg_get_serial_sequence('{table}', '{column}')").fetchall()[0][0]
            last, called = reading.execute(f"SELECT last_value, is_called FROM {sequence}").fetchall()[0]  # noqa: S608 - our own names
            given[table] = last if called else 0
    for table, last in given.items():
        if not writing.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (last, table)).rowcount:
            writing.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))
