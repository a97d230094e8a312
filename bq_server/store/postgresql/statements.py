"""Which statement PostgreSQL gets for one of SQLite's.

The rooms above know statements by their text for SQLite. Most mean the same to PostgreSQL, except for how a parameter
is written; the others have another text, under the same name, in `statements.sql`.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from msgspec import Struct

from bq_server.store.queries import load

_NAMED = re.compile(r"^-- name: (\w+)\.(\w+)$", re.MULTILINE)
_PARTS = re.compile(r"--[^\n]*|'[^']*'|\"[^\"]*\"|::\w+|:(?P<name>[a-z_]\w*)|(?P<place>\?)")
"""Comments, texts, names and casts, in which no parameter is looked for, or a parameter."""


class SqlStatement(Struct, frozen=True):
    """A statement as PostgreSQL gets it."""

    sql: str
    """With $1 for the first parameter."""
    names: tuple[str, ...]
    """The names of the parameters, in order; empty if the caller passes them by position."""
    of_rows: bool
    """Whether each parameter is an array, with an element for each of any number of rows."""

    def values(self, given: Mapping[str, Any] | Sequence[Any]) -> Sequence[Any]:
        """The parameters in their order."""
        return [given[name] for name in self.names] if isinstance(given, Mapping) else given

    def columns(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        """The parameters of a statement of rows, for rows whose values have these names."""
        by_name = dict(zip(names, zip(*rows, strict=True), strict=True))
        return [by_name[name] for name in self.names]


@cache
def statement(sql: str) -> SqlStatement:
    """What PostgreSQL gets when SQLite gets that."""
    return parsed(_others().get(sql, sql))


def parsed(sql: str) -> SqlStatement:
    """A text with named parameters, or with question marks, in PostgreSQL's form."""
    names: list[str] = []
    places = 0

    def numbered(found: re.Match[str]) -> str:
        nonlocal places
        if found["place"]:
            places += 1
            return f"${places}"
        if found["name"] is None:
            return "" if found[0].startswith("--") else found[0]
        if found["name"] not in names:
            names.append(found["name"])
        return f"${names.index(found['name']) + 1}"

    text = _PARTS.sub(numbered, sql).strip().removesuffix(";")
    return SqlStatement(text, tuple(names), "unnest(" in text)


def others() -> dict[tuple[str, str], str]:
    """The texts that are PostgreSQL's own, by file and name."""
    text = (files("bq_server.store.postgresql") / "statements.sql").read_text("utf-8")
    _, *found = _NAMED.split(text)
    return {(file, name): sql for file, name, sql in zip(found[::3], found[1::3], found[2::3], strict=True)}


@cache
def _others() -> dict[str, str]:
    """By SQLite's text."""
    texts = others()
    queries = {file: load(file) for file, _ in texts}
    return {getattr(queries[file], name).sql: sql for (file, name), sql in texts.items()}
