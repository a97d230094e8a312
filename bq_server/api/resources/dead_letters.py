"""`/api/v1/admin/dead-letters`: messages that were accepted and given up."""

import re
from typing import Any

from pydantic import BaseModel, Field
from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.operations import Call, DocumentedAnswer, Operation, Query, json_response
from bq_server.api.resources.facts import Moment
from bq_server.ingest.dead_letters import GivenUpMessages, Letter
from bq_server.moments import format_timestamp
from bq_server.refusals import Code, Refusal

MESSAGE_ID = r"[0-9]{1,15}-[0-9]{1,15}"


class DeadLetterAnswer(BaseModel):
    """A message that was given up, with the event in it."""

    message_id: str
    reason: str = Field(description="Why it can't be processed.")
    died_at: Moment
    event_id: str
    event_name: str
    participant_id: str
    properties: dict[str, Any]
    occurred_at: Moment
    received_at: Moment
    idempotency_key: str | None


class DeadLettersAnswer(BaseModel):
    """A page of dead letters, the latest accepted first."""

    dead_letters: list[DeadLetterAnswer]
    next_before: str | None = Field(description="`before` of the next page; null after the last.")


class RetriedAnswer(BaseModel):
    """It is in the stream again; `/ingest/messages/{message_id}` tells what becomes of it."""

    message_id: str
    retried: bool = True


class DroppedAnswer(BaseModel):
    """It is gone for good."""

    message_id: str
    dropped: bool = True


class DeadLettersQuery(Query):
    """Which page."""

    before: str | None = Field(None, pattern=f"^{MESSAGE_ID}$", description="From `next_before` of the page before.")
    limit: int = Field(20, ge=1, le=100)


EXAMPLE: dict[str, Any] = {
    "message_id": "1707900600000-0",
    "reason": "it failed by itself 3 times: ZeroDivisionError('division by zero')",
    "died_at": "2026-04-10T10:32:00Z",
    "event_id": "evt_abc123",
    "event_name": "purchase_completed",
    "participant_id": "user_123",
    "properties": {"amount": 49.99},
    "occurred_at": "2026-04-10T10:30:00Z",
    "received_at": "2026-04-10T10:30:00Z",
    "idempotency_key": None,
}


def dead_letter_answer(found: Letter) -> DeadLetterAnswer | None:
    """A dead letter as it is read; None for one that holds no event."""
    letter, event = found.letter, found.event
    if event is None:
        return None
    return DeadLetterAnswer(
        message_id=letter.message_id,
        reason=letter.reason,
        died_at=format_timestamp(letter.died_at),
        event_id=event.event_id,
        event_name=event.event_name,
        participant_id=event.participant_id,
        properties=from_json(event.properties),
        occurred_at=format_timestamp(event.occurred_at),
        received_at=format_timestamp(event.received_at),
        idempotency_key=event.idempotency_key,
    )


class DeadLetterRoutes:
    """The handlers of this resource."""

    def __init__(self, given_up: GivenUpMessages) -> None:
        self._given_up = given_up

    async def list(self, call: Call) -> Response:
        """A page of them."""
        query: DeadLettersQuery = call.query
        found = await self._given_up.page(call.scope, query.before, query.limit + 1)
        page = found[: query.limit]
        answer = DeadLettersAnswer(
            dead_letters=[each for each in map(dead_letter_answer, page) if each is not None],
            next_before=page[-1].letter.message_id if len(found) > len(page) else None,
        )
        return json_response(answer)

    async def get(self, call: Call) -> Response:
        """One of them."""
        found = await self._find(call)
        answer = dead_letter_answer(found)
        assert answer is not None  # noqa: S101 - it was found by the event in it
        return json_response(answer)

    async def retry(self, call: Call) -> Response:
        """Try one again."""
        found = await self._find(call)
        if not await self._given_up.retry([found.letter.message_id]):
            raise _nothing(call)
        return json_response(RetriedAnswer(message_id=found.letter.message_id), 202)

    async def drop(self, call: Call) -> Response:
        """Remove one."""
        found = await self._find(call)
        if not await self._given_up.drop([found.letter.message_id]):
            raise _nothing(call)
        return json_response(DroppedAnswer(message_id=found.letter.message_id))

    async def _find(self, call: Call) -> Letter:
        message_id = call.parameter("message_id")
        found = await self._given_up.get(call.scope, message_id) if re.fullmatch(MESSAGE_ID, message_id) else None
        if found is None:
            raise _nothing(call)
        return found


def _nothing(call: Call) -> Refusal:
    detail = f"The {call.scope.environment} environment has no dead letter {call.parameter('message_id')}."
    return Refusal(Code.NOT_FOUND, detail)


def operations(given_up: GivenUpMessages) -> list[Operation]:
    """The routes of this resource."""
    handlers = DeadLetterRoutes(given_up)
    path, tag = "/api/v1/admin/dead-letters", "Dead letters"
    one = (Code.NOT_FOUND, Code.STREAM_UNAVAILABLE)
    return [
        Operation(
            "GET",
            path,
            tag,
            "Messages that were given up, the latest first",
            handlers.list,
            {200: DocumentedAnswer(DeadLettersAnswer, "One page.", {"dead_letters": [EXAMPLE], "next_before": None})},
            scope="admin",
            query=DeadLettersQuery,
            codes=(Code.STREAM_UNAVAILABLE,),
        ),
        Operation(
            "GET",
            f"{path}/{{message_id}}",
            tag,
            "One message that was given up",
            handlers.get,
            {200: DocumentedAnswer(DeadLetterAnswer, "The message.", EXAMPLE)},
            scope="admin",
            codes=one,
        ),
        Operation(
            "DELETE",
            f"{path}/{{message_id}}",
            tag,
            "Remove a message that was given up, for good",
            handlers.drop,
            {200: DocumentedAnswer(DroppedAnswer, "It is gone.")},
            scope="admin",
            codes=one,
        ),
        Operation(
            "POST",
            f"{path}/{{message_id}}/retry",
            tag,
            "Have a message that was given up tried again",
            handlers.retry,
            {202: DocumentedAnswer(RetriedAnswer, "It is in the stream again, and keeps its id.")},
            scope="admin",
            codes=one,
        ),
    ]
