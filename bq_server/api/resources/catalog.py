"""`/api/v1/events/catalog`: the event names an environment has seen."""

from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.schemas.catalog import (
    CATALOG_ENTRY_EXAMPLE,
    LIST_CATALOG_ANSWER,
    CatalogAnswer,
    CatalogEntry,
    CatalogQuery,
    LeftOut,
    PropertySeen,
)
from bq_server.moments import format_timestamp
from bq_server.processing.catalog_index_job import CatalogIndexJob
from bq_server.refusals import Code, Refusal
from bq_server.store import catalog
from bq_server.store.catalog import CatalogTotals, EventName
from bq_server.store.database import Database

PREFIX = "/api/v1/events/catalog"
TAG = "Catalogue"


class CatalogResource:
    """Lists the event names that an environment has seen, with their properties."""

    def __init__(self, database: Database, indexing: CatalogIndexJob) -> None:
        self._database = database
        self._indexing = indexing

    @operation(
        "listCatalog",
        "GET",
        PREFIX,
        TAG,
        {200: DocumentedAnswer(CatalogAnswer, "The catalogue.", LIST_CATALOG_ANSWER)},
        scope="read",
        query=CatalogQuery,
    )
    async def list_catalog(self, call: Call[CatalogQuery]) -> Response:
        """The event names seen, with their properties."""
        await self._indexing.look()  # names just seen are requested most
        query = call.query
        async with self._database.read() as connection:
            page = await catalog.page(connection, call.scope, query.cursor or "", query.limit)
            similar = await catalog.similar(connection, call.scope, [each.event_name for each in page])
            totals = await catalog.totals(connection, call.scope)
            last = page[-1].event_name if page else ""
            more = bool(page) and bool(await catalog.page(connection, call.scope, last, 1))
        answer = CatalogAnswer(
            events=[_entry(each, similar[each.event_name]) for each in page],
            next_cursor=last if more else None,
            names=totals.names,
            left_out=_left_out(totals),
        )
        return json_response(answer)

    @operation(
        "getCatalogEntry",
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
        await self._indexing.look()
        async with self._database.read() as connection:
            entry = await catalog.one(connection, call.scope, event_name)
            similar = (await catalog.similar(connection, call.scope, [event_name]))[event_name]
            totals = await catalog.totals(connection, call.scope)
        if entry is None:
            hint = f" Did you mean {similar[0]}?" if similar else ""
            full = " Its catalogue is full, so that not every name seen is in it." if totals.events_left_out else ""
            detail = f"The {call.scope.environment} environment has seen no event {event_name}.{hint}{full}"
            raise Refusal(Code.NOT_FOUND, detail)
        return json_response(_entry(entry, similar))


def _left_out(totals: CatalogTotals) -> LeftOut | None:
    if not totals.events_left_out and not totals.properties_left_out:
        return None
    return LeftOut(events=totals.events_left_out, properties=totals.properties_left_out)


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
