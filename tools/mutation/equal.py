"""Mutants that change nothing anybody is told: each is listed in `equal.toml` with the reason.

There, a table is named by a module of the game and a function in it, and a key by the mistaken expression and, after
two spaces, the mistake; `*` is all mutants of the function. So an entry survives when lines move, and names nothing any
more when its expression changes, which is an error.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.mutation.operators import MutationSite

FILE = Path(__file__).with_name("equal.toml")
PREFIX = "bq_server.game"
ALL = "*"


def reasons(sites: Iterable[MutationSite], text: str | None = None) -> dict[MutationSite, str]:
    """By mutant, why it changes nothing. Raises `LookupError` for an entry that names none."""
    listed = tomllib.loads(FILE.read_text("utf-8") if text is None else text)
    by_function: dict[tuple[str, str], list[MutationSite]] = defaultdict(list)
    for site in sites:
        by_function[site.module, site.function].append(site)
    found: dict[MutationSite, str] = {}
    for module, function, entries in _tables(listed, PREFIX):
        own = by_function.get((module, function), [])
        for name, why in entries.items():
            named = [site for site in own if name in (ALL, f"{site.code}  {site.mistake}")]
            if not named:
                raise LookupError(f"{module}, {function or 'outside of functions'}: no mutant is {name!r}")
            found.update(dict.fromkeys(named, why))
    return found


def _tables(listed: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """The tables of entries, each with the path of its module and the name of its function."""
    for name, within in listed.items():
        if all(isinstance(each, str) for each in within.values()):
            yield path, name, within
        else:
            yield from _tables(within, f"{path}.{name}")
