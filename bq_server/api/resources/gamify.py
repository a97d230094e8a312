"""`/api/v1/gamify`: the vendor's dialect of the sync path, and a participant's events."""

from starlette.responses import Response

from bq_server.api.batches import replayed, take_batch
from bq_server.api.call import Call
from bq_server.api.operations import INTAKE_CODES, DocumentedAnswer, json_response, operation
from bq_server.api.request_parser import RequestParser
from bq_server.api.resources.facts import properties_of
from bq_server.api.schemas.events import BATCH_EXAMPLE, EVENT_EXAMPLE
from bq_server.api.schemas.gamify import (
    PROCESS_GAMIFY_BATCH_ANSWER,
    PROCESSED_EXAMPLE,
    EventsQuery,
    ParticipantEvent,
    ParticipantEventsAnswer,
    ProcessedAnswer,
    ProcessedBatchAnswer,
)
from bq_server.ingest.models import BatchIn, EventIn
from bq_server.ingest.outcomes import NotAccepted, RecordedFact
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.moments import format_timestamp
from bq_server.store import facts
from bq_server.store.aliases import story_of
from bq_server.store.database import Database

PREFIX = "/api/v1/gamify"
TAG = "Gamify"


class GamifyResource:
    """Processes events at once, as the vendor's API does, and lists a participant's."""

    def __init__(self, intake: SyncIntake, database: Database, parser: RequestParser) -> None:
        self._intake = intake
        self._database = database
        self._parser = parser

    @operation(
        "processEvent",
        "POST",
        f"{PREFIX}/events",
        TAG,
        {200: DocumentedAnswer(ProcessedAnswer, "The event is a fact.", PROCESSED_EXAMPLE)},
        scope="ingest",
        body=EventIn,
        body_example=EVENT_EXAMPLE,
        takes_idempotency_key=True,
        codes=INTAKE_CODES,
    )
    async def process_gamify_event(self, call: Call) -> Response:
        """Process an event before answering."""
        (result,) = await self._intake.record([await self._parser.one(call)])
        if isinstance(result, NotAccepted):
            raise result.refusal()
        return json_response(_processed(result), 200, replayed([result]))

    @operation(
        "processEventsBatch",
        "POST",
        f"{PREFIX}/events/batch",
        TAG,
        {
            200: DocumentedAnswer(
                ProcessedBatchAnswer,
                "At least one event is a fact.",
                PROCESS_GAMIFY_BATCH_ANSWER,
            ),
            422: DocumentedAnswer(ProcessedBatchAnswer, "No event became a fact."),
        },
        scope="ingest",
        body=BatchIn,
        body_example=BATCH_EXAMPLE,
        codes=INTAKE_CODES,
    )
    async def process_gamify_batch(self, call: Call) -> Response:
        """Process up to {max_batch_events} events before answering."""
        taken = await take_batch(call, self._parser, self._intake.record)
        answer = ProcessedBatchAnswer(
            processed=len(taken.results),
            rejected=taken.rejected,
            results=[_processed(result) for result in taken.results],
            errors=taken.errors,
        )
        return taken.reply(answer, 200).response()

    @operation(
        "listParticipantEvents",
        "GET",
        f"{PREFIX}/participants/{{participant_id}}/events",
        TAG,
        {200: DocumentedAnswer(ParticipantEventsAnswer, "One page; empty for an unknown participant.")},
        scope="read",
        query=EventsQuery,
    )
    async def list_events(self, call: Call[EventsQuery]) -> Response:
        """A participant's events, latest first."""
        query = call.query
        participant_id = call.parameter("participant_id")
        async with self._database.read() as connection:
            participant_id = await story_of(connection, call.scope, participant_id)
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


def _processed(result: RecordedFact) -> ProcessedAnswer:
    return ProcessedAnswer(event_id=result.fact.event_id, fact_id=result.fact.fact_id)
