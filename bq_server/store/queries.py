"""The named queries of `sql/*.sql`. Their names and comments are in those files."""

from importlib.resources import as_file, files
from typing import Any

import aiosql


def load(name: str, driver: str = "aiosqlite") -> Any:
    """The queries of `sql/<name>.sql`, each a method that takes a connection of that driver and named parameters."""
    with as_file(files("bq_server.store") / "sql" / f"{name}.sql") as path:
        return aiosql.from_path(path, driver)
