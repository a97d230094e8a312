"""The catalogue: every event name that an environment has seen, and what its properties look like."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from bq_server.events import Scope
from bq_server.exact_json import dumps
from bq_server.store import similarity
from bq_server.store.beside import at_the_end
from bq_server.store.database import Connection
from bq_server.store.queries import load

_queries = load("catalog")
_writing = load("catalog", "sqlite3")

MOST_PROPERTIES = 500
"""Property and type pairs kept for one event name."""

LONGEST_PROPERTY = 100
"""Characters of a property's name; a longer one is most likely data."""

PAGE_PROPERTIES = 5_000
"""Property and type pairs in one page."""

MOST_SIMILAR = 10
MOST_FORMS = 12
OF_ONE_FORM = 3
"""Most similar names returned, and most examined: thousands may share a variant, or a form."""

NAMED = ("project", "environment", "event_name")

_JSON_TYPES: Mapping[type, str] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
    type(None): "null",
}


class EventName(Struct):
    """What was seen of one event name. Times are those of arrival, in microseconds since the epoch, UTC."""

    event_name: str
    first_seen_at: int
    last_seen_at: int
    count: int
    properties: dict[str, dict[str, int]] = field(default_factory=dict)
    """For each property, how many events carried it with each JSON type."""


class Seen(Struct):
    """What a batch of new events of one environment contains."""

    names: dict[str, EventName] = field(default_factory=dict)
    shapes: Counter[tuple[str, tuple[str, ...], tuple[type, ...]]] = field(default_factory=Counter)
    """How many events had this name, with properties of these names and types: most events of a name are alike."""

    def add(self, event_name: str, received_at: int, properties: Mapping[str, Any]) -> None:
        """Count an event."""
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


class CatalogCaps(Struct, frozen=True):
    """Limits of an environment's catalogue."""

    names: int = 10_000
    properties: int = 100_000
    """Pairs of a property and a type, in total over all names."""


class CatalogTotals(Struct):
    """How much of an environment is in the catalogue, and what is left out."""

    names: int = 0
    properties: int = 0
    events_left_out: int = 0
    """Events whose names are not in it."""
    properties_left_out: int = 0
    """Values whose properties are not in it."""


def add(connection: Any, scope: Scope, seen: Seen, caps: CatalogCaps) -> None:
    """Count new events into the catalogue, except for names and properties that are new when it is full.

    On the writing connection's thread, in a transaction.
    """
    at_the_end(connection, lambda: _add(connection, scope, seen, caps))


def _add(connection: Any, scope: Scope, seen: Seen, caps: CatalogCaps) -> None:
    own = scope._asdict()
    names = [
        {
            **own,
            "event_name": each.event_name,
            "first_seen_at": each.first_seen_at,
            "last_seen_at": each.last_seen_at,
            "count": each.count,
        }
        for each in seen.names.values()
    ]
    properties = [
        {**own, "event_name": name, "property": prop, "json_type": kind, "count": count}
        for (name, prop, kind), count in seen.properties.items()
    ]
    # Usually all of them are known: then it takes one statement each, and no check of how full the catalogue is.
    new_names = _count(connection, _writing.count_names, _writing.knows_name, NAMED, names)
    new_properties = _count(
        connection, _writing.count_properties, _writing.knows_property, (*NAMED, "property", "json_type"), properties
    )
    if not new_names and not new_properties:
        return
    row = _writing.totals(connection, **own)
    totals = CatalogTotals(*row) if row else CatalogTotals()
    unlisted = set()
    for each in new_names:
        if totals.names < caps.names:
            _writing.add_name(connection, **each)
            totals.names += 1
        else:
            unlisted.add(each["event_name"])
            totals.events_left_out += each["count"]
    room: dict[str, int] = {}
    for each in new_properties:
        name, prop = each["event_name"], each["property"]
        if name in unlisted:
            continue
        if name not in room:
            room[name] = MOST_PROPERTIES - _writing.properties_of(connection, **own, event_name=name)
        if len(prop) <= LONGEST_PROPERTY and totals.properties < caps.properties and room[name] > 0:
            _writing.add_property(connection, **each)
            totals.properties += 1
            room[name] -= 1
        else:
            totals.properties_left_out += each["count"]
    _writing.put_totals(connection, **own, **asdict(totals))


def _count(
    connection: Any, count: Any, knows: Any, named: Sequence[str], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Count what is known, by the columns that name it; returns the rows of what isn't."""
    before = connection.total_changes
    if rows:
        count(connection, rows)
    if connection.total_changes - before == len(rows):
        return []
    return [row for row in rows if not knows(connection, **{name: row[name] for name in named})]


async def page(connection: Connection, scope: Scope, after: str, limit: int) -> list[EventName]:
    """The names that follow one, in order, with their properties: at most so many.

    Fewer if they have many properties; at least one, unless none is left.
    """
    own = scope._asdict()
    found = [EventName(*row) async for row in _queries.names_after(connection, **own, after=after, limit=limit)]
    return await _with_properties(connection, own, found) if found else []


async def one(connection: Connection, scope: Scope, event_name: str) -> EventName | None:
    """What was seen of one name."""
    own = scope._asdict()
    row = await _queries.name_of(connection, **own, event_name=event_name)
    return None if row is None else (await _with_properties(connection, own, [EventName(*row)]))[0]


async def _with_properties(connection: Connection, own: Mapping[str, str], found: list[EventName]) -> list[EventName]:
    span = {"first": found[0].event_name, "last": found[-1].event_name, "limit": PAGE_PROPERTIES + 1}
    names = {each.event_name: each for each in found}
    rows = [row async for row in _queries.properties_between(connection, **own, **span)]
    for name, prop, json_type, count in rows:
        if name in names:  # it may have been seen first between the two queries
            names[name].properties.setdefault(prop, {})[json_type] = count
    if len(rows) > PAGE_PROPERTIES:
        # The last of them may have more; the first hasn't, because the limit is more than one name can have.
        found = [each for each in found if each.event_name < rows[-1][0]]
    return found


async def totals(connection: Connection, scope: Scope) -> CatalogTotals:
    """How much of the environment is in the catalogue."""
    row = await _queries.totals(connection, **scope._asdict())
    return CatalogTotals(*row) if row else CatalogTotals()


async def left_out(connection: Connection) -> dict[Scope, CatalogTotals]:
    """The environments from whose catalogues something is left out."""
    return {
        Scope(project, environment): CatalogTotals(*rest)
        async for project, environment, *rest in _queries.left_out(connection)
    }


async def similar(connection: Connection, scope: Scope, event_names: Sequence[str]) -> dict[str, list[str]]:
    """For each name, whether or not it was ever seen, the similar ones, most common first.

    Found by an index, see `index`. If very many are similar, only some of them.
    """
    return await connection.run(
        lambda reading: {name: _similar(reading, scope._asdict(), name) for name in event_names}
    )


def _similar(connection: Any, own: Mapping[str, str], event_name: str) -> list[str]:
    text = similarity.plain(event_name)
    form = similarity.form(text)
    wanted = dumps(sorted(similarity.variants(form)))
    rows = list(_writing.alike(connection, **own, plain=text, limit=MOST_SIMILAR + 1))
    for (other,) in _writing.forms_sharing(connection, **own, variants=wanted, form=form, limit=MOST_FORMS):
        rows += _writing.of_form(connection, **own, form=other, limit=OF_ONE_FORM)
    close = [(-count, name) for name, other, count in rows if name != event_name and similarity.are_close(text, other)]
    return [name for _, name in sorted(close)[:MOST_SIMILAR]]


async def not_indexed(connection: Connection, limit: int) -> list[tuple[str, str, str]]:
    """Names of any environment that are not yet indexed: project, environment and name."""
    return [tuple(row) async for row in _queries.not_indexed(connection, limit=limit)]


async def index(connection: Connection, names: Sequence[tuple[str, str, str]]) -> None:
    """Index these names, so that similar names find them. In a transaction."""
    indexed, forms = [], []
    known: set[tuple[str, str, str]] = set()
    for project, environment, name in names:
        text = similarity.plain(name)
        form = similarity.form(text)
        own = {"project": project, "environment": environment, "form": form}
        indexed.append(own | {"event_name": name, "plain": text})
        if (project, environment, form) not in known:
            known.add((project, environment, form))
            forms += [own | {"variant": variant} for variant in similarity.variants(form)]

    def write(writing: Any) -> None:
        _writing.index_name(writing, indexed)
        _writing.add_form(writing, forms)

    await connection.run(write)
