"""`/api/v1/gamify/points/...` and `/badges/award`: points and badges given by hand (vendor notes, 1.4 and 1.5)."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from bq_server.api.batches import replayed
from bq_server.api.operations import Call, DocumentedAnswer, Operation, json_response
from bq_server.api.request_parser import RequestParser
from bq_server.api.resources.events import INTAKE_CODES
from bq_server.api.resources.facts import Moment
from bq_server.game.document.definitions import Badge
from bq_server.game.facts import BADGE_AWARDED, MAX_MANUAL_POINTS, POINTS_AWARDED, POINTS_DEDUCTED
from bq_server.ingest.acceptance import Intake, Made, NotTaken
from bq_server.moments import format_timestamp
from bq_server.processing.compiled_games import Games
from bq_server.processing.guards import AlreadySo, InsufficientPoints, badge_not_held, enough_points, no_guard
from bq_server.processing.processor import Guard
from bq_server.processing.recorded_effects import effects_of
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import ledger
from bq_server.store.database import Database
from bq_server.store.ledger import LedgerEntry


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    participant_id: str = Field(min_length=1, max_length=255)
    metadata: dict[str, Any] = Field({}, description="Kept with the fact.")


class PointsIn(_Sent):
    """Points to give or take."""

    amount: int = Field(gt=0, le=MAX_MANUAL_POINTS)
    reason: str | None = Field(None, max_length=500)
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)


class BadgeIn(_Sent):
    """A badge to give."""

    badge_code: str = Field(min_length=1, max_length=50, description="Of a badge of the game in force.")


class TierUpgrade(BaseModel):
    """The higher tier that points led to."""

    code: str
    name: str
    level: int
    previous_code: str | None
    previous_level: int | None


class AwardAnswer(BaseModel):
    """The points were given."""

    transaction_id: str
    participant_id: str
    amount: int
    new_balance: int
    tier_upgrade: TierUpgrade | None
    badges_unlocked: list[str] = Field(description="Codes of the badges that came with it.")


class DeductAnswer(BaseModel):
    """The points were taken."""

    transaction_id: str
    participant_id: str
    amount: int
    new_balance: int


class BadgeAnswer(BaseModel):
    """The participant holds the badge."""

    participant_id: str
    badge_code: str
    badge_name: str
    icon: str | None
    rarity: str
    earned_at: Moment
    already_earned: bool


def operations(intake: Intake, database: Database, games: Games, reading: RequestParser) -> list[Operation]:
    """The routes of this resource."""

    async def give_or_take(call: Call, fact_type: str, sent: PointsIn, key: str | None, guard: Guard) -> Made:
        properties = {"amount": sent.amount, "reason": sent.reason, "metadata": sent.metadata}
        event = reading.drafter.draft_system(call.scope, fact_type, sent.participant_id, properties, key)
        result = await intake.record(event, guard)
        if isinstance(result, NotTaken):
            raise result.refusal()
        if not result.repeated:
            call.record(fact_type.removeprefix("system."), amount=sent.amount, fact_id=result.fact.fact_id)
        return result

    async def award_points(call: Call) -> Response:
        sent, key = await reading.model(call, PointsIn)
        made = await give_or_take(call, POINTS_AWARDED, sent, key, no_guard)
        entry, effects = await _what_came(call, made)
        upgrade = next((effect for effect in effects if effect["type"] == "tier"), None)
        answer = AwardAnswer(
            transaction_id=entry.transaction_id,
            participant_id=sent.participant_id,
            amount=sent.amount,
            new_balance=entry.balance,
            tier_upgrade=None if upgrade is None else TierUpgrade.model_validate(upgrade),
            badges_unlocked=[effect["code"] for effect in effects if effect["type"] == "badge"],
        )
        return json_response(answer, 200, replayed([made]))

    async def deduct_points(call: Call) -> Response:
        sent, key = await reading.model(call, PointsIn)
        try:
            guard = enough_points(sent.amount)
            made = await give_or_take(call, POINTS_DEDUCTED, sent, key, guard)
        except InsufficientPoints as short:
            detail = f"{short}: deduct at most {short.available}."
            error = FieldError("amount", "insufficient_points", str(short))
            raise Refusal(Code.INSUFFICIENT_POINTS, detail, [error]) from None
        entry, _ = await _what_came(call, made)
        answer = DeductAnswer(
            transaction_id=entry.transaction_id,
            participant_id=sent.participant_id,
            amount=sent.amount,
            new_balance=entry.balance,
        )
        return json_response(answer, 200, replayed([made]))

    async def award_badge(call: Call) -> Response:
        sent, _ = await reading.model(call, BadgeIn)
        async with database.read() as connection:
            badge = (await games.of(connection, call.scope)).treasury.badges.get(sent.badge_code)
        if badge is None:
            detail = f"The {call.scope.environment} environment's game has no badge {sent.badge_code}."
            raise Refusal(Code.NOT_FOUND, detail)
        properties = {"badge_code": sent.badge_code, "metadata": sent.metadata}
        event = reading.drafter.draft_system(call.scope, BADGE_AWARDED, sent.participant_id, properties)
        try:
            result = await intake.record(event, badge_not_held(sent.badge_code))
        except AlreadySo as held:
            return json_response(_held(sent, badge, held.cell["at"], already=True))
        if isinstance(result, NotTaken):
            raise result.refusal()
        call.record("badge_awarded", badge_code=sent.badge_code, fact_id=result.fact.fact_id)
        return json_response(_held(sent, badge, result.fact.occurred_at, already=False))

    async def _what_came(call: Call, made: Made) -> tuple[LedgerEntry, list[dict[str, Any]]]:
        fact = made.fact
        async with database.read() as connection:
            cause = f"manual:{fact.fact_id}"
            entry = await ledger.entry_of(connection, call.scope, fact.participant_id, fact.fact_id, cause)
            effects = await effects_of(connection, fact)
        if entry is None:
            raise RuntimeError(f"fact {fact.fact_id} has no entry in the ledger")
        return entry, effects

    prefix, tag = "/api/v1/gamify", "Awards"
    return [
        Operation(
            "POST",
            f"{prefix}/points/award",
            tag,
            "Give points",
            award_points,
            {200: DocumentedAnswer(AwardAnswer, "Given; a repeat answers as the first did.")},
            scope="ingest",
            body=PointsIn,
            body_example={"participant_id": "user_123", "amount": 50, "reason": "welcome"},
            takes_idempotency_key=True,
            codes=INTAKE_CODES,
        ),
        Operation(
            "POST",
            f"{prefix}/points/deduct",
            tag,
            "Take points, if there are enough",
            deduct_points,
            {200: DocumentedAnswer(DeductAnswer, "Taken; a repeat answers as the first did.")},
            scope="ingest",
            body=PointsIn,
            body_example={"participant_id": "user_123", "amount": 20, "reason": "a sticker"},
            takes_idempotency_key=True,
            codes=(*INTAKE_CODES, Code.INSUFFICIENT_POINTS),
        ),
        Operation(
            "POST",
            f"{prefix}/badges/award",
            tag,
            "Give a badge; who holds it already keeps it as it is",
            award_badge,
            {200: DocumentedAnswer(BadgeAnswer, "Held.")},
            scope="ingest",
            body=BadgeIn,
            body_example={"participant_id": "user_123", "badge_code": "champion"},
            codes=(*INTAKE_CODES, Code.NOT_FOUND),
        ),
    ]


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
