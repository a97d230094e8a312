"""A look into a store on PostgreSQL."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from bq_server.store.postgresql.connection import PostgresConnection


def rows(url: str, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """What a statement finds there."""

    def look() -> list[tuple[Any, ...]]:
        with closing(PostgresConnection(url, 15)) as connection:
            return connection.execute(sql, parameters).fetchall()

    with ThreadPoolExecutor(1) as thread:  # whose loop is not the test's
        return thread.submit(look).result()
