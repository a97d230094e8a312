"""`/api/v1/gamify/points/transfer`: points that one participant gives another."""

from starlette.responses import Response

from bq_server import causes
from bq_server.api.batches import replayed
from bq_server.api.call import Call
from bq_server.api.known_currency import known_currency
from bq_server.api.operations import INTAKE_CODES, DocumentedAnswer, json_response, operation
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.transfers import TRANSFER_BODY, TransferAnswer, TransferIn
from bq_server.game.facts import POINTS_TRANSFERRED
from bq_server.ingest.outcomes import RecordedFact
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.processing.compiled_games import Games
from bq_server.processing.guards import InsufficientPoints, NoTransfers, may_transfer
from bq_server.processing.points_expiry import PointsExpirer
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import ledger
from bq_server.store.aliases import story_of
from bq_server.store.database import Database


class TransfersResource:
    """Moves points from one participant to another, as one fact."""

    def __init__(
        self, intake: SyncIntake, database: Database, games: Games, expirer: PointsExpirer, parser: RequestParser
    ) -> None:
        self._intake = intake
        self._database = database
        self._games = games
        self._expirer = expirer
        self._parser = parser

    @operation(
        "transferPoints",
        "POST",
        "/api/v1/gamify/points/transfer",
        "Awards",
        {200: DocumentedAnswer(TransferAnswer, "Transferred. A repeat gets the first answer.")},
        scope="award",
        body=TransferIn,
        body_example=TRANSFER_BODY,
        takes_idempotency_key=True,
        codes=(*INTAKE_CODES, Code.NOT_FOUND, Code.INSUFFICIENT_POINTS),
    )
    async def transfer(self, call: Call) -> Response:
        """Spend points of one participant and pay them to another, both or neither."""
        sent, key = await self._parser.model(call, TransferIn)
        async with self._database.read() as connection:
            both = [await story_of(connection, call.scope, who) for who in (sent.participant_id, sent.recipient_id)]
        if both[0] == both[1]:
            detail = "must be another participant than participant_id"
            raise Refusal.of_fields([FieldError("recipient_id", "same_participant", detail)])
        currency = await known_currency(call, self._database, self._games, sent.currency)
        properties = sent.model_dump(include={"recipient_id", "amount", "reason", "metadata"})
        if currency is not None:
            properties["currency"] = currency
        event = self._parser.drafter.draft_system(call.scope, POINTS_TRANSFERRED, sent.participant_id, properties, key)
        about = {"amount": sent.amount, **({} if currency is None else {"currency": currency})}
        note = call.act("points_transferred").of_fact(**about)
        look = self._expirer.before_spending(call.scope, sent.participant_id)
        try:
            made = await self._intake.record_guarded(event, may_transfer(sent.amount, currency), note, look)
        except NoTransfers:
            detail = f"The {call.scope.environment} environment's game has no transfers: it must say `transfers: true`."
            raise Refusal(Code.NOT_FOUND, detail) from None
        except InsufficientPoints as short:
            detail = f"{short}: transfer at most {short.available}."
            error = FieldError("amount", "insufficient_points", str(short))
            raise Refusal(Code.INSUFFICIENT_POINTS, detail, [error]) from None
        return json_response(await self._answer(call, sent, made, currency), 200, replayed([made]))

    async def _answer(self, call: Call, sent: TransferIn, made: RecordedFact, currency: str | None) -> TransferAnswer:
        fact_id = made.fact.fact_id
        cause = causes.in_currency(causes.of_transfer(fact_id), currency)
        balances = []
        async with self._database.read() as connection:
            both = [await story_of(connection, call.scope, who) for who in (sent.participant_id, sent.recipient_id)]
            for who in both:
                entry = await ledger.entry_of(connection, call.scope, who, fact_id, cause)
                if entry is None:
                    detail = f"{fact_id} moves no points any more: both participants have become one, or were erased."
                    raise Refusal(Code.NOT_FOUND, detail)
                balances.append(entry.balance)
        return TransferAnswer(
            transfer_id=fact_id,
            participant_id=both[0],
            recipient_id=both[1],
            amount=sent.amount,
            new_balance=balances[0],
            recipient_balance=balances[1],
            currency=currency,
        )
