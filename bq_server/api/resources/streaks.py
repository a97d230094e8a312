"""`/api/v1/gamify/participants/{id}/streaks/{code}/...`: one streak of a participant."""

from typing import Any

from starlette.responses import Response

from bq_server.api.batches import replayed
from bq_server.api.call import Call
from bq_server.api.operations import INTAKE_CODES, DocumentedAnswer, json_response, operation
from bq_server.api.participant_view import ParticipantView, view_of_participant
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.participant_state import (
    BUY_FREEZE_BODY,
    USE_FREEZE_BODY,
    CalendarAnswer,
    CalendarQuery,
    FreezeAnswer,
    FreezeIn,
    FreezeUseIn,
)
from bq_server.clock import Clocks
from bq_server.game.facts import FREEZE_BOUGHT, FREEZE_USED
from bq_server.game.freeze_offers import FreezeUnavailable, is_frozen, period_to_freeze, read_freezes
from bq_server.game.read_calendar import TooManyPeriods, read_calendar
from bq_server.game.state import keys
from bq_server.game.streak_states import FreezesState
from bq_server.ingest.outcomes import RecordedFact
from bq_server.ingest.sync_intake import SyncIntake
from bq_server.processing.compiled_games import Games
from bq_server.processing.guards import InsufficientPoints, freeze_at_hand, freeze_for_sale
from bq_server.processing.hooks import Guard, Look, Note
from bq_server.processing.points_expiry import PointsExpirer
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import state
from bq_server.store.database import Database

ONE = "/api/v1/gamify/participants/{participant_id}/streaks/{code}"
TAG = "Participants"


class StreaksResource:
    """Shows a streak's calendar; sells and uses freezes."""

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
        "getStreakCalendar",
        "GET",
        f"{ONE}/calendar",
        TAG,
        {200: DocumentedAnswer(CalendarAnswer, "The calendar.")},
        scope="read",
        query=CalendarQuery,
        codes=(Code.NOT_FOUND,),
        reads="own",
    )
    async def get_calendar(self, call: Call[CalendarQuery]) -> Response:
        """A streak, period by period."""
        code, dates = call.parameter("code"), (call.query.start, call.query.end)
        async with self._database.read() as connection:
            at = await view_of_participant(connection, call, self._games)
            prefix = keys.members(f"streak/{code}")
            older = await state.cells_apart(connection, at.participant.reference, [prefix])
        try:
            found = read_calendar(at.game, code, at.cells, older, dates, self._clocks.now(call.scope))
        except KeyError:
            raise call.undefined("streak", code) from None
        except TooManyPeriods as error:
            raise Refusal.of_fields([FieldError("end", "too_many_periods", str(error))]) from None
        answer = CalendarAnswer(
            participant_id=at.participant.participant_id,
            streak_code=found.code,
            period=found.period,
            timezone=found.timezone,
            required=found.required,
            start=found.start,
            end=found.end,
            periods=found.periods,
        )
        return json_response(answer)

    @operation(
        "buyFreeze",
        "POST",
        f"{ONE}/freezes/buy",
        TAG,
        {200: DocumentedAnswer(FreezeAnswer, "Bought; a repeat gets the same answer.")},
        scope="award",
        body=FreezeIn,
        body_example=BUY_FREEZE_BODY,
        takes_idempotency_key=True,
        codes=(*INTAKE_CODES, Code.NOT_FOUND, Code.INSUFFICIENT_POINTS, Code.FREEZE_UNAVAILABLE),
    )
    async def buy_freeze(self, call: Call) -> Response:
        """Buy a freeze with points."""
        _, key = await self._parser.model(call, FreezeIn)
        at, code = await self._view(call), call.parameter("code")
        price = self._known(call, at, code).price
        if price is None:
            raise _no_freeze(FreezeUnavailable("freezes of this streak are not for sale"))
        properties = {"streak_code": code, "price": price}
        try:
            note = call.act("streak_freeze_bought").of_fact(**properties)
            look = self._expirer.before_spending(call.scope, call.parameter("participant_id"))
            made = await self._record(call, FREEZE_BOUGHT, properties, key, freeze_for_sale(code, price), note, look)
        except InsufficientPoints as short:
            detail = f"{short}: a freeze costs {price}."
            raise Refusal(Code.INSUFFICIENT_POINTS, detail) from None
        return await self._answer(call, code, made)

    @operation(
        "useFreeze",
        "POST",
        f"{ONE}/freezes/use",
        TAG,
        {200: DocumentedAnswer(FreezeAnswer, "Used, or covered already where a date is given.")},
        scope="ingest",
        body=FreezeUseIn,
        body_example=USE_FREEZE_BODY,
        codes=(*INTAKE_CODES, Code.NOT_FOUND, Code.FREEZE_UNAVAILABLE),
    )
    async def use_freeze(self, call: Call) -> Response:
        """Cover a missed period with a freeze."""
        sent, _ = await self._parser.model(call, FreezeUseIn)
        at, code = await self._view(call), call.parameter("code")
        self._known(call, at, code)
        now = self._clocks.now(call.scope)
        if sent.date is not None and is_frozen(at.game, code, at.cells, now, sent.date):
            return await self._answer(call, code)
        try:
            starts_at = period_to_freeze(at.game, code, at.cells, now, sent.date)
        except FreezeUnavailable as error:
            raise _no_freeze(error) from None
        properties = {"streak_code": code, "starts_at": starts_at}
        await self._record(call, FREEZE_USED, properties, None, freeze_at_hand(code, starts_at))
        return await self._answer(call, code)

    async def _view(self, call: Call) -> ParticipantView:
        async with self._database.read() as connection:
            return await view_of_participant(connection, call, self._games)

    async def _record(
        self,
        call: Call,
        fact_type: str,
        properties: dict[str, Any],
        key: str | None,
        guard: Guard,
        note: Note | None = None,
        look: Look | None = None,
    ) -> RecordedFact:
        participant_id = call.parameter("participant_id")
        event = self._parser.drafter.draft_system(call.scope, fact_type, participant_id, properties, key)
        try:
            return await self._intake.record_guarded(event, guard, note, look)
        except FreezeUnavailable as error:
            raise _no_freeze(error) from None

    async def _answer(self, call: Call, code: str, made: RecordedFact | None = None) -> Response:
        at = await self._view(call)
        answer = FreezeAnswer(
            participant_id=at.participant.participant_id,
            streak_code=code,
            freezes=self._known(call, at, code),
        )
        return json_response(answer, 200, replayed([made]) if made is not None else None)

    def _known(self, call: Call, at: ParticipantView, code: str) -> FreezesState:
        try:
            return read_freezes(at.game, code, at.cells, self._clocks.now(call.scope))
        except KeyError:
            raise call.undefined("streak", code) from None
        except FreezeUnavailable as error:
            raise _no_freeze(error) from None


def _no_freeze(error: FreezeUnavailable) -> Refusal:
    return Refusal(Code.FREEZE_UNAVAILABLE, f"No freeze is available: {error}.")
