"""All rows of all tables, read from a store of one kind and written to one of the other, unchanged."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from bq_server.store.bulk import Insert
from bq_server.store.move_marks import MOVES
from bq_server.store.postgresql.connection import PostgresConnection

PORTION = 5_000
"""Rows that are read at once."""

_OF_EACH = ("schema_migrations", MOVES)
"""Tables that belong to the store itself."""

_KINDS = {"INTEGER": "bigint", "TEXT": "text", "BLOB": "bytea", "NUMERIC": "numeric"}

Rows = Sequence[tuple[Any, ...]]
Key = Sequence[Any]


class Table(Struct, frozen=True):
    """A table, as SQLite describes it. Its key is the columns that identify a row; empty if only its rowid does."""

    name: str
    columns: Sequence[str]
    kinds: Sequence[str]
    key: Sequence[str]

    def count(self, connection: Any) -> int:
        """How many rows it has."""
        found: int = connection.execute(f"SELECT count(*) FROM {self.name}").fetchone()[0]  # noqa: S608 - our own name
        return found

    def is_empty(self, connection: Any) -> bool:
        """Whether it has no row; quicker than counting."""
        return connection.execute(f"SELECT 1 FROM {self.name} LIMIT 1").fetchone() is None  # noqa: S608 - our own name

    def portions(self, reading: Any, after: Key | None = None) -> Iterator[tuple[Rows, Key]]:
        """The rows in order of their keys, after that key, each portion with the key of its last row."""
        # If no column identifies a row, what the store has given it does, in the order of writing.
        key = self.key or (["ctid"] if isinstance(reading, PostgresConnection) else ["rowid"])
        names, places = ", ".join(key), ", ".join("?" for _ in key)
        page = f"SELECT {names}, {', '.join(self.columns)} FROM {self.name}"  # noqa: S608 - our own names
        order = f" ORDER BY {names} LIMIT {PORTION}"
        while True:
            if after is None:
                rows = reading.execute(page + order).fetchall()
            else:
                found = [tuple(each) if isinstance(each, list) else each for each in after]
                rows = reading.execute(f"{page} WHERE ({names}) > ({places}){order}", found).fetchall()
            if not rows:
                return
            after = list(rows[-1][: len(key)])
            yield [tuple(row[len(key) :]) for row in rows], after

    def inserting(self, writing: Any) -> Callable[[Rows], None]:
        """What inserts rows there."""
        columns = ", ".join(self.columns)
        if not isinstance(writing, PostgresConnection):
            values = ", ".join(f":{each}" for each in self.columns)
            return partial(Insert(f"INSERT INTO {self.name} ({columns}) VALUES ({values})"), writing)  # noqa: S608 - our own names
        arrays = ", ".join(f":{name}::{_KINDS[kind]}[]" for name, kind in zip(self.columns, self.kinds, strict=True))
        sql = f"INSERT INTO {self.name} ({columns}) SELECT * FROM unnest({arrays})"  # noqa: S608 - our own names
        return partial(writing.insert, sql, self.columns)


def tables_of(connection: Any) -> list[Table]:
    """The tables of a store in a file; those of PostgreSQL are the same."""
    names = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
    ).fetchall()
    found = []
    for (name,) in names:
        if name not in _OF_EACH:
            columns = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (name,)).fetchall()
            key = [column for column, _, place in sorted(columns, key=lambda each: each[2]) if place]
            found.append(Table(name, [each[0] for each in columns], [each[1] for each in columns], key))
    return found


def continue_numbering(reading: Any, writing: Any) -> None:
    """Let the target give the numbers that the source would give next."""
    if isinstance(writing, PostgresConnection):
        _in_postgresql(writing, dict(reading.execute("SELECT name, seq FROM sqlite_sequence").fetchall()))
    else:
        _in_sqlite(writing, reading)


_IDENTITIES = """SELECT table_name::text, column_name::text FROM information_schema.columns
WHERE table_schema = current_schema() AND is_identity = 'YES' ORDER BY table_name"""


def _in_postgresql(writing: PostgresConnection, given: Mapping[str, int]) -> None:
    for table, column in writing.execute(_IDENTITIES).fetchall():
        highest = writing.execute(f"SELECT coalesce(max({column}), 0) FROM {table}").fetchall()[0][0]  # noqa: S608 - our own names
        last = max(highest, given.get(table, 0))
        sequence = f"pg_get_serial_sequence('{table}', '{column}')"
        writing.execute(f"SELECT setval({sequence}, greatest(?::bigint, 1), ?::bigint > 0)", (last, last))
    for name in ("facts", "notices"):
        writing.execute("UPDATE last_given SET seq = ? WHERE name = ?", (given.get(name, 0), name))


def _in_sqlite(writing: Any, reading: PostgresConnection) -> None:
    given = dict(reading.execute("SELECT name, seq FROM last_given").fetchall())
    # What a stream has noted of the store must not be higher than it will be.
    given["facts"] = reading.execute("SELECT height()").fetchall()[0][0]
    del given["commits"]
    for table, column in reading.execute(_IDENTITIES).fetchall():
        if table not in given:
            sequence = reading.execute(f"SELECT pg_get_serial_sequence('{table}', '{column}')").fetchall()[0][0]
            last, called = reading.execute(f"SELECT last_value, is_called FROM {sequence}").fetchall()[0]  # noqa: S608 - our own names
            given[table] = last if called else 0
    for table, last in given.items():
        if not writing.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (last, table)).rowcount:
            writing.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))
