"""Statements for aiosql, each carried out in one call on the connection's own thread.

What aiosqlite offers makes three calls of a statement, to execute it, to fetch its rows and to close its cursor, and a
call takes longer than most statements: two threads hand the interpreter to one another.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bq_server.store.database import Connection

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]


class StatementCalls:
    """The adapter, by the operations that the names of queries end with. Raises what the driver raises."""

    is_aio_driver = True

    def process_sql(self, _query_name: str, _op_type: object, sql: str) -> str:
        """The statement as the driver wants it."""
        return sql

    async def select(
        self,
        conn: "Connection",
        _query_name: str,
        sql: str,
        parameters: Parameters,
        _record_class: None = None,
    ) -> AsyncIterator[Row]:
        """All rows."""
        for row in await conn.run(partial(_rows, sql=sql, parameters=parameters)):
            yield row

    async def select_one(
        self,
        conn: "Connection",
        _query_name: str,
        sql: str,
        parameters: Parameters,
        _record_class: None = None,
    ) -> Row | None:
        """The first row, if any."""
        return await conn.run(partial(_row, sql=sql, parameters=parameters))

    async def select_value(self, conn: "Connection", _query_name: str, sql: str, parameters: Parameters) -> Any:
        """The first value of the first row; None without a row."""
        row = await conn.run(partial(_row, sql=sql, parameters=parameters))
        return row[0] if row else None

    async def insert_update_delete(
        self,
        conn: "Connection",
        _query_name: str,
        sql: str,
        parameters: Parameters,
    ) -> int:
        """How many rows that changed."""
        return await conn.run(partial(_changed, sql=sql, parameters=parameters))

    async def insert_update_delete_many(
        self,
        conn: "Connection",
        _query_name: str,
        sql: str,
        parameters: Sequence[Parameters],
    ) -> None:
        """Carry it out with each of these."""
        await conn.run(partial(_change_many, sql=sql, parameters=parameters))


def _rows(connection: Any, sql: str, parameters: Parameters) -> list[Row]:
    cursor = connection.execute(sql, parameters)
    try:
        found: list[Row] = cursor.fetchall()
        return found
    finally:
        cursor.close()


def _row(connection: Any, sql: str, parameters: Parameters) -> Row | None:
    cursor = connection.execute(sql, parameters)
    try:
        found: Row | None = cursor.fetchone()
        return found
    finally:
        cursor.close()


def _changed(connection: Any, sql: str, parameters: Parameters) -> int:
    cursor = connection.execute(sql, parameters)
    try:
        changed: int = cursor.rowcount
        return changed
    finally:
        cursor.close()


def _change_many(connection: Any, sql: str, parameters: Sequence[Parameters]) -> None:
    connection.executemany(sql, parameters).close()
