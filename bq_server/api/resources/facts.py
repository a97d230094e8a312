"""`/api/v1/facts`: what events became."""

import base64
import binascii
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.operations import Call, DocumentedAnswer, Operation, Query, json_response
from bq_server.ingest.models import FactWarning, Timestamp
from bq_server.moments import format_timestamp
from bq_server.processing.recorded_effects import effects_of, shown
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import facts
from bq_server.store.database import Connection, Database
from bq_server.store.facts import EARLIEST, LATEST, FactFilter, StoredFact

MOST_PAGE_CHARACTERS = 1 << 20
"""Of properties in one page; a page that would hold more ends early, and the cursor goes on."""

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class FactAnswer(BaseModel):
    """The immutable, deduplicated record of an event."""

    fact_id: str
    event_id: str
    message_id: str | None = Field(description="The stream message it was; null for the sync path.")
    fact_type: str
    event_name: str
    participant_id: str
    properties: dict[str, Any]
    occurred_at: Moment = Field(description="The event's own timestamp.")
    received_at: Moment = Field(description="When the server accepted it.")
    processed_at: Moment = Field(description="When the fact was committed.")
    idempotency_key: str | None
    warnings: list[FactWarning]


class FactEffectsAnswer(BaseModel):
    """What a fact caused, as `include=effects` tells it."""

    fact_id: str
    effects: list[dict[str, Any]]


class FactsAnswer(BaseModel):
    """One page of facts, the newest fact first."""

    facts: list[FactAnswer]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")


def _unspaced(value: Any) -> Any:
    return re.sub(r"(T.*) (\d\d:?\d\d)$", r"\1+\2", value) if isinstance(value, str) else value


QueryMoment = Annotated[Timestamp, BeforeValidator(_unspaced)]
"""A moment in a query, where a `+` that was not escaped arrives as a space."""


class FactsQuery(Query):
    """Which facts."""

    participant_id: str | None = None
    fact_type: str | None = None
    event_name: str | None = None
    since: QueryMoment | None = Field(None, description="Only facts that occurred at this moment or later.")
    until: QueryMoment | None = Field(None, description="Only facts that occurred before this moment.")
    limit: int = Field(100, ge=1, le=1000, description="At most so many; fewer where facts are large.")
    cursor: str | None = Field(None, description="From `next_cursor` of the page before.")


def properties_of(fact: StoredFact) -> dict[str, Any]:
    """The properties as they were sent."""
    properties: dict[str, Any] = from_json(fact.properties)
    return properties


def operations(database: Database) -> list[Operation]:
    """The routes of this resource."""

    async def list_facts(call: Call) -> Response:
        query: FactsQuery = call.query
        fact_type = query.fact_type
        if query.event_name is not None:
            named = f"custom.{query.event_name}"
            if fact_type not in (None, named):
                return json_response(FactsAnswer(facts=[], next_cursor=None))
            fact_type = named
        wanted = FactFilter(
            participant_id=query.participant_id,
            fact_type=fact_type,
            since=EARLIEST if query.since is None else query.since,
            until=LATEST if query.until is None else query.until,
            before=LATEST if query.cursor is None else _read_cursor(query.cursor),
        )
        async with database.read() as connection:
            found = await facts.newest(connection, call.scope, wanted, query.limit + 1)
        page = found[: _fitting(found[: query.limit])]
        more = len(found) > len(page)
        answer = FactsAnswer(
            facts=[fact_answer(fact) for fact in page], next_cursor=_cursor(page[-1].seq) if more else None
        )
        return json_response(answer)

    async def get_fact(call: Call) -> Response:
        async with database.read() as connection:
            return json_response(fact_answer(await _fact(connection, call)))

    async def get_effects(call: Call) -> Response:
        async with database.read() as connection:
            fact = await _fact(connection, call)
            caused = await effects_of(connection, fact)
        return json_response(FactEffectsAnswer(fact_id=fact.fact_id, effects=[shown(each) for each in caused]))

    prefix, tag = "/api/v1/facts", "Facts"
    return [
        Operation(
            "GET",
            f"{prefix}/{{fact_id}}/effects",
            tag,
            "What a fact caused when it was processed",
            get_effects,
            {200: DocumentedAnswer(FactEffectsAnswer, "Its effects.")},
            scope="read",
            codes=(Code.NOT_FOUND,),
        ),
        Operation(
            "GET",
            prefix,
            tag,
            "Facts, the newest first",
            list_facts,
            {200: DocumentedAnswer(FactsAnswer, "One page.")},
            scope="read",
            query=FactsQuery,
        ),
        Operation(
            "GET",
            f"{prefix}/{{fact_id}}",
            tag,
            "One fact",
            get_fact,
            {200: DocumentedAnswer(FactAnswer, "The fact.")},
            scope="read",
            codes=(Code.NOT_FOUND,),
        ),
    ]


async def _fact(connection: Connection, call: Call) -> StoredFact:
    """The fact that the path names. Raises `Refusal`."""
    fact_id = call.parameter("fact_id")
    fact = await facts.by_id(connection, call.scope, fact_id)
    if fact is None:
        raise Refusal(Code.NOT_FOUND, f"The {call.scope.environment} environment has no fact {fact_id}.")
    return fact


def _fitting(found: list[StoredFact]) -> int:
    """How many of the facts fit a page: at least one, and no more than are answered in a few milliseconds."""
    room = MOST_PAGE_CHARACTERS
    for count, fact in enumerate(found):
        room -= len(fact.properties) + len(fact.warnings)
        if room < 0:
            return max(count, 1)
    return len(found)


def fact_answer(fact: StoredFact) -> FactAnswer:
    """A fact as it is read."""
    return FactAnswer(
        fact_id=fact.fact_id,
        event_id=fact.event_id,
        message_id=fact.message_id,
        fact_type=fact.fact_type,
        event_name=fact.event_name,
        participant_id=fact.participant_id,
        properties=properties_of(fact),
        occurred_at=format_timestamp(fact.occurred_at),
        received_at=format_timestamp(fact.received_at),
        processed_at=format_timestamp(fact.processed_at),
        idempotency_key=fact.idempotency_key,
        warnings=from_json(fact.warnings),
    )


def _cursor(seq: int) -> str:
    return base64.urlsafe_b64encode(str(seq).encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> int:
    try:
        seq = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not 0 < seq <= LATEST:
            raise ValueError
        return seq
    except (ValueError, binascii.Error):
        detail = "is not one this server gave: send the next_cursor of the page before"
        raise Refusal.of_fields([FieldError("cursor", "invalid_cursor", detail)]) from None
