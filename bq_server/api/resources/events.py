"""`/api/v1/ingest`: events in, three ways (Events API), and where a message is now."""

from typing import Any, Literal

from pydantic import BaseModel, Field
from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.batches import BatchOutcome, replayed, take_batch
from bq_server.api.operations import Call, DocumentedAnswer, Operation, Query, json_response
from bq_server.api.replies import Reply
from bq_server.api.request_parser import BatchError, RequestParser
from bq_server.events import Event
from bq_server.game.effects import EFFECTS, Verdict
from bq_server.ingest.acceptance import Accepted, Conflicting, Intake, NotTaken
from bq_server.ingest.message_status import Messages
from bq_server.ingest.models import BatchIn, EventIn, FactWarning
from bq_server.moments import format_timestamp
from bq_server.processing.processor import Conflict, Processed, Processor
from bq_server.processing.recorded_effects import effects_of, shown
from bq_server.refusals import Code, Refusal
from bq_server.sandbox.drain import Settling
from bq_server.store.database import Database

EVENT_EXAMPLE: dict[str, Any] = {
    "event_name": "purchase_completed",
    "participant_id": "user_123",
    "properties": {"amount": 49.99, "currency": "USD", "product_id": "prod_abc"},
    "timestamp": "2026-04-10T10:30:00Z",
}
BATCH_EXAMPLE: dict[str, Any] = {
    "events": [
        {"event_name": "page_view", "participant_id": "user_123", "properties": {"page": "/products"}},
        {
            "event_name": "add_to_cart",
            "participant_id": "user_123",
            "properties": {"product_id": "prod_abc", "quantity": 1},
        },
        {
            "event_name": "purchase_completed",
            "participant_id": "user_123",
            "properties": {"amount": 49.99, "currency": "USD"},
        },
    ]
}
SYNC_EXAMPLE: dict[str, Any] = {
    "event_name": "level_completed",
    "participant_id": "user_123",
    "properties": {"level": 5, "score": 9200, "time_seconds": 120},
}
INTAKE_CODES = (
    Code.IDEMPOTENCY_CONFLICT,
    Code.MESSAGE_DEAD,
    Code.STREAM_UNAVAILABLE,
    Code.OVERLOADED,
    Code.STOPPING,
)


class AcceptedAnswer(BaseModel):
    """The event is queued, durably."""

    accepted: Literal[True] = True
    message_id: str = Field(description="Its id in the stream: `<ms>-<n>`.")
    event_id: str | None = Field(None, description="With `wait=fact`: of the fact it became or repeats.")
    fact_id: str | None = Field(None, description="With `wait=fact`: the fact; null for a message that was given up.")


class BatchAnswer(BaseModel):
    """How many events were accepted, and what was wrong with the others."""

    accepted: int
    rejected: int
    message_ids: list[str] = Field(description="Of the accepted events, in their order.")
    event_ids: list[str | None] | None = Field(None, description="With `wait=fact`: of the facts, in that order.")
    fact_ids: list[str | None] | None = Field(
        None, description="With `wait=fact`: the facts; null for a message that was given up."
    )
    errors: list[BatchError] | None = Field(None, description="Only when an event was rejected.")


class SyncAnswer(BaseModel):
    """The event is a fact."""

    event_id: str
    fact_id: str
    fact_type: str = Field(description="`custom.` and the event's name.")
    processed_at: str = Field(json_schema_extra={"format": "date-time"})
    warnings: list[FactWarning] | None = Field(
        None, description="What was doubtful about the event; only where something was."
    )


class SyncEffectsAnswer(SyncAnswer):
    """The event is a fact, and this is what it caused."""

    effects: list[dict[str, Any]]


class Applied(BaseModel):
    """Why a definition that listens to the event would or wouldn't apply to it."""

    definition: str = Field(description="`<kind>/<code>`.")
    part: str | None = Field(description="The objective, for a challenge.")
    verdict: Verdict
    message: str | None
    value: int | float | None = Field(
        description="How far it comes by the event: of `target`; of a streak, its length. Null for points and boards."
    )
    target: int | float | None = Field(
        description="Where it is reached: of a streak, its next milestone, null after the last."
    )


class RehearsalAnswer(BaseModel):
    """What would happen. Nothing did."""

    dry_run: Literal[True] = True
    fact_type: str
    would_be: Literal["processed", "duplicate"]
    warnings: list[FactWarning] = Field(description="What is doubtful about the event.")
    effects: list[dict[str, Any]]
    definitions: list[Applied] = Field(description="Every definition listening to the event.")


class IntakeQuery(Query):
    """When to answer."""

    wait: Literal["fact"] | None = Field(
        None, description="Answer only when the events are facts; for test environments."
    )


class SyncQuery(Query):
    """What to answer, and whether to do anything."""

    include: Literal["effects"] | None = Field(None, description="Also answer what the event caused.")
    dry_run: bool = Field(False, description="Write nothing; answer what would happen, and why.")


class MessageAnswer(BaseModel):
    """Where an accepted event is now."""

    message_id: str
    status: Literal["queued", "processed", "duplicate", "dead", "lost"]
    event_id: str | None = Field(None, description="Of the fact it became or repeats.")
    fact_id: str | None = Field(None, description="The fact it became (processed) or repeats (duplicate).")
    reason: str | None = Field(None, description="Why it can't be processed (dead), or how it went (lost).")


WAIT_SECONDS = 30.0
"""Longest that `wait=fact` waits."""


def _waits(call: Call) -> bool:
    """Whether to answer only when the events are facts. Raises `Refusal` for a live key."""
    query: IntakeQuery = call.query
    if query.wait is None:
        return False
    call.in_sandbox()
    return True


def _order(message_id: str) -> tuple[int, int]:
    """The place of a message in the stream."""
    millisecond, _, number = message_id.partition("-")
    return int(millisecond), int(number)


def accepted_reply(result: Accepted) -> Reply:
    """The answer to a queued event, without `wait=fact`: an `AcceptedAnswer`, written by hand as it is so frequent."""
    body = b'{"accepted":true,"message_id":"%s"}' % result.message_id.encode()
    return Reply(202, body, replayed((result,)))


def batch_reply(taken: BatchOutcome[Accepted]) -> Reply:
    """The answer to a batch, without `wait=fact`."""
    return taken.reply(_batch_answer(taken), 202, leave_out={"event_ids", "fact_ids"})


def _batch_answer(taken: BatchOutcome[Accepted]) -> BatchAnswer:
    return BatchAnswer(
        accepted=len(taken.results),
        rejected=taken.rejected,
        message_ids=[result.message_id for result in taken.results],
        errors=taken.errors,
    )


def operations(
    intake: Intake,
    processor: Processor,
    messages: Messages,
    settling: Settling,
    database: Database,
    reading: RequestParser,
) -> list[Operation]:
    """The routes of this resource."""

    async def accept_event(call: Call) -> Response:
        waits = _waits(call)
        event = await reading.one(call)
        (result,) = await intake.accept([event])
        if isinstance(result, NotTaken):
            raise result.refusal()
        if not waits:
            return accepted_reply(result).response()
        ((event_id, fact_id),) = await settled(call, [result.message_id])
        answer = AcceptedAnswer(message_id=result.message_id, event_id=event_id, fact_id=fact_id)
        return json_response(answer, 202, replayed([result]))

    async def accept_batch(call: Call) -> Response:
        waits = _waits(call)
        taken = await take_batch(call, reading, intake.accept)
        if not waits:
            return batch_reply(taken).response()
        answer = _batch_answer(taken)
        facts = await settled(call, answer.message_ids)
        answer.event_ids = [event_id for event_id, _ in facts]
        answer.fact_ids = [fact_id for _, fact_id in facts]
        return taken.reply(answer, 202).response()

    async def settled(call: Call, message_ids: list[str]) -> list[tuple[str | None, str | None]]:
        """Wait for messages; for each the ids of the event and the fact that it became or repeats."""
        newest = max(message_ids, key=_order, default=None)
        if newest is not None and not await settling.settle(call.scope, newest, WAIT_SECONDS):
            detail = (
                f"Accepted as {', '.join(message_ids)}, and not all are facts after {WAIT_SECONDS:g} s. Nothing is "
                "lost: GET /api/v1/ingest/messages/{message_id} tells where each is."
            )
            raise Refusal(Code.NOT_DRAINED, detail)
        found = [await messages.locate(call.scope, message_id) for message_id in message_ids]
        return [
            (None, None) if each is None or each.fact is None else (each.fact.event_id, each.fact.fact_id)
            for each in found
        ]

    async def process_event(call: Call) -> Response:
        query: SyncQuery = call.query
        event = await reading.one(call)
        if query.dry_run:
            return json_response(await rehearse(event))
        (result,) = await intake.process_now([event])
        if isinstance(result, NotTaken):
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
        async with database.read() as connection:
            caused = [shown(effect) for effect in await effects_of(connection, fact)]
        told = SyncEffectsAnswer(**answer.model_dump(), effects=caused)
        return json_response(told, 200, replayed([result]), left_out)

    async def rehearse(event: Event) -> RehearsalAnswer:
        rehearsal = await processor.rehearse(event)
        if isinstance(rehearsal.outcome, Conflict):
            raise Conflicting(event.idempotency_key or "").refusal()
        fresh = isinstance(rehearsal.outcome, Processed) and rehearsal.outcome.fresh
        return RehearsalAnswer(
            fact_type=event.fact_type,
            would_be="processed" if fresh else "duplicate",
            warnings=from_json(event.warnings),
            effects=[shown(effect) for effect in EFFECTS.dump_python(rehearsal.effects, mode="json")],
            definitions=[
                Applied(
                    definition=each.definition,
                    part=each.part,
                    verdict=each.verdict,
                    message=each.message,
                    value=each.value,
                    target=each.target,
                )
                for each in rehearsal.explanations
            ],
        )

    async def get_message(call: Call) -> Response:
        message_id = call.parameter("message_id")
        found = await messages.locate(call.scope, message_id)
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
        return json_response(answer)

    prefix, tag = "/api/v1/ingest", "Ingest"
    return [
        Operation(
            "POST",
            f"{prefix}/events",
            tag,
            "Queue an event; answers when it is durable",
            accept_event,
            {202: DocumentedAnswer(AcceptedAnswer, "Accepted.", {"accepted": True, "message_id": "1707900600000-0"})},
            scope="ingest",
            body=EventIn,
            body_example=EVENT_EXAMPLE,
            takes_idempotency_key=True,
            query=IntakeQuery,
            codes=(*INTAKE_CODES, Code.STREAM_FULL, Code.NOT_DRAINED),
        ),
        Operation(
            "POST",
            f"{prefix}/events/batch",
            tag,
            "Queue up to 100 events; each is validated by itself",
            accept_batch,
            {
                202: DocumentedAnswer(
                    BatchAnswer,
                    "At least one event was accepted. With none accepted the same body comes with 422.",
                    {
                        "accepted": 3,
                        "rejected": 0,
                        "message_ids": ["1707900600000-0", "1707900600000-1", "1707900600000-2"],
                    },
                )
            },
            scope="ingest",
            body=BatchIn,
            body_example=BATCH_EXAMPLE,
            query=IntakeQuery,
            codes=(*INTAKE_CODES, Code.STREAM_FULL, Code.NOT_DRAINED),
        ),
        Operation(
            "POST",
            f"{prefix}/events/sync",
            tag,
            "Process an event before answering, for testing",
            process_event,
            {
                200: DocumentedAnswer(
                    SyncAnswer,
                    "The event is a fact.",
                    {
                        "event_id": "evt_abc123",
                        "fact_id": "fact_def456",
                        "fact_type": "custom.level_completed",
                        "processed_at": "2026-04-10T10:30:01Z",
                    },
                )
            },
            scope="ingest",
            body=EventIn,
            body_example=SYNC_EXAMPLE,
            query=SyncQuery,
            takes_idempotency_key=True,
            codes=INTAKE_CODES,
        ),
        Operation(
            "GET",
            f"{prefix}/messages/{{message_id}}",
            tag,
            "Where an accepted event is now",
            get_message,
            {
                200: DocumentedAnswer(
                    MessageAnswer,
                    "What became of the message.",
                    {
                        "message_id": "1707900600000-0",
                        "status": "processed",
                        "event_id": "evt_abc123",
                        "fact_id": "fact_def456",
                        "reason": None,
                    },
                )
            },
            scope="read",
            codes=(Code.NOT_FOUND, Code.STREAM_UNAVAILABLE),
        ),
    ]
