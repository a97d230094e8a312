"""`/api/v1/facts`: what events became."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.schemas.facts import (
    FactAnswer,
    FactEffectsAnswer,
    FactsAnswer,
    FactsQuery,
    FactsWithEffectsAnswer,
    FactWithEffects,
)
from bq_server.concurrency.time_slices import TimeSlices
from bq_server.moments import format_timestamp
from bq_server.processing.recorded_effects import Caused, effects_of, packed_effects, shown_effects
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import facts, received_facts
from bq_server.store.aliases import story_of
from bq_server.store.database import Connection, Database
from bq_server.store.facts import EARLIEST, LATEST, FactFilter, StoredFact
from bq_server.store.received_facts import KeptEffects

MOST_PAGE_CHARACTERS = 1 << 20
"""Most bytes of properties in one page; a page with more ends early, and the cursor continues."""


def properties_of(fact: StoredFact) -> dict[str, Any]:
    """The properties as they were sent."""
    properties: dict[str, Any] = from_json(fact.properties)
    return properties


PREFIX = "/api/v1/facts"
TAG = "Facts"


class FactsResource:
    """Lists facts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @operation(
        "listFacts",
        "GET",
        PREFIX,
        TAG,
        {200: DocumentedAnswer(FactsAnswer, "One page.", variants=(FactsWithEffectsAnswer,))},
        scope="read",
        query=FactsQuery,
    )
    async def list_facts(self, call: Call[FactsQuery]) -> Response:
        """Facts, newest first."""
        query = call.query
        fact_type = query.fact_type
        if query.event_name is not None:
            named = f"custom.{query.event_name}"
            if fact_type not in (None, named):
                return json_response(FactsAnswer(facts=[], next_cursor=None))  # the same with effects
            fact_type = named
        wanted = FactFilter(
            participant_id=await self._story_of(call, query.participant_id),
            fact_type=fact_type,
            since=EARLIEST if query.since is None else query.since,
            until=LATEST if query.until is None else query.until,
            before=LATEST if query.cursor is None else _read_cursor(query.cursor),
        )
        async with self._database.read() as connection:
            found = await facts.newest(connection, call.scope, wanted, query.limit + 1)
            page = found[: _fitting(found[: query.limit])]
            caused = await _caused(connection, page) if query.include is not None else {}
        following = _cursor(page[-1].seq) if len(found) > len(page) else None
        if query.include is None:
            return json_response(FactsAnswer(facts=[fact_answer(fact) for fact in page], next_cursor=following))
        slices, told = TimeSlices(), []
        for fact in page:
            await slices.give_way()
            told.append(fact_with_effects(fact, packed_effects(caused.get(fact.seq, {}))))
        return json_response(FactsWithEffectsAnswer(facts=told, next_cursor=following))

    async def _story_of(self, call: Call[FactsQuery], participant_id: str | None) -> str | None:
        if participant_id is None:
            return None
        async with self._database.read() as connection:
            return await story_of(connection, call.scope, participant_id)

    @operation(
        "getFact",
        "GET",
        f"{PREFIX}/{{fact_id}}",
        TAG,
        {200: DocumentedAnswer(FactAnswer, "The fact.")},
        scope="read",
        codes=(Code.NOT_FOUND,),
    )
    async def get_fact(self, call: Call) -> Response:
        """One fact."""
        async with self._database.read() as connection:
            return json_response(fact_answer(await known_fact(connection, call)))

    @operation(
        "getFactEffects",
        "GET",
        f"{PREFIX}/{{fact_id}}/effects",
        TAG,
        {200: DocumentedAnswer(FactEffectsAnswer, "Its effects.")},
        scope="read",
        codes=(Code.NOT_FOUND,),
    )
    async def get_effects(self, call: Call) -> Response:
        """What a fact caused when it was processed."""
        async with self._database.read() as connection:
            fact = await known_fact(connection, call)
            caused = await effects_of(connection, fact)
        return json_response(FactEffectsAnswer(fact_id=fact.fact_id, effects=caused))


async def known_fact(connection: Connection, call: Call[Any]) -> StoredFact:
    """The fact that the path names. Raises `Refusal`."""
    fact_id = call.parameter("fact_id")
    fact = await facts.by_id(connection, call.scope, fact_id)
    if fact is None:
        raise call.missing("fact", fact_id)
    return fact


async def _caused(connection: Connection, page: Sequence[StoredFact]) -> Mapping[int, KeptEffects]:
    return await connection.run(lambda reading: received_facts.effects_of(reading, [fact.seq for fact in page]))


def _fitting(found: list[StoredFact]) -> int:
    """How many of the facts fit into a page: at least one, and no more than can be answered in a few milliseconds."""
    room = MOST_PAGE_CHARACTERS
    for count, fact in enumerate(found):
        room -= len(fact.properties) + len(fact.warnings)
        if room < 0:
            return max(count, 1)
    return len(found)


def fact_answer(fact: StoredFact) -> FactAnswer:
    """A fact as it is returned."""
    return FactAnswer(
        fact_id=fact.fact_id,
        event_id=fact.event_id,
        message_id=fact.message_id,
        fact_type=fact.fact_type,
        event_name=fact.event_name,
        participant_id=fact.participant_id,
        sent_as=fact.sent_as,
        properties=properties_of(fact),
        occurred_at=format_timestamp(fact.occurred_at),
        received_at=format_timestamp(fact.received_at),
        processed_at=format_timestamp(fact.processed_at),
        idempotency_key=fact.idempotency_key,
        warnings=from_json(fact.warnings),
        voids=fact.voids,
        voided_by=fact.voided_by,
    )


def fact_with_effects(fact: StoredFact, packed: Sequence[Caused]) -> FactWithEffects:
    """A fact with what it caused, as it is returned."""
    return FactWithEffects(**dict(fact_answer(fact)), effects=shown_effects(fact, packed))


def _cursor(seq: int) -> str:
    return base64.urlsafe_b64encode(str(seq).encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> int:
    try:
        seq = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not 0 < seq <= LATEST:
            raise ValueError
        return seq
    except (ValueError, binascii.Error):
        detail = "is not from this server: send the next_cursor of the previous page"
        raise Refusal.of_fields([FieldError("cursor", "invalid_cursor", detail)]) from None
