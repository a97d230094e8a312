"""`/api/v1/gamify/participants/{id}/alias`: names that stand for a participant."""

from typing import Any

from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import INTAKE_CODES, DocumentedAnswer, json_response, operation
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.aliases import ALIAS_BODY, AliasAnswer, AliasIn
from bq_server.game.facts import PARTICIPANT_ALIASED
from bq_server.game.recipients import MAX_NAME
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.processing.guards import AlreadySo, no_guard
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import aliases
from bq_server.store.database import Connection, Database


class AliasesResource:
    """Lets names stand for participants."""

    def __init__(self, intake: SyncIntake, database: Database, parser: RequestParser) -> None:
        self._intake = intake
        self._database = database
        self._parser = parser

    @operation(
        "aliasParticipant",
        "POST",
        "/api/v1/gamify/participants/{participant_id}/alias",
        "Participants",
        {200: DocumentedAnswer(AliasAnswer, "The name stands for the participant, or did before.")},
        scope="award",
        body=AliasIn,
        body_example=ALIAS_BODY,
        codes=(*INTAKE_CODES, Code.ALIAS_CONFLICT),
    )
    async def alias(self, call: Call) -> Response:
        """Make past and future facts of another name this participant's; void the fact to undo it."""
        sent, _ = await self._parser.model(call, AliasIn)
        participant_id = call.parameter("participant_id")
        if not participant_id or len(participant_id) > MAX_NAME:
            detail = f"must have 1 to {MAX_NAME} characters"
            raise Refusal.of_fields([FieldError("participant_id", "string_too_long", detail)])
        if sent.alias == participant_id:
            raise Refusal.of_fields([FieldError("from", "same_participant", "must be another name than the path's")])
        properties = {"alias": sent.alias, "reason": sent.reason}
        event = self._parser.drafter.draft_system(call.scope, PARTICIPANT_ALIASED, participant_id, properties)

        async def look(connection: Connection) -> None:
            known = await aliases.alias(connection, call.scope, sent.alias)
            if known is not None and known.participant_id == participant_id:
                raise AlreadySo(known.fact_id)
            await require_free(connection, call, sent.alias, participant_id)

        try:
            made = await self._intake.record_guarded(event, no_guard, call.act("participant_aliased").of_fact(), look)
        except AlreadySo as so:
            return await self._answer(call, participant_id, sent.alias, so.cell, already=True)
        return await self._answer(call, participant_id, sent.alias, made.fact.fact_id, already=False)

    async def _answer(self, call: Call, participant_id: str, name: str, fact_id: str, *, already: bool) -> Response:
        async with self._database.read() as connection:
            story = await aliases.story_of(connection, call.scope, participant_id)
        return json_response(AliasAnswer(participant_id=story, alias=name, fact_id=fact_id, already_aliased=already))


async def require_free(connection: Connection, call: Call[Any], name: str, participant_id: str) -> None:
    """Raises `Refusal` for a name that stands for somebody already, or for whom the participant stands."""
    known = await aliases.alias(connection, call.scope, name)
    if known is not None:
        detail = f"{name} is an alias of {known.participant_id}: void {known.fact_id} first."
        raise Refusal(Code.ALIAS_CONFLICT, detail, [FieldError("from", "already_aliased", detail)])
    if await aliases.story_of(connection, call.scope, participant_id) == name:
        detail = f"{participant_id} is an alias of {name}, which can't be one of {participant_id}."
        raise Refusal(Code.ALIAS_CONFLICT, detail, [FieldError("from", "circle", detail)])
