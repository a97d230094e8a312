"""The catalogue: every event name an environment has seen, and what its properties look like."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiosqlite
from pydantic_core import from_json

from bq_server.events import Scope
from bq_server.slicing import Slices
from bq_server.store.facts import Fact
from bq_server.store.queries import load

_queries = load("catalog")

MOST_PROPERTIES = 500
"""Property and type pairs kept for one event name."""

_JSON_TYPES: Mapping[type, str] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
    type(None): "null",
}


@dataclass(slots=True)
class EventName:
    """What was seen of one event name. Times are microseconds since the epoch, UTC, of when events arrived."""

    event_name: str
    first_seen_at: int
    last_seen_at: int
    count: int
    properties: dict[str, dict[str, int]] = field(default_factory=dict)
    """For each property, how many events carried it with each JSON type."""


async def add(connection: aiosqlite.Connection, facts: Iterable[Fact]) -> None:
    """Count new facts into the catalogue."""
    names: dict[tuple[str, str, str], EventName] = {}
    properties: Counter[tuple[str, str, str, str, str]] = Counter()
    slices = Slices()
    for fact in facts:
        await slices.give_way()
        key = (fact.project, fact.environment, fact.event_name)
        seen = names.setdefault(key, EventName(fact.event_name, fact.received_at, fact.received_at, 0))
        seen.first_seen_at = min(seen.first_seen_at, fact.received_at)
        seen.last_seen_at = max(seen.last_seen_at, fact.received_at)
        seen.count += 1
        for name, value in from_json(fact.properties).items():
            properties[(*key, name, _JSON_TYPES[type(value)])] += 1
    await _queries.add_event_names(
        connection,
        [
            {
                "project": project,
                "environment": environment,
                "event_name": name,
                "first_seen_at": seen.first_seen_at,
                "last_seen_at": seen.last_seen_at,
                "count": seen.count,
            }
            for (project, environment, name), seen in names.items()
        ],
    )
    await _queries.add_event_properties(
        connection,
        [
            {
                "project": project,
                "environment": environment,
                "event_name": name,
                "property": prop,
                "json_type": json_type,
                "count": count,
                "most": MOST_PROPERTIES,
            }
            for (project, environment, name, prop, json_type), count in properties.items()
        ],
    )


async def read(connection: aiosqlite.Connection, scope: Scope, event_name: str | None = None) -> list[EventName]:
    """The whole catalogue of an environment in the order of names, with the properties of all or of one of them."""
    wanted: dict[str, Any] = scope._asdict()
    names = {row[0]: EventName(*row) async for row in _queries.event_names(connection, **wanted)}
    async for name, prop, json_type, count in _queries.event_properties(connection, **wanted, event_name=event_name):
        if name in names:  # it may have been seen first between the two looks
            names[name].properties.setdefault(prop, {})[json_type] = count
    return list(names.values())
