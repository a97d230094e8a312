"""The catalogue: every event name an environment has seen, and what its properties look like."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bq_server.events import Scope
from bq_server.store.database import Connection
from bq_server.store.queries import load

_queries = load("catalog")
_writing = load("catalog", "sqlite3")

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


@dataclass(slots=True)
class Seen:
    """What a batch of new events of one environment has shown."""

    names: dict[str, EventName] = field(default_factory=dict)
    shapes: Counter[tuple[str, tuple[str, ...], tuple[type, ...]]] = field(default_factory=Counter)
    """How many events had this name and properties of these names and types: most events of a name are alike."""

    def add(self, event_name: str, received_at: int, properties: Mapping[str, Any]) -> None:
        """Count an event in."""
        seen = self.names.get(event_name)
        if seen is None:
            seen = self.names[event_name] = EventName(event_name, received_at, received_at, 0)
        elif received_at < seen.first_seen_at:
            seen.first_seen_at = received_at
        elif received_at > seen.last_seen_at:
            seen.last_seen_at = received_at
        seen.count += 1
        self.shapes[event_name, tuple(properties), tuple(map(type, properties.values()))] += 1

    @property
    def properties(self) -> Counter[tuple[str, str, str]]:
        """How many events had each property, by event name, property and JSON type."""
        counted: Counter[tuple[str, str, str]] = Counter()
        for (event_name, names, types), count in self.shapes.items():
            for name, kind in zip(names, types, strict=True):
                counted[event_name, name, _JSON_TYPES[kind]] += count
        return counted


def add(connection: Any, scope: Scope, seen: Seen) -> None:
    """Count new events into the catalogue. On the writing connection's thread, in a transaction."""
    own = scope._asdict()
    names = [
        own
        | {
            "event_name": each.event_name,
            "first_seen_at": each.first_seen_at,
            "last_seen_at": each.last_seen_at,
            "count": each.count,
        }
        for each in seen.names.values()
    ]
    properties = [
        own | {"event_name": name, "property": prop, "json_type": kind, "count": count, "most": MOST_PROPERTIES}
        for (name, prop, kind), count in seen.properties.items()
    ]
    if names:
        _writing.add_event_names(connection, names)
    if properties:
        _writing.add_event_properties(connection, properties)


async def read(connection: Connection, scope: Scope, event_name: str | None = None) -> list[EventName]:
    """The whole catalogue of an environment in the order of names, with the properties of all or of one of them."""
    wanted: dict[str, Any] = scope._asdict()
    names = {row[0]: EventName(*row) async for row in _queries.event_names(connection, **wanted)}
    async for name, prop, json_type, count in _queries.event_properties(connection, **wanted, event_name=event_name):
        if name in names:  # it may have been seen first between the two looks
            names[name].properties.setdefault(prop, {})[json_type] = count
    return list(names.values())
