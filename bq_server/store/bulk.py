"""Many rows in one statement.

Every statement releases the interpreter's lock while SQLite works and waits for it afterwards, however short the work
was. Rows that go together do so once.
"""

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

from bq_server.store import sqlite

ROWS = 64
"""Most rows of one statement."""

_VALUES = re.compile(r"VALUES\s*\(([^()]*)\)")
_PARAMETER = re.compile(r":\w+")


class Insert:
    """An `INSERT ... VALUES (:a, :b)` for any number of rows, each a tuple in the order of those parameters."""

    def __init__(self, sql: str) -> None:
        found = _VALUES.search(sql)
        if found is None:
            raise ValueError(f"has no VALUES: {sql}")
        self._sql = sql
        self._names = [each.removeprefix(":") for each in _PARAMETER.findall(found[1])]
        row = "(" + ", ".join("?" for _ in self._names) + ")"
        self._statements = [
            (count, sql[: found.start()] + "VALUES " + ", ".join([row] * count) + sql[found.end() :])
            for count in (ROWS >> shift for shift in range(ROWS.bit_length()))
        ]

    def __call__(self, connection: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert the rows, in their order."""
        if isinstance(connection, sqlite.Connection):
            self._insert(connection, rows)
        elif rows:
            connection.insert(self._sql, self._names, rows)

    def _insert(self, connection: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        start = 0
        for count, statement in self._statements:
            while len(rows) - start >= count:
                connection.execute(statement, tuple(chain.from_iterable(rows[start : start + count])))
                start += count
