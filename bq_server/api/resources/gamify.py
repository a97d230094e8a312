"""`/api/v1/gamify`: the vendor's dialect of the sync path, and a participant's events."""

from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.responses import Response

from bq_server.api.batches import replayed, take_batch
from bq_server.api.operations import Call, DocumentedAnswer, Operation, PageQuery, json_response
from bq_server.api.request_parser import BatchError, RequestParser
from bq_server.api.resources.events import BATCH_EXAMPLE, EVENT_EXAMPLE, INTAKE_CODES
from bq_server.api.resources.facts import properties_of
from bq_server.ingest.acceptance import Intake, Made, NotTaken
from bq_server.ingest.models import BatchIn, EventIn
from bq_server.moments import format_timestamp
from bq_server.store import facts
from bq_server.store.database import Database


class ProcessedAnswer(BaseModel):
    """The event is a fact."""

    event_id: str
    fact_id: str
    status: Literal["processed"] = "processed"


class ProcessedBatchAnswer(BaseModel):
    """What became of each event of a batch."""

    processed: int
    rejected: int
    results: list[ProcessedAnswer] = Field(description="Of the processed events, in their order.")
    errors: list[BatchError] | None = Field(None, description="Only when an event was rejected.")


class ParticipantEvent(BaseModel):
    """An event of a participant as it is read back."""

    id: str
    event_name: str
    properties: dict[str, Any]
    occurred_at: str = Field(json_schema_extra={"format": "date-time"})


class ParticipantEventsAnswer(BaseModel):
    """One page of a participant's events, the latest first."""

    participant_id: str
    events: list[ParticipantEvent]
    total: int
    page: int
    page_size: int


class EventsQuery(PageQuery):
    """Which page, of which events."""

    event_name: str | None = None


def operations(intake: Intake, database: Database, reading: RequestParser) -> list[Operation]:
    """The routes of this resource."""

    async def process_gamify_event(call: Call) -> Response:
        (result,) = await intake.process_now([await reading.one(call)])
        if isinstance(result, NotTaken):
            raise result.refusal()
        return json_response(_processed(result), 200, replayed([result]))

    async def process_gamify_batch(call: Call) -> Response:
        taken = await take_batch(call, reading, intake.process_now)
        answer = ProcessedBatchAnswer(
            processed=len(taken.results),
            rejected=taken.rejected,
            results=[_processed(result) for result in taken.results],
            errors=taken.errors,
        )
        return taken.reply(answer, 200).response()

    async def list_events(call: Call) -> Response:
        query: EventsQuery = call.query
        participant_id = call.parameter("participant_id")
        async with database.read() as connection:
            page, total = await facts.of_participant(
                connection,
                call.scope,
                participant_id,
                query.event_name,
                limit=query.page_size,
                offset=query.offset,
            )
        events = [
            ParticipantEvent(
                id=fact.event_id,
                event_name=fact.event_name,
                properties=properties_of(fact),
                occurred_at=format_timestamp(fact.occurred_at),
            )
            for fact in page
        ]
        answer = ParticipantEventsAnswer(
            participant_id=participant_id, events=events, total=total, page=query.page, page_size=query.page_size
        )
        return json_response(answer)

    prefix, tag = "/api/v1/gamify", "Gamify"
    processed_example = {"event_id": "evt_abc123", "fact_id": "fact_def456", "status": "processed"}
    return [
        Operation(
            "POST",
            f"{prefix}/events",
            tag,
            "Process an event before answering",
            process_gamify_event,
            {200: DocumentedAnswer(ProcessedAnswer, "The event is a fact.", processed_example)},
            scope="ingest",
            body=EventIn,
            body_example=EVENT_EXAMPLE,
            takes_idempotency_key=True,
            codes=INTAKE_CODES,
        ),
        Operation(
            "POST",
            f"{prefix}/events/batch",
            tag,
            "Process up to 100 events before answering",
            process_gamify_batch,
            {
                200: DocumentedAnswer(
                    ProcessedBatchAnswer,
                    "At least one event is a fact. With none the same body comes with 422.",
                    {"processed": 1, "rejected": 0, "results": [processed_example]},
                )
            },
            scope="ingest",
            body=BatchIn,
            body_example=BATCH_EXAMPLE,
            codes=INTAKE_CODES,
        ),
        Operation(
            "GET",
            f"{prefix}/participants/{{participant_id}}/events",
            tag,
            "A participant's events, the latest first",
            list_events,
            {200: DocumentedAnswer(ParticipantEventsAnswer, "One page; empty for a participant no event named.")},
            scope="read",
            query=EventsQuery,
        ),
    ]


def _processed(result: Made) -> ProcessedAnswer:
    return ProcessedAnswer(event_id=result.fact.event_id, fact_id=result.fact.fact_id)
