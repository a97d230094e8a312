"""`/api/v1/events/catalog`: the event names an environment has seen."""

import asyncio

from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.schemas.catalog import (
    CATALOG_ENTRY_EXAMPLE,
    LIST_CATALOG_ANSWER,
    CatalogAnswer,
    CatalogEntry,
    PropertySeen,
)
from bq_server.api.similarity import similar_names
from bq_server.moments import format_timestamp
from bq_server.refusals import Code, Refusal
from bq_server.store import catalog
from bq_server.store.catalog import EventName
from bq_server.store.database import Database

PREFIX = "/api/v1/events/catalog"
TAG = "Catalogue"


class CatalogResource:
    """Tells which event names an environment has seen, and with what properties."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @operation(
        "GET",
        PREFIX,
        TAG,
        {200: DocumentedAnswer(CatalogAnswer, "The catalogue.", LIST_CATALOG_ANSWER)},
        scope="read",
    )
    async def list_catalog(self, call: Call) -> Response:
        """Every event name seen, with its properties."""
        async with self._database.read() as connection:
            found = await catalog.read(connection, call.scope)
        # In a thread: thousands of names take long enough to be felt by others.
        similar = await asyncio.to_thread(similar_names, {entry.event_name: entry.count for entry in found})
        return json_response(CatalogAnswer(events=[_entry(entry, similar[entry.event_name]) for entry in found]))

    @operation(
        "GET",
        f"{PREFIX}/{{event_name}}",
        TAG,
        {200: DocumentedAnswer(CatalogEntry, "The catalogue entry.", CATALOG_ENTRY_EXAMPLE)},
        scope="read",
        codes=(Code.NOT_FOUND,),
    )
    async def get_entry(self, call: Call) -> Response:
        """One event name."""
        event_name = call.parameter("event_name")
        async with self._database.read() as connection:
            found = await catalog.read(connection, call.scope, event_name)
        entry = next((entry for entry in found if entry.event_name == event_name), None)
        counts = {entry.event_name: entry.count for entry in found}
        similar = (await asyncio.to_thread(similar_names, counts | {event_name: counts.get(event_name, 0)}))[event_name]
        if entry is None:
            hint = f" Did you mean {similar[0]}?" if similar else ""
            detail = f"The {call.scope.environment} environment has seen no event {event_name}.{hint}"
            raise Refusal(Code.NOT_FOUND, detail)
        return json_response(_entry(entry, similar))


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
