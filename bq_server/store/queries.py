"""The named queries of `sql/*.sql`. Their names and comments are in those files."""

import re
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import aiosql
from aiosql.query_loader import QueryLoader
from aiosql.types import QueryDatum

from bq_server.store.statement_calls import StatementCalls

_DEFINITION = re.compile(r"^-- name: *", re.MULTILINE)


class _LineCommentsOnly(QueryLoader):
    """Reads what has no comments of several lines.

    The library's search for them matches at each character, and took two thirds of the time that all queries need.
    """

    def load_query_data_from_sql(
        self, sql: str, ns_parts: list[str], fname: Path | str = "<unknown>"
    ) -> list[QueryDatum]:
        found, line = [], 1
        for place, part in enumerate(_DEFINITION.split(sql)):
            if place:
                found.append(self._make_query_datum(part, ns_parts, (fname, line)))
            line += part.count("\n")
        return found


def load(name: str, driver: str | None = None) -> Any:
    """The queries of `sql/<name>.sql`, each a method that takes a connection and named parameters.

    The connection is one of the database's, and the method is awaited; or it is one of that driver.
    """
    adapter: Any = driver or StatementCalls
    with as_file(files("bq_server.store") / "sql" / f"{name}.sql") as path:
        return aiosql.from_path(path, adapter, loader_cls=_LineCommentsOnly)
