"""`/api/v1/ingest`: three ways to send events (Events API), and the status of a message."""

from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.batches import replayed, take_batch
from bq_server.api.call import Call
from bq_server.api.operations import INTAKE_CODES, DocumentedAnswer, json_response, operation
from bq_server.api.queued import accepted_reply, batch_answer, batch_reply
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.events import (
    ACCEPT_BATCH_ANSWER,
    ACCEPT_EVENT_ANSWER,
    BATCH_EXAMPLE,
    EVENT_EXAMPLE,
    GET_MESSAGE_ANSWER,
    PROCESS_EVENT_ANSWER,
    SYNC_EXAMPLE,
    AcceptedAnswer,
    Applied,
    BatchAnswer,
    IntakeQuery,
    MessageAnswer,
    MessageEffectsAnswer,
    MessageQuery,
    RehearsalAnswer,
    SyncAnswer,
    SyncEffectsAnswer,
    SyncQuery,
)
from bq_server.events import Event
from bq_server.ingest.async_intake import AsyncIntake
from bq_server.ingest.message_status import Messages
from bq_server.ingest.models import BatchIn, EventIn
from bq_server.ingest.outcomes import NotAccepted, key_conflict
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.moments import format_timestamp
from bq_server.processing.processor import Conflict, Processed, Processor
from bq_server.processing.recorded_effects import effects_of, shown
from bq_server.refusals import Code, Refusal
from bq_server.sandbox.drain import Drain
from bq_server.store.database import Database

WAIT_SECONDS = 30.0
"""Longest that `wait=fact` waits."""


def _waits(call: Call[IntakeQuery]) -> bool:
    """Whether to answer only once the events are facts. Raises `Refusal` for a live key."""
    if call.query.wait is None:
        return False
    call.in_sandbox()
    return True


def _order(message_id: str) -> tuple[int, int]:
    """The place of a message in the stream."""
    millisecond, _, number = message_id.partition("-")
    return int(millisecond), int(number)


PREFIX = "/api/v1/ingest"
TAG = "Ingest"


class EventsResource:
    """Accepts events, through the stream or at once, and reports the status of messages."""

    def __init__(
        self,
        async_intake: AsyncIntake,
        sync_intake: SyncIntake,
        processor: Processor,
        messages: Messages,
        drain: Drain,
        database: Database,
        parser: RequestParser,
    ) -> None:
        self._async_intake = async_intake
        self._sync_intake = sync_intake
        self._processor = processor
        self._messages = messages
        self._drain = drain
        self._database = database
        self._parser = parser

    @operation(
        "ingestEvent",
        "POST",
        f"{PREFIX}/events",
        TAG,
        {202: DocumentedAnswer(AcceptedAnswer, "Accepted.", ACCEPT_EVENT_ANSWER)},
        scope="ingest",
        body=EventIn,
        body_example=EVENT_EXAMPLE,
        takes_idempotency_key=True,
        query=IntakeQuery,
        codes=(*INTAKE_CODES, Code.STREAM_FULL, Code.NOT_DRAINED),
    )
    async def accept_event(self, call: Call[IntakeQuery]) -> Response:
        """Queue an event; answers once it is durable."""
        waits = _waits(call)
        event = await self._parser.one(call)
        (result,) = await self._async_intake.accept([event])
        if isinstance(result, NotAccepted):
            raise result.refusal()
        if not waits:
            return accepted_reply(result).response()
        ((event_id, fact_id),) = await self._outcomes(call, [result.message_id])
        answer = AcceptedAnswer(message_id=result.message_id, event_id=event_id, fact_id=fact_id)
        return json_response(answer, 202, replayed([result]))

    @operation(
        "ingestEventsBatch",
        "POST",
        f"{PREFIX}/events/batch",
        TAG,
        {
            202: DocumentedAnswer(
                BatchAnswer,
                "At least one event was accepted.",
                ACCEPT_BATCH_ANSWER,
            ),
            422: DocumentedAnswer(BatchAnswer, "No event was accepted."),
        },
        scope="ingest",
        body=BatchIn,
        body_example=BATCH_EXAMPLE,
        query=IntakeQuery,
        codes=(*INTAKE_CODES, Code.STREAM_FULL, Code.NOT_DRAINED),
    )
    async def accept_batch(self, call: Call[IntakeQuery]) -> Response:
        """Queue up to {max_batch_events} events; each is validated on its own."""
        waits = _waits(call)
        taken = await take_batch(call, self._parser, self._async_intake.accept)
        if not waits:
            return batch_reply(taken).response()
        answer = batch_answer(taken)
        facts = await self._outcomes(call, answer.message_ids)
        answer.event_ids = [event_id for event_id, _ in facts]
        answer.fact_ids = [fact_id for _, fact_id in facts]
        return taken.reply(answer, 202).response()

    @operation(
        "ingestEventSync",
        "POST",
        f"{PREFIX}/events/sync",
        TAG,
        {
            200: DocumentedAnswer(
                SyncAnswer,
                "The event is a fact.",
                PROCESS_EVENT_ANSWER,
                variants=(RehearsalAnswer, SyncEffectsAnswer),
            )
        },
        scope="ingest",
        body=EventIn,
        body_example=SYNC_EXAMPLE,
        query=SyncQuery,
        takes_idempotency_key=True,
        codes=INTAKE_CODES,
    )
    async def process_event(self, call: Call[SyncQuery]) -> Response:
        """Process an event before answering, for testing."""
        query = call.query
        if query.dry_run and (call.key is None or not call.key.rehearses):
            detail = "A dry run shows rules and the participant's state, and needs the scope read beside ingest."
            raise Refusal(Code.FORBIDDEN, detail)
        event = await self._parser.one(call)
        if query.dry_run:
            return json_response(await self._rehearse(event))
        (result,) = await self._sync_intake.record([event])
        if isinstance(result, NotAccepted):
            raise result.refusal()
        fact = result.fact
        answer = SyncAnswer(
            event_id=fact.event_id,
            fact_id=fact.fact_id,
            fact_type=fact.fact_type,
            processed_at=format_timestamp(fact.processed_at),
            warnings=from_json(fact.warnings) or None,
        )
        left_out = set() if answer.warnings else {"warnings"}
        if query.include is None:
            return json_response(answer, 200, replayed([result]), left_out)
        async with self._database.read() as connection:
            caused = await effects_of(connection, fact)
        told = SyncEffectsAnswer(**answer.model_dump(), effects=caused)
        return json_response(told, 200, replayed([result]), left_out)

    @operation(
        "getMessage",
        "GET",
        f"{PREFIX}/messages/{{message_id}}",
        TAG,
        {
            200: DocumentedAnswer(
                MessageAnswer,
                "The message's status.",
                GET_MESSAGE_ANSWER,
                variants=(MessageEffectsAnswer,),
            )
        },
        scope="read",
        query=MessageQuery,
        codes=(Code.NOT_FOUND, Code.STREAM_UNAVAILABLE),
    )
    async def get_message(self, call: Call[MessageQuery]) -> Response:
        """The status of an accepted event."""
        message_id = call.parameter("message_id")
        found = await self._messages.locate(call.scope, message_id)
        if found is None:
            detail = f"No message {message_id} was accepted in the {call.scope.environment} environment."
            raise Refusal(Code.NOT_FOUND, detail)
        answer = MessageAnswer(
            message_id=message_id,
            status=found.status,
            event_id=found.fact and found.fact.event_id,
            fact_id=found.fact and found.fact.fact_id,
            reason=found.reason,
        )
        if call.query.include is None:
            return json_response(answer)
        caused = None
        if found.fact is not None:
            async with self._database.read() as connection:
                caused = await effects_of(connection, found.fact)
        return json_response(MessageEffectsAnswer(**dict(answer), effects=caused))

    async def _outcomes(self, call: Call, message_ids: list[str]) -> list[tuple[str | None, str | None]]:
        """Wait for messages; for each the ids of the event and the fact that it became or repeats."""
        newest = max(message_ids, key=_order, default=None)
        if newest is not None and not await self._drain.wait_for(call.scope, newest, WAIT_SECONDS):
            detail = (
                f"Accepted as {', '.join(message_ids)}, but not all are facts after {WAIT_SECONDS:g} s. Nothing is "
                "lost: GET /api/v1/ingest/messages/{message_id} returns the status of each."
            )
            raise Refusal(Code.NOT_DRAINED, detail)
        found = [await self._messages.locate(call.scope, message_id) for message_id in message_ids]
        return [
            (None, None) if each is None or each.fact is None else (each.fact.event_id, each.fact.fact_id)
            for each in found
        ]

    async def _rehearse(self, event: Event) -> RehearsalAnswer:
        rehearsal = await self._processor.rehearse(event)
        if isinstance(rehearsal.outcome, Conflict):
            raise key_conflict(event).refusal()
        fresh = isinstance(rehearsal.outcome, Processed) and rehearsal.outcome.fresh
        return RehearsalAnswer(
            fact_type=event.fact_type,
            would_be="processed" if fresh else "duplicate",
            warnings=from_json(event.warnings),
            effects=shown(rehearsal.effects, event.participant_id),
            definitions=[
                Applied(
                    definition=each.definition,
                    part=each.part,
                    verdict=each.verdict,
                    message=each.message,
                    value=each.value,
                    target=each.target,
                    participant_id=each.participant_id,
                )
                for each in rehearsal.explanations
            ],
        )
