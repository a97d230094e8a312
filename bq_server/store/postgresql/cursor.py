"""The rows of a statement on PostgreSQL, with the interface of SQLite's cursor."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bq_server.store.postgresql.connection import PostgresConnection

Row = tuple[Any, ...]


class PostgresCursor:
    """The rows of one statement."""

    lastrowid = None
    description = None

    def __init__(self, connection: "PostgresConnection") -> None:
        self._connection = connection
        self._rows: Iterator[Row] = iter(())
        self.rowcount = -1

    def execute(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> "PostgresCursor":
        """Perform one statement."""
        rows, self.rowcount = self._connection.perform(sql, parameters)
        self._rows = iter(rows)
        return self

    def executemany(self, sql: str, parameters: Sequence[Mapping[str, Any]]) -> "PostgresCursor":
        """Perform one statement for each of these."""
        self.rowcount = self._connection.perform_many(sql, parameters)
        return self

    def fetchone(self) -> Row | None:
        """The next row."""
        return next(self._rows, None)

    def fetchall(self) -> list[Row]:
        """All rows that are left."""
        return list(self._rows)

    def fetchmany(self, size: int) -> list[Row]:
        """The next rows."""
        return [row for _, row in zip(range(size), self._rows, strict=False)]

    def __iter__(self) -> Iterator[Row]:
        return self._rows

    def close(self) -> None:
        """Forget the rows."""
        self._rows = iter(())
