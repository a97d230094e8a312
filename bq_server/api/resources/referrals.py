"""`/api/v1/referrals`: who refers whom (vendor notes, 1.11)."""

from typing import Any

from pydantic_core import from_json
from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import INTAKE_CODES, DocumentedAnswer, json_response, operation
from bq_server.api.participant_view import known_participant
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.referrals import (
    REFERRAL_BODY,
    REFERRAL_CODE_BODY,
    ReferralAnswer,
    ReferralCodeAnswer,
    ReferralCodeIn,
    ReferralIn,
    ReferralStatsAnswer,
    ReferralValidityAnswer,
)
from bq_server.api.schemas.values import Query
from bq_server.game.facts import PARTICIPANT_REFERRED, REFERRAL_CODE_MADE
from bq_server.ids import IdSource
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.moments import format_timestamp
from bq_server.processing import referrals
from bq_server.processing.guards import AlreadySo, no_guard
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store.aliases import story_of
from bq_server.store.database import Connection, Database
from bq_server.store.facts import StoredFact

PREFIX = "/api/v1/referrals"
TAG = "Referrals"
CODE_LENGTH = 12
"""Characters of 5 bits: two of a million codes are the same once in two million environments."""


class ReferralsResource:
    """Makes codes, and records who came by which. A participant is referred once."""

    def __init__(self, intake: SyncIntake, database: Database, parser: RequestParser, ids: IdSource) -> None:
        self._intake = intake
        self._database = database
        self._parser = parser
        self._ids = ids

    @operation(
        "generateReferralCode",
        "POST",
        f"{PREFIX}/generate",
        TAG,
        {200: DocumentedAnswer(ReferralCodeAnswer, "The code; a repeat gets the same one.")},
        scope="ingest",
        body=ReferralCodeIn,
        body_example=REFERRAL_CODE_BODY,
        codes=INTAKE_CODES,
    )
    async def generate(self, call: Call) -> Response:
        """Make the code by which a participant refers others."""
        sent, _ = await self._parser.model(call, ReferralCodeIn)
        code = self._ids.new_code(CODE_LENGTH)
        event = self._parser.drafter.draft_system(
            call.scope,
            REFERRAL_CODE_MADE,
            sent.participant_id,
            {"code": code, "campaign_id": sent.campaign_id},
            referrals.key_of_code(code),
        )

        async def look(connection: Connection) -> None:
            known = await referrals.code_for(connection, call.scope, sent.participant_id, sent.campaign_id)
            if known is not None:
                raise AlreadySo(known)

        try:
            fact: StoredFact = (await self._intake.record_guarded(event, no_guard, None, look)).fact
        except AlreadySo as so:
            fact = so.cell
        code = from_json(fact.properties)["code"]
        answer = ReferralCodeAnswer(
            code=code,
            referral_url=f"?ref={code}",
            participant_id=fact.participant_id,
            campaign_id=sent.campaign_id,
            created_at=format_timestamp(fact.occurred_at),
        )
        return json_response(answer)

    @operation(
        "validateReferralCode",
        "GET",
        f"{PREFIX}/validate/{{code}}",
        TAG,
        {200: DocumentedAnswer(ReferralValidityAnswer, "Whether it refers anybody, and who that is.")},
        scope="read",
        query=Query,
        reads="shared",
    )
    async def validate(self, call: Call) -> Response:
        """Whose code it is."""
        code = call.parameter("code")
        async with self._database.read() as connection:
            fact = await referrals.fact_of_code(connection, call.scope, code)
        answer = ReferralValidityAnswer(
            valid=fact is not None,
            code=code,
            referrer_id=None if fact is None else fact.participant_id,
            campaign_id=None if fact is None else from_json(fact.properties).get("campaign_id"),
        )
        return json_response(answer)

    @operation(
        "convertReferral",
        "POST",
        f"{PREFIX}/convert",
        TAG,
        {200: DocumentedAnswer(ReferralAnswer, "Who referred the participant: the first holds.")},
        scope="ingest",
        body=ReferralIn,
        body_example=REFERRAL_BODY,
        codes=(*INTAKE_CODES, Code.NOT_FOUND),
    )
    async def convert(self, call: Call) -> Response:
        """Record that a participant came by a code, and give what the game gives for that."""
        sent, _ = await self._parser.model(call, ReferralIn)
        async with self._database.read() as connection:
            made = await self._made(connection, call, sent.code)
        given = from_json(made.properties)
        event = self._parser.drafter.draft_system(
            call.scope,
            PARTICIPANT_REFERRED,
            sent.referred_session_id,
            {"referrer_id": made.participant_id, **given},
            referrals.key_of_referral(given["code"], self._ids.new("ref")),
        )

        async def look(connection: Connection) -> None:
            referrer = (await self._made(connection, call, sent.code)).participant_id
            known = await referrals.referral_of(connection, call.scope, sent.referred_session_id)
            if known is not None:
                raise AlreadySo(known)
            await _require_other(connection, call, sent.referred_session_id, referrer)

        try:
            done = await self._intake.record_guarded(event, no_guard, None, look)
        except AlreadySo as so:
            return await self._answer(call, so.cell, made.participant_id, already=True)
        return await self._answer(call, done.fact, made.participant_id, already=False)

    @operation(
        "getReferralStats",
        "GET",
        f"{PREFIX}/stats/{{participant_id}}",
        TAG,
        {200: DocumentedAnswer(ReferralStatsAnswer, "The numbers.")},
        scope="read",
        query=Query,
        codes=(Code.NOT_FOUND,),
        reads="own",
    )
    async def get_stats(self, call: Call) -> Response:
        """How many a participant has referred."""
        async with self._database.read() as connection:
            known = await known_participant(connection, call)
            number = await referrals.count(connection, call.scope, known.participant_id)
            own = await referrals.referral_of(connection, call.scope, known.participant_id)
            by = None if own is None else await referrals.referrer_of(connection, call.scope, own)
        if by == known.participant_id:
            by = None  # one person, who had two names before an alias
        answer = ReferralStatsAnswer(
            participant_id=known.participant_id, total_referrals=number, conversions=number, referrer_id=by
        )
        return json_response(answer)

    async def _made(self, connection: Connection, call: Call, code: str) -> StoredFact:
        """The fact of a code. Raises `Refusal` for one that refers nobody."""
        fact = await referrals.fact_of_code(connection, call.scope, code)
        if fact is None:
            raise call.missing("referral code", code)
        return fact

    async def _answer(self, call: Call, fact: StoredFact, wanted: str, *, already: bool) -> Response:
        async with self._database.read() as connection:
            by = await referrals.referrer_of(connection, call.scope, fact)
            wanted = await story_of(connection, call.scope, wanted)
        answer = ReferralAnswer(
            converted=by == wanted, referrer_id=by, conversion_id=fact.fact_id, already_converted=already
        )
        return json_response(answer)


async def _require_other(connection: Connection, call: Call, referred: str, referrer: str) -> None:
    """Raises `Refusal` for who would refer themself, alone or in a circle."""
    referred = await story_of(connection, call.scope, referred)
    if referred == referrer:
        detail = "must be another participant than the one whose code it is"
        raise Refusal.of_fields([FieldError("referred_session_id", "self_referral", detail)])
    if await referrals.referral_above(connection, call.scope, referred, referrer) is not None:
        detail = f"referred {referrer}, or who did: nobody is referred by those who came through them"
        raise Refusal.of_fields([FieldError("referred_session_id", "circle", detail)])


async def require_may_count(connection: Connection, call: Call[Any], referral: StoredFact) -> None:
    """Raises `Refusal` for a void referral that can't count again: it was replaced, or would close a circle."""
    who = referral.participant_id
    other = await referrals.referral_of(connection, call.scope, who)
    if other is not None:
        raise Refusal(Code.NOT_VOIDABLE, f"{who} was referred again since: void {other.fact_id} first.")
    by = await referrals.referrer_of(connection, call.scope, referral)
    other = await referrals.referral_above(connection, call.scope, who, by)
    if other is not None:
        raise Refusal(Code.NOT_VOIDABLE, f"{by} came through {who} since: void {other.fact_id} first.")
