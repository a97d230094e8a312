"""`/api/v1/gamify/points/...` and `/badges/award`: points and badges given by hand (vendor notes, 1.4 and 1.5)."""

from typing import Any

from starlette.responses import Response

from bq_server import causes
from bq_server.api.batches import replayed
from bq_server.api.call import Call
from bq_server.api.known_currency import known_currency
from bq_server.api.operations import INTAKE_CODES, DocumentedAnswer, json_response, operation
from bq_server.api.problems import PROBLEM_TYPES
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.awards import (
    AWARD_BADGE_BODY,
    AWARD_BATCH_BODY,
    AWARD_POINTS_BODY,
    DEDUCT_POINTS_BODY,
    MAX_BATCH_AWARDS,
    AwardAnswer,
    AwardBatchAnswer,
    AwardError,
    BadgeAnswer,
    BadgeIn,
    BatchAwardResult,
    DeductAnswer,
    PointsBatchIn,
    PointsIn,
    TierUpgrade,
)
from bq_server.game.document.badges import Badge
from bq_server.game.facts import BADGE_AWARDED, POINTS_AWARDED, POINTS_DEDUCTED
from bq_server.ingest.outcomes import RecordedFact
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.ingest.validation import idempotency_key
from bq_server.moments import format_timestamp
from bq_server.processing.compiled_games import Games
from bq_server.processing.guards import AlreadySo, InsufficientPoints, badge_not_held, enough_points, no_guard
from bq_server.processing.hooks import Guard
from bq_server.processing.points_expiry import PointsExpirer
from bq_server.processing.recorded_effects import effects_of
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import ledger
from bq_server.store.audit_log import Action
from bq_server.store.database import Database
from bq_server.store.ledger import PointsEntry

PREFIX = "/api/v1/gamify"
MAX_BATCH_KEY = 250
"""Most characters of a batch's idempotency key, to which each award's place is added."""
SERVER_FAULT = 500
TAG = "Awards"


class AwardsResource:
    """Gives and takes points, and gives badges."""

    def __init__(
        self, intake: SyncIntake, database: Database, games: Games, expirer: PointsExpirer, parser: RequestParser
    ) -> None:
        self._intake = intake
        self._database = database
        self._games = games
        self._expirer = expirer
        self._parser = parser

    @operation(
        "awardPoints",
        "POST",
        f"{PREFIX}/points/award",
        TAG,
        {200: DocumentedAnswer(AwardAnswer, "Awarded. A repeat gets the first answer.")},
        scope="award",
        body=PointsIn,
        body_example=AWARD_POINTS_BODY,
        takes_idempotency_key=True,
        codes=(*INTAKE_CODES, Code.NOT_FOUND),
    )
    async def award_points(self, call: Call) -> Response:
        """Award points."""
        sent, key = await self._parser.model(call, PointsIn)
        answer, made = await self._award(call, sent, key)
        return json_response(answer, 200, replayed([made]))

    @operation(
        "awardPointsBatch",
        "POST",
        f"{PREFIX}/points/award-batch",
        TAG,
        {200: DocumentedAnswer(AwardBatchAnswer, "What became of each. A repeat gets the first answers.")},
        scope="award",
        body=PointsBatchIn,
        body_example=AWARD_BATCH_BODY,
        takes_idempotency_key=True,
        codes=INTAKE_CODES,
    )
    async def award_batch(self, call: Call) -> Response:
        """Award points to up to 100 participants; each award stands or fails on its own."""
        awards, key = await self._parser.items(call, "awards", PointsIn, MAX_BATCH_AWARDS)
        if key is not None and len(key) > MAX_BATCH_KEY:
            detail = f"must have at most {MAX_BATCH_KEY} characters for a batch: the key of each award is made of it"
            raise Refusal.of_fields([FieldError("Idempotency-Key", "too_long", detail)])
        results: list[BatchAwardResult] = []
        given: list[RecordedFact] = []
        for index, sent in enumerate(awards):
            if isinstance(sent, list):
                results.append(_failed(None, Refusal.of_fields(sent)))
                continue
            try:
                answer, made = await self._award(call, sent, _own_key(sent, key, index))
            except Refusal as refusal:
                if not given and PROBLEM_TYPES[refusal.code].status >= SERVER_FAULT:
                    raise  # as nothing was given, all may be sent again
                results.append(_failed(sent.participant_id, refusal))
            else:
                results.append(BatchAwardResult(success=True, **answer.model_dump()))
                given.append(made)
        told = AwardBatchAnswer(results=results, awarded=len(given), failed=len(results) - len(given))
        return json_response(told, 200, replayed(given) if not told.failed else None)

    @operation(
        "deductPoints",
        "POST",
        f"{PREFIX}/points/deduct",
        TAG,
        {200: DocumentedAnswer(DeductAnswer, "Deducted. A repeat gets the first answer.")},
        scope="award",
        body=PointsIn,
        body_example=DEDUCT_POINTS_BODY,
        takes_idempotency_key=True,
        codes=(*INTAKE_CODES, Code.NOT_FOUND, Code.INSUFFICIENT_POINTS),
    )
    async def deduct_points(self, call: Call) -> Response:
        """Deduct points, if there are enough."""
        sent, key = await self._parser.model(call, PointsIn)
        currency = await known_currency(call, self._database, self._games, sent.currency)
        try:
            guard = enough_points(sent.amount, currency)
            made = await self._give_or_take(call, POINTS_DEDUCTED, "points_deducted", sent, currency, key, guard)
        except InsufficientPoints as short:
            detail = f"{short}: deduct at most {short.available}."
            error = FieldError("amount", "insufficient_points", str(short))
            raise Refusal(Code.INSUFFICIENT_POINTS, detail, [error]) from None
        entry, _ = await self._what_came(call, made, currency)
        answer = DeductAnswer(
            transaction_id=entry.transaction_id,
            participant_id=made.fact.participant_id,
            amount=sent.amount,
            new_balance=entry.balance,
            currency=currency,
        )
        return json_response(answer, 200, replayed([made]))

    @operation(
        "awardBadge",
        "POST",
        f"{PREFIX}/badges/award",
        TAG,
        {200: DocumentedAnswer(BadgeAnswer, "Awarded, or already held.")},
        scope="award",
        body=BadgeIn,
        body_example=AWARD_BADGE_BODY,
        codes=(*INTAKE_CODES, Code.NOT_FOUND),
    )
    async def award_badge(self, call: Call) -> Response:
        """Award a badge; a participant who holds it already keeps it as it is."""
        sent, _ = await self._parser.model(call, BadgeIn)
        async with self._database.read() as connection:
            badge = (await self._games.of(connection, call.scope)).treasury.badges.get(sent.badge_code)
        if badge is None:
            raise call.undefined("badge", sent.badge_code)
        properties = {"badge_code": sent.badge_code, "metadata": sent.metadata}
        event = self._parser.drafter.draft_system(call.scope, BADGE_AWARDED, sent.participant_id, properties)
        try:
            note = call.act("badge_awarded").of_fact(badge_code=sent.badge_code)
            made = await self._intake.record_guarded(event, badge_not_held(sent.badge_code), note)
        except AlreadySo as held:
            return json_response(_held(sent, badge, held.cell["at"], already=True))
        return json_response(_held(sent, badge, made.fact.occurred_at, already=False))

    async def _award(self, call: Call, sent: PointsIn, key: str | None) -> tuple[AwardAnswer, RecordedFact]:
        currency = await known_currency(call, self._database, self._games, sent.currency)
        made = await self._give_or_take(call, POINTS_AWARDED, "points_awarded", sent, currency, key, no_guard)
        entry, effects = await self._what_came(call, made, currency)
        upgrade = next((effect for effect in effects if effect["type"] == "tier"), None)
        answer = AwardAnswer(
            transaction_id=entry.transaction_id,
            participant_id=made.fact.participant_id,
            amount=sent.amount,
            new_balance=entry.balance,
            tier_upgrade=None if upgrade is None else TierUpgrade.model_validate(upgrade),
            badges_unlocked=[effect["code"] for effect in effects if effect["type"] == "badge"],
            currency=currency,
        )
        return answer, made

    async def _give_or_take(
        self,
        call: Call,
        fact_type: str,
        action: Action,
        sent: PointsIn,
        currency: str | None,
        key: str | None,
        guard: Guard,
    ) -> RecordedFact:
        properties = {"amount": sent.amount, "reason": sent.reason, "metadata": sent.metadata}
        if currency is not None:
            properties["currency"] = currency
        event = self._parser.drafter.draft_system(call.scope, fact_type, sent.participant_id, properties, key)
        note = call.act(action).of_fact(amount=sent.amount, **({} if currency is None else {"currency": currency}))
        look = self._expirer.before_spending(call.scope, sent.participant_id)
        return await self._intake.record_guarded(event, guard, note, look)

    async def _what_came(
        self, call: Call, made: RecordedFact, currency: str | None
    ) -> tuple[PointsEntry, list[dict[str, Any]]]:
        fact = made.fact
        async with self._database.read() as connection:
            cause = causes.in_currency(causes.by_hand(fact.fact_id), currency)
            entry = await ledger.entry_of(connection, call.scope, fact.participant_id, fact.fact_id, cause)
            effects = await effects_of(connection, fact)
        if entry is None:
            detail = f"{fact.fact_id} was made, and then its participant was erased or the environment reset."
            raise Refusal(Code.NOT_FOUND, detail)
        return entry, effects


def _own_key(sent: PointsIn, batch_key: str | None, index: int) -> str | None:
    """The idempotency key of one award: its own, or the batch's with the award's place."""
    if sent.idempotency_key is not None or batch_key is None:
        return idempotency_key(None, sent.idempotency_key)
    return f"{batch_key}:{index}"


def _failed(participant_id: str | None, refusal: Refusal) -> BatchAwardResult:
    first = refusal.errors[0] if refusal.errors else None
    error = AwardError(code=refusal.code, field=first and first.field, detail=refusal.detail)
    return BatchAwardResult(participant_id=participant_id, success=False, error=error)


def _held(sent: BadgeIn, badge: Badge, at: int, *, already: bool) -> BadgeAnswer:
    return BadgeAnswer(
        participant_id=sent.participant_id,
        badge_code=badge.code,
        badge_name=badge.name,
        icon=badge.icon_url,
        rarity=badge.rarity,
        earned_at=format_timestamp(at),
        already_earned=already,
    )
