"""`/api/v1/gamify/rewards` and `/claims`: what is claimed for points (vendor notes, 1.10)."""

from contextlib import suppress
from typing import Any

from pydantic_core import from_json, to_json
from starlette.responses import Response

from bq_server import causes
from bq_server.api.batches import replayed
from bq_server.api.call import Call
from bq_server.api.claims_view import claims_of
from bq_server.api.operations import INTAKE_CODES, DocumentedAnswer, json_response, operation
from bq_server.api.participant_view import known_participant, view_of_participant
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.rewards import (
    CANCEL_BODY,
    CLAIM_BODY,
    CancelIn,
    ClaimAnswer,
    ClaimIn,
    ClaimQuery,
    ClaimRehearsalAnswer,
    ParticipantReward,
    ParticipantRewardsAnswer,
    RewardAnswer,
    RewardsAnswer,
    RewardsQuery,
)
from bq_server.clock import Clocks
from bq_server.events import Event
from bq_server.game.document.definitions import Game
from bq_server.game.document.rewards import ClaimableReward
from bq_server.game.facts import FACT_VOIDED, REWARD_CLAIMED, REWARD_FULFILLED
from bq_server.game.mechanics.account import purse
from bq_server.game.mechanics.rule import micros
from bq_server.ingest.outcomes import RecordedFact
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.moments import format_timestamp
from bq_server.processing.compiled_games import Games
from bq_server.processing.guards import AlreadySo, InsufficientPoints, enough_points, no_guard
from bq_server.processing.hooks import Look
from bq_server.processing.points_expiry import PointsExpirer
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import facts, ledger, reward_claims, state
from bq_server.store.aliases import story_of
from bq_server.store.database import Connection, Database
from bq_server.store.facts import StoredFact

PREFIX = "/api/v1/gamify"
TAG = "Rewards"


class RewardsResource:
    """Lists rewards and records claims."""

    def __init__(
        self,
        intake: SyncIntake,
        database: Database,
        games: Games,
        expirer: PointsExpirer,
        parser: RequestParser,
        clocks: Clocks,
    ) -> None:
        self._intake = intake
        self._database = database
        self._games = games
        self._expirer = expirer
        self._parser = parser
        self._clocks = clocks

    @operation(
        "listRewards",
        "GET",
        f"{PREFIX}/rewards",
        TAG,
        {200: DocumentedAnswer(RewardsAnswer, "The rewards.")},
        scope="read",
        query=RewardsQuery,
        reads="shared",
    )
    async def list_rewards(self, call: Call[RewardsQuery]) -> Response:
        """Rewards that can be claimed now."""
        now, wanted = self._clocks.now(call.scope), call.query.reward_type
        async with self._database.read() as connection:
            game = (await self._games.of(connection, call.scope)).game
            claimed = await reward_claims.counts(connection, call.scope)
        found = [
            RewardAnswer(
                id=each.code,
                name=each.name,
                type=each.type,
                description=each.description,
                points_cost=each.cost,
                currency=each.currency,
                available_codes=None if each.amount is None else max(each.amount - claimed.get(each.code, 0), 0),
                max_claims_per_user=each.limit,
                expires_at=None if each.ends_at is None else format_timestamp(micros(each.ends_at) or 0),
            )
            for each in game.rewards
            if _is_open(each, now) and wanted in (None, each.type)
        ]
        return json_response(RewardsAnswer(rewards=found, total=len(found)))

    @operation(
        "claimReward",
        "POST",
        f"{PREFIX}/rewards/{{reward_id}}/claim",
        TAG,
        {
            200: DocumentedAnswer(
                ClaimAnswer, "Claimed; a repeat gets the first answer.", variants=(ClaimRehearsalAnswer,)
            )
        },
        scope="award",
        query=ClaimQuery,
        body=ClaimIn,
        body_example=CLAIM_BODY,
        takes_idempotency_key=True,
        codes=(*INTAKE_CODES, Code.NOT_FOUND, Code.INSUFFICIENT_POINTS, Code.REWARD_UNAVAILABLE),
    )
    async def claim(self, call: Call[ClaimQuery]) -> Response:
        """Spend points on a reward and take it out of stock, both or neither."""
        sent, key = await self._parser.model(call, ClaimIn)
        async with self._database.read() as connection:
            reward = _reward(call, (await self._games.of(connection, call.scope)).game)
        cost = reward.cost if sent.points_deduction else 0
        properties: dict[str, Any] = {"reward_code": reward.code, "cost": cost}
        if reward.currency is not None:
            properties["currency"] = reward.currency
        event = self._parser.drafter.draft_system(call.scope, REWARD_CLAIMED, sent.participant_id, properties, key)
        if call.query.dry_run:
            return json_response(await self._rehearsed(call, reward, event, cost, self._look(call, event, properties)))
        note = call.act("reward_claimed").of_fact(reward_code=reward.code)
        try:
            made = await self._intake.record_guarded(
                event, enough_points(cost, reward.currency), note, self._look(call, event, properties)
            )
        except InsufficientPoints as short:
            raise _insufficient(short) from None
        return json_response(await self._claimed(call, reward, made), 200, replayed([made]))

    @operation(
        "listParticipantRewards",
        "GET",
        f"{PREFIX}/participants/{{participant_id}}/rewards",
        "Participants",
        {200: DocumentedAnswer(ParticipantRewardsAnswer, "The claims.")},
        scope="read",
        codes=(Code.NOT_FOUND,),
        reads="own",
    )
    async def list_claims(self, call: Call) -> Response:
        """What a participant claimed."""
        async with self._database.read() as connection:
            known = await known_participant(connection, call)
            game = (await self._games.of(connection, call.scope)).game
            found = await claims_of(connection, call.scope, game, known.participant_id)
        return json_response(
            ParticipantRewardsAnswer(participant_id=known.participant_id, rewards=found, total=len(found))
        )

    @operation(
        "fulfilClaim",
        "POST",
        f"{PREFIX}/claims/{{claim_id}}/fulfil",
        TAG,
        {200: DocumentedAnswer(ParticipantReward, "The claim.")},
        scope="award",
        codes=(*INTAKE_CODES, Code.NOT_FOUND),
    )
    async def fulfil(self, call: Call) -> Response:
        """Mark a claimed reward as handed over. A repeat changes nothing, nor is a cancelled claim changed."""
        claim, fact = await self._found(call)
        if claim.status == "claimed":
            properties = {"claim_id": fact.fact_id}
            event = self._parser.drafter.draft_system(call.scope, REWARD_FULFILLED, fact.sender, properties)

            async def look(connection: Connection) -> None:
                # Not by an idempotency key: a client may have used it, and what was fulfilled may be void.
                now, _ = await self._read_claim(connection, call)
                if now.status != "claimed":
                    raise AlreadySo(now.status)

            with suppress(AlreadySo):
                await self._intake.record_guarded(event, no_guard, call.act("claim_fulfilled").of_fact(), look)
            claim, _ = await self._found(call)
        return json_response(claim)

    @operation(
        "cancelClaim",
        "POST",
        f"{PREFIX}/claims/{{claim_id}}/cancel",
        TAG,
        {200: DocumentedAnswer(ParticipantReward, "The claim.")},
        scope="award",
        body=CancelIn,
        body_example=CANCEL_BODY,
        codes=(*INTAKE_CODES, Code.NOT_FOUND),
    )
    async def cancel(self, call: Call) -> Response:
        """Cancel a claim: points and stock are returned. A repeat changes nothing."""
        sent, _ = await self._parser.model(call, CancelIn)
        claim, fact = await self._found(call)
        if claim.status != "cancelled":
            properties = {"fact_id": fact.fact_id, "reason": sent.reason}
            event = self._parser.drafter.draft_system(call.scope, FACT_VOIDED, fact.sender, properties)

            async def look(connection: Connection) -> None:
                now = await facts.by_id(connection, call.scope, fact.fact_id)
                if now is None or now.voided_by is not None:
                    raise AlreadySo(fact.fact_id)

            note = call.act("claim_cancelled").of_fact(voided_fact_id=fact.fact_id)
            with suppress(AlreadySo):
                await self._intake.record_guarded(event, no_guard, note, look)
            claim, _ = await self._found(call)
        return json_response(claim)

    def _look(self, call: Call, event: Event, properties: dict[str, Any]) -> Look:
        """Checks inside the transaction that one is left for the participant, and picks its code."""

        async def look(connection: Connection) -> Event:
            who = await story_of(connection, call.scope, event.participant_id)
            await self._expirer.expire(connection, call.scope, who)
            reward = _reward(call, (await self._games.of(connection, call.scope)).game)
            if not _is_open(reward, self._clocks.now(call.scope)):
                raise _not_to_be_had(reward, "not_open", "can't be claimed now: see its starts_at and ends_at")
            if reward.limit is not None:
                own = await reward_claims.count_of_reward(connection, call.scope, who, reward.code)
                if own >= reward.limit:
                    detail = f"was claimed {own} of {reward.limit} times by the participant"
                    raise _not_to_be_had(reward, "limit_reached", detail)
            code_value = None
            if reward.amount is not None:  # without a stock there may be claims without end
                taken = await reward_claims.codes(connection, call.scope, reward.code)
                if len(taken) >= reward.amount:
                    raise _not_to_be_had(
                        reward, "sold_out", f"is sold out: {len(taken)} of {reward.amount} are claimed"
                    )
                given = set(taken)
                code_value = next((code for code in reward.codes if code not in given), None)
            told = {**properties, "code_value": code_value}
            return event._replace(properties=to_json(told).decode())

        return look

    async def _rehearsed(
        self, call: Call[ClaimQuery], reward: ClaimableReward, event: Event, cost: int, look: Look
    ) -> ClaimRehearsalAnswer:
        """What a claim would come to. Raises `Refusal` where it would be refused."""
        async with self._database.transaction(undo=True) as connection:
            await look(connection)
            who = await story_of(connection, call.scope, event.participant_id)
            cells = await state.cells(connection, call.scope, who)
        balance = max(purse(cells, reward.currency)["balance"], 0)
        if balance < cost:
            raise _insufficient(InsufficientPoints(balance, cost, reward.currency))
        return ClaimRehearsalAnswer(
            participant_id=who,
            reward_name=reward.name,
            reward_type=reward.type,
            points_deducted=cost,
            new_balance=balance - cost,
            currency=reward.currency,
        )

    async def _claimed(self, call: Call, reward: ClaimableReward, made: RecordedFact) -> ClaimAnswer:
        fact = made.fact
        told = from_json(fact.properties)
        async with self._database.read() as connection:
            cause = causes.in_currency(causes.of_claim(fact.fact_id), told.get("currency"))
            entry = await ledger.entry_of(connection, call.scope, fact.participant_id, fact.fact_id, cause)
            at = await view_of_participant(connection, call, self._games, fact.participant_id)
        balance = purse(at.cells, told.get("currency"))["balance"] if entry is None else entry.balance
        return ClaimAnswer(
            claim_id=fact.fact_id,
            participant_id=fact.participant_id,
            reward_name=reward.name,
            reward_type=reward.type,
            code_value=told.get("code_value"),
            points_deducted=told["cost"],
            new_balance=max(balance, 0),
            currency=told.get("currency"),
        )

    async def _found(self, call: Call) -> tuple[ParticipantReward, StoredFact]:
        """The claim that the path names. Raises `Refusal`."""
        async with self._database.read() as connection:
            return await self._read_claim(connection, call)

    async def _read_claim(self, connection: Connection, call: Call) -> tuple[ParticipantReward, StoredFact]:
        claim_id = call.parameter("claim_id")
        fact = await facts.by_id(connection, call.scope, claim_id)
        if fact is None or fact.fact_type != REWARD_CLAIMED:
            raise call.missing("claim", claim_id)
        if not fact.participant_id:
            raise Refusal(Code.NOT_FOUND, f"{claim_id} is of a person who was erased.")
        game = (await self._games.of(connection, call.scope)).game
        own = await claims_of(connection, call.scope, game, fact.participant_id)
        return next(each for each in own if each.claim_id == claim_id), fact


def _is_open(reward: ClaimableReward, now: int) -> bool:
    starts, ends = micros(reward.starts_at), micros(reward.ends_at)
    return (starts is None or starts <= now) and (ends is None or now < ends)


def _reward(call: Call, game: Game) -> ClaimableReward:
    """The reward that the path names. Raises `Refusal`."""
    code = call.parameter("reward_id")
    found = next((each for each in game.rewards if each.code == code), None)
    if found is None:
        raise call.undefined("reward", code)
    return found


def _insufficient(short: InsufficientPoints) -> Refusal:
    error = FieldError("participant_id", "insufficient_points", str(short))
    return Refusal(Code.INSUFFICIENT_POINTS, f"{short}.", [error])


def _not_to_be_had(reward: ClaimableReward, code: str, detail: str) -> Refusal:
    error = FieldError("reward_id", code, detail)
    return Refusal(Code.REWARD_UNAVAILABLE, f"{reward.code} {detail}.", [error])
