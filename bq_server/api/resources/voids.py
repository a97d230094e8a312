"""`/api/v1/facts/{fact_id}/void`: making facts void."""

from typing import Any

from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import INTAKE_CODES, DocumentedAnswer, json_response, operation
from bq_server.api.request_parser import RequestParser
from bq_server.api.resources.aliases import require_free
from bq_server.api.resources.facts import known_fact
from bq_server.api.resources.referrals import require_may_count
from bq_server.api.schemas.facts import VOID_BODY, VoidAnswer, VoidIn, VoidQuery
from bq_server.game.facts import FACT_VOIDED, PARTICIPANT_ALIASED, PARTICIPANT_REFERRED
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.processing.guards import AlreadySo, no_guard
from bq_server.processing.processor import Processor
from bq_server.processing.recorded_effects import effects_of, shown
from bq_server.refusals import Code, Refusal
from bq_server.store import facts
from bq_server.store.database import Connection, Database
from bq_server.store.erasures import NOBODY
from bq_server.store.facts import StoredFact


class VoidsResource:
    """Makes facts void."""

    def __init__(self, intake: SyncIntake, processor: Processor, database: Database, parser: RequestParser) -> None:
        self._intake = intake
        self._processor = processor
        self._database = database
        self._parser = parser

    @operation(
        "voidFact",
        "POST",
        "/api/v1/facts/{fact_id}/void",
        "Facts",
        {200: DocumentedAnswer(VoidAnswer, "The fact is void, or was before.")},
        scope="award",
        query=VoidQuery,
        body=VoidIn,
        body_example=VOID_BODY,
        codes=(*INTAKE_CODES, Code.NOT_FOUND, Code.NOT_VOIDABLE, Code.ALIAS_CONFLICT),
    )
    async def void_fact(self, call: Call[VoidQuery]) -> Response:
        """Make a fact count as if it had never been; if it voids another, that one counts again."""
        sent, _ = await self._parser.model(call, VoidIn)
        async with self._database.read() as connection:
            fact = await self._voidable(connection, call)
            if fact.voided_by is not None:
                return await self._already(connection, call, fact, fact.voided_by)
        properties = {"fact_id": fact.fact_id, "reason": sent.reason}
        event = self._parser.drafter.draft_system(call.scope, FACT_VOIDED, fact.sender, properties)
        if call.query.dry_run:
            rehearsal = await self._processor.rehearse(event)
            return _answer(fact, None, shown(rehearsal.effects, fact.participant_id))

        async def look(connection: Connection) -> None:
            now = await self._voidable(connection, call)
            if now.voided_by is not None:
                raise AlreadySo(now.voided_by)

        try:
            note = call.act("fact_voided").of_fact(voided_fact_id=fact.fact_id)
            made = await self._intake.record_guarded(event, no_guard, note, look)
        except AlreadySo as so:
            async with self._database.read() as connection:
                return await self._already(connection, call, fact, so.cell)
        async with self._database.read() as connection:
            return _answer(fact, made.fact.fact_id, await effects_of(connection, made.fact))

    async def _already(self, connection: Connection, call: Call[VoidQuery], fact: StoredFact, by: str) -> Response:
        """The answer if another fact made it void; with what that took back."""
        other = await facts.by_id(connection, call.scope, by)
        effects = [] if other is None else await effects_of(connection, other)
        return _answer(fact, by, effects, already=True)

    async def _voidable(self, connection: Connection, call: Call[Any]) -> StoredFact:
        """The fact in the path. Raises `Refusal`."""
        fact = await known_fact(connection, call)
        if fact.participant_id == NOBODY:
            detail = f"{fact.fact_id} belongs to a person who was erased; nothing depends on it any more."
            raise Refusal(Code.NOT_VOIDABLE, detail)
        await self._require_may_hold(connection, call, fact)
        return fact

    async def _require_may_hold(self, connection: Connection, call: Call[Any], fact: StoredFact) -> None:
        """Raises `Refusal` where the fact is why an alias or a referral is void, and that can't count again."""
        void = None if fact.voided_by is not None else await _held_back(connection, call, fact)
        if void is None:
            return
        if void.fact_type == PARTICIPANT_ALIASED:
            await require_free(connection, call, from_json(void.properties)["alias"], void.sender)
        if void.fact_type == PARTICIPANT_REFERRED:
            await require_may_count(connection, call, void)


async def _held_back(connection: Connection, call: Call[Any], fact: StoredFact) -> StoredFact | None:
    """What would count again if the fact were void, at the end of the chain of those that each void the next."""
    would_count = False
    while fact.fact_type == FACT_VOIDED and fact.voids is not None:
        target = await facts.by_id(connection, call.scope, fact.voids)
        if target is None or target.voided_by != (None if would_count else fact.fact_id):
            return None
        fact, would_count = target, not would_count
    return fact if would_count else None


def _answer(fact: StoredFact, by: str | None, effects: list[dict[str, Any]], *, already: bool = False) -> Response:
    return json_response(VoidAnswer(fact_id=fact.fact_id, voided_by=by, already_voided=already, effects=effects))
