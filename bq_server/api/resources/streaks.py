"""`/api/v1/gamify/participants/{id}/streaks/{code}/...`: one streak of a participant."""

from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.participant_view import view_of_participant
from bq_server.api.schemas.participant_state import CalendarAnswer, CalendarQuery
from bq_server.clock import Clocks
from bq_server.game.read_calendar import TooManyPeriods, read_calendar
from bq_server.game.state import keys
from bq_server.processing.compiled_games import Games
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import state
from bq_server.store.database import Database

ONE = "/api/v1/gamify/participants/{participant_id}/streaks/{code}"
TAG = "Participants"


class StreaksResource:
    """Shows what a streak's calendar shows."""

    def __init__(self, database: Database, games: Games, clocks: Clocks) -> None:
        self._database = database
        self._games = games
        self._clocks = clocks

    @operation(
        "GET",
        f"{ONE}/calendar",
        TAG,
        {200: DocumentedAnswer(CalendarAnswer, "The calendar.")},
        scope="read",
        query=CalendarQuery,
        codes=(Code.NOT_FOUND,),
    )
    async def get_calendar(self, call: Call[CalendarQuery]) -> Response:
        """A streak, period by period."""
        code, dates = call.parameter("code"), (call.query.start, call.query.end)
        async with self._database.read() as connection:
            at = await view_of_participant(connection, call, self._games)
            own = at.participant.participant_id
            prefix = keys.members(f"streak/{code}")
            older = await state.cells_apart(connection, at.participant.reference, [prefix])
        try:
            found = read_calendar(at.game, code, at.cells, older, dates, self._clocks.now(call.scope))
        except KeyError:
            detail = f"The {call.scope.environment} environment's game has no streak {code}."
            raise Refusal(Code.NOT_FOUND, detail) from None
        except TooManyPeriods as error:
            raise Refusal.of_fields([FieldError("end", "too_many_periods", str(error))]) from None
        answer = CalendarAnswer(
            participant_id=own,
            streak_code=found.code,
            period=found.period,
            timezone=found.timezone,
            required=found.required,
            start=found.start,
            end=found.end,
            periods=found.periods,
        )
        return json_response(answer)
