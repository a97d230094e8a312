"""The small integers that stand for names which many rows share: scopes, fact types, rankings."""

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any

from bq_server.events import Scope
from bq_server.store import rank_sections
from bq_server.store.beside import hold_names
from bq_server.store.queries import load

_queries = load("references", "sqlite3")

MOST = 10_000
"""Names of each kind that are remembered: some megabytes, were they all as long as they may be."""

Ranking = tuple[str, str, str]
"""A board (`leaderboard/<code>` or `challenge/<code>`), a window and a period."""


TEAMS = "teams/"
"""Prefix of the boards that rank teams. They are of the scope under the negated number, as the names of teams are."""


class References:
    """Remembers the integers of names. For use on the writing connection's thread, in a transaction.

    After a rollback, which undoes new names, call `forget`.
    """

    def __init__(self) -> None:
        self._scopes: dict[Scope, int] = {}
        self._types: dict[tuple[int, str], int] = {}
        self._rankings: dict[tuple[int, Ranking], int] = {}
        self._whole: set[int] = set()
        self.aliased: set[Scope] = set()
        """The environments that have, or had since their last reset, aliases: in others nothing is looked up."""

    def forget(self) -> None:
        """Look everything up again."""
        for known in (self._scopes, self._types, self._rankings):
            known.clear()
        self._whole.clear()

    def scope(self, connection: Any, scope: Scope) -> int:
        """The scope's integer, assigned if it has none."""
        found = self._scopes.get(scope)
        if found is None:
            found = self._scopes[scope] = _numbered(connection, _queries.scope, _queries.add_scope, scope._asdict())
        return found

    def fact_type(self, connection: Any, scope: int, fact_type: str, event_name: str) -> int:
        """The integer of a fact type, assigned if it has none."""
        found = self._types.get((scope, fact_type))
        if found is None:
            add = partial(_queries.add_fact_type, event_name=event_name)
            number = _numbered(connection, _queries.fact_type, add, {"scope": scope, "fact_type": fact_type})
            found = _remember(self._types, (scope, fact_type), number)
        return found

    def ranking(self, connection: Any, scope: int, name: Ranking) -> int:
        """The integer of a ranking, assigned if it has none."""
        found = self._rankings.get((scope, name))
        if found is None:
            own = {"scope": scope, "board": name[0], "time_window": name[1], "period": name[2]}
            number = _numbered(connection, _queries.ranking, _queries.add_ranking, own)
            found = _remember(self._rankings, (scope, name), number)
        return found

    def is_whole(self, connection: Any, ranking: int) -> bool:
        """Whether a ranking is not in sections: most are not, and what is written there needs no counting."""
        if ranking not in self._whole:
            if rank_sections.is_divided(connection, ranking):
                return False
            if len(self._whole) >= MOST:
                self._whole.clear()
            self._whole.add(ranking)
        return True

    def divide(self, connection: Any, ranking: int) -> None:
        """Have a ranking in sections from now on."""
        self._whole.discard(ranking)
        rank_sections.divide(connection, ranking)


def _numbered(connection: Any, look: Callable[..., Any], add: Callable[..., Any], name: Mapping[str, object]) -> int:
    """The integer of a name that isn't remembered, assigned if it has none."""
    found: int | None = look(connection, **name)
    if found is None:
        hold_names(connection)
        add(connection, **name)
        found = look(connection, **name)
    assert found is not None, "it was added"  # noqa: S101
    return found


def _remember(known: dict[Any, int], name: Hashable, reference: int) -> int:
    if len(known) >= MOST:
        known.clear()
    known[name] = reference
    return reference
