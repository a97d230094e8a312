"""`/api/v1/admin/dead-letters`: accepted messages that can't be processed."""

import re
from collections.abc import Awaitable, Callable

from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.schemas.dead_letters import (
    DEAD_LETTER_EXAMPLE,
    DEAD_LETTERS_EXAMPLE,
    MESSAGE_ID,
    DeadLetterAnswer,
    DeadLettersAnswer,
    DeadLettersQuery,
    DroppedAnswer,
    RetriedAnswer,
)
from bq_server.ingest.dead_letters import Letter, ScopedDeadLetters
from bq_server.moments import format_timestamp
from bq_server.refusals import Code, Refusal
from bq_server.store.audit_log import Action
from bq_server.store.database import Database

Handling = Callable[[list[str]], Awaitable[list[str]]]
"""Handles dead letters, and returns the ids of those it handled."""

PATH = "/api/v1/admin/dead-letters"
TAG = "Dead letters"
ONE_CODES = (Code.NOT_FOUND, Code.STREAM_UNAVAILABLE)


def dead_letter_answer(found: Letter) -> DeadLetterAnswer | None:
    """A dead letter as it is returned; None for one that contains no event."""
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


class DeadLettersResource:
    """Lists, retries and removes dead letters."""

    def __init__(self, letters: ScopedDeadLetters, database: Database) -> None:
        self._letters = letters
        self._database = database

    @operation(
        "listDeadLetters",
        "GET",
        PATH,
        TAG,
        {200: DocumentedAnswer(DeadLettersAnswer, "One page.", DEAD_LETTERS_EXAMPLE)},
        scope="admin",
        query=DeadLettersQuery,
        codes=(Code.STREAM_UNAVAILABLE,),
    )
    async def list(self, call: Call[DeadLettersQuery]) -> Response:
        """Dead letters, latest first."""
        query = call.query
        found = await self._letters.page(call.scope, query.before, query.limit + 1)
        page = found[: query.limit]
        answer = DeadLettersAnswer(
            dead_letters=[each for each in map(dead_letter_answer, page) if each is not None],
            next_before=page[-1].letter.message_id if len(found) > len(page) else None,
        )
        return json_response(answer)

    @operation(
        "getDeadLetter",
        "GET",
        f"{PATH}/{{message_id}}",
        TAG,
        {200: DocumentedAnswer(DeadLetterAnswer, "The message.", DEAD_LETTER_EXAMPLE)},
        scope="admin",
        codes=ONE_CODES,
    )
    async def get(self, call: Call) -> Response:
        """One dead letter."""
        found = await self._find(call)
        answer = dead_letter_answer(found)
        assert answer is not None  # noqa: S101 - it was found by the event in it
        return json_response(answer)

    @operation(
        "dropDeadLetter",
        "DELETE",
        f"{PATH}/{{message_id}}",
        TAG,
        {200: DocumentedAnswer(DroppedAnswer, "Removed.")},
        scope="admin",
        codes=ONE_CODES,
    )
    async def drop(self, call: Call) -> Response:
        """Remove a dead letter permanently."""
        found = await self._find(call)
        await self._handle(call, "dead_letter_dropped", found, self._letters.drop)
        return json_response(DroppedAnswer(message_id=found.letter.message_id))

    @operation(
        "retryDeadLetter",
        "POST",
        f"{PATH}/{{message_id}}/retry",
        TAG,
        {202: DocumentedAnswer(RetriedAnswer, "It is in the stream again, under the same id.")},
        scope="admin",
        codes=ONE_CODES,
    )
    async def retry(self, call: Call) -> Response:
        """Retry a dead letter."""
        found = await self._find(call)
        await self._handle(call, "dead_letter_retried", found, self._letters.retry)
        return json_response(RetriedAnswer(message_id=found.letter.message_id), 202)

    async def _handle(self, call: Call, action: Action, found: Letter, how: Handling) -> None:
        """Record the intention, handle it, and record that it was done.

        The stream server takes no part in the store's transactions, so whatever ends in between, a process or
        a connection, leaves the intention. The store's write lock is held meanwhile: it can be written to.
        """
        message_id = found.letter.message_id
        async with self._database.transaction() as connection:
            begun = call.act("dead_letter_handling_begun")
            await begun.keep(connection, handling=action, message_ids=[message_id])
        async with self._database.transaction() as connection:
            if not await how([message_id]):
                raise _nothing(call)
            await call.act(action).keep(connection, message_id=message_id)

    async def _find(self, call: Call) -> Letter:
        message_id = call.parameter("message_id")
        found = await self._letters.get(call.scope, message_id) if re.fullmatch(MESSAGE_ID, message_id) else None
        if found is None:
            raise _nothing(call)
        return found


def _nothing(call: Call) -> Refusal:
    return call.missing("dead letter", call.parameter("message_id"))
