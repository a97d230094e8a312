"""`/api/v1/events/catalog`: the event names an environment has seen."""

import asyncio

from pydantic import BaseModel, Field
from starlette.responses import Response

from bq_server.api.operations import Call, DocumentedAnswer, Operation, json_response
from bq_server.api.resources.facts import Moment
from bq_server.api.similarity import similar_names
from bq_server.moments import format_timestamp
from bq_server.refusals import Code, Refusal
from bq_server.store import catalog
from bq_server.store.catalog import EventName
from bq_server.store.database import Database


class PropertySeen(BaseModel):
    """A property, and the share of its event's facts that carried it with each JSON type."""

    name: str
    share: float = Field(description="0 to 1: how many of the event's facts carry it.")
    types: dict[str, float] = Field(description="For each JSON type seen, how many of the event's facts have it so.")


class CatalogEntry(BaseModel):
    """An event name as it was seen."""

    event_name: str
    first_seen_at: Moment
    last_seen_at: Moment
    count: int
    properties: list[PropertySeen]
    similar_to: list[str] = Field(description="Other names that differ by a slip of the pen; the commonest first.")


class CatalogAnswer(BaseModel):
    """Every event name this environment has seen, in their order."""

    events: list[CatalogEntry]


def operations(database: Database) -> list[Operation]:
    """The routes of this resource."""

    async def list_catalog(call: Call) -> Response:
        async with database.read() as connection:
            found = await catalog.read(connection, call.scope)
        # In a thread: thousands of names take long enough to be felt by others.
        similar = await asyncio.to_thread(similar_names, {entry.event_name: entry.count for entry in found})
        return json_response(CatalogAnswer(events=[_entry(entry, similar[entry.event_name]) for entry in found]))

    async def get_entry(call: Call) -> Response:
        event_name = call.parameter("event_name")
        async with database.read() as connection:
            found = await catalog.read(connection, call.scope, event_name)
        entry = next((entry for entry in found if entry.event_name == event_name), None)
        counts = {entry.event_name: entry.count for entry in found}
        similar = (await asyncio.to_thread(similar_names, counts | {event_name: counts.get(event_name, 0)}))[event_name]
        if entry is None:
            hint = f" Did you mean {similar[0]}?" if similar else ""
            detail = f"The {call.scope.environment} environment has seen no event {event_name}.{hint}"
            raise Refusal(Code.NOT_FOUND, detail)
        return json_response(_entry(entry, similar))

    prefix, tag = "/api/v1/events/catalog", "Catalogue"
    example = {
        "event_name": "purchase_complete",
        "first_seen_at": "2026-04-10T10:30:01Z",
        "last_seen_at": "2026-04-10T10:31:00Z",
        "count": 4,
        "properties": [{"name": "amount", "share": 1.0, "types": {"number": 0.75, "string": 0.25}}],
        "similar_to": ["purchase_completed"],
    }
    return [
        Operation(
            "GET",
            prefix,
            tag,
            "Every event name seen, with its properties",
            list_catalog,
            {200: DocumentedAnswer(CatalogAnswer, "The catalogue.", {"events": [example]})},
            scope="read",
        ),
        Operation(
            "GET",
            f"{prefix}/{{event_name}}",
            tag,
            "One event name",
            get_entry,
            {200: DocumentedAnswer(CatalogEntry, "What was seen of it.", example)},
            scope="read",
            codes=(Code.NOT_FOUND,),
        ),
    ]


def _entry(entry: EventName, similar: list[str]) -> CatalogEntry:
    properties = [
        PropertySeen(
            name=name,
            share=round(sum(types.values()) / entry.count, 4),
            types={json_type: round(count / entry.count, 4) for json_type, count in types.items()},
        )
        for name, types in entry.properties.items()
    ]
    return CatalogEntry(
        event_name=entry.event_name,
        first_seen_at=format_timestamp(entry.first_seen_at),
        last_seen_at=format_timestamp(entry.last_seen_at),
        count=entry.count,
        properties=properties,
        similar_to=similar,
    )
