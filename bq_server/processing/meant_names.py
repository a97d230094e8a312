"""Names in the properties of facts that are aliases: whom they stand for."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from bq_server.events import Scope
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import POINTS_TRANSFERRED
from bq_server.game.facts import Fact as GameFact
from bq_server.game.recipients import MAX_NAME
from bq_server.store import aliases
from bq_server.store.references import References


def naming_types(game: CompiledGame) -> Collection[str]:
    """The types of facts that may name others than their sender."""
    return {*game.receiving, POINTS_TRANSFERRED} if game.has_received else ()


def with_meant_names(
    reading: Any, references: References, scope: Scope, types: Collection[str], facts: Sequence[GameFact]
) -> Sequence[GameFact]:
    """The facts, those of these types with whom the names in their properties stand for.

    On the connection's own thread. Where nobody has an alias, nothing is looked up.
    """
    if scope not in references.aliased or not types:
        return facts
    naming = {fact.fact_id: set(_texts(fact.properties.values())) for fact in facts if fact.fact_type in types}
    if not naming:
        return facts
    known = aliases.stories_of(reading, scope, set[str]().union(*naming.values()))
    if not known:
        return facts
    found = []
    for fact in facts:
        own = {name: known[name] for name in naming.get(fact.fact_id, ()) if name in known}
        found.append(replace(fact, aliases=own) if own else fact)
    return found


def _texts(values: Iterable[Any]) -> Iterable[str]:
    """All texts in values, at any depth, that may be a participant's id."""
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if 0 < len(value) <= MAX_NAME and "\0" not in value:
                yield value
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
