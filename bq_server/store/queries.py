"""The named queries of `sql/*.sql`. Their names and comments are in those files."""

from importlib.resources import as_file, files
from typing import Any

import aiosql

from bq_server.store.statement_calls import StatementCalls


def load(name: str, driver: str | None = None) -> Any:
    """The queries of `sql/<name>.sql`, each a method that takes a connection and named parameters.

    The connection is one of the database's, and the method is awaited; or it is one of that driver.
    """
    adapter: Any = driver or StatementCalls
    with as_file(files("bq_server.store") / "sql" / f"{name}.sql") as path:
        return aiosql.from_path(path, adapter)
