"""`/api/v1/gamify/leaderboards`: rankings (vendor notes, 1.8). Ties: who reached the score first."""

from typing import Literal

from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.schemas.leaderboards import (
    PeriodQuery,
    RankAnswer,
    RankingAnswer,
    RankingEntry,
    RankingQuery,
    Window,
)
from bq_server.clock import Clocks
from bq_server.game.document.definitions import Leaderboard
from bq_server.game.mechanics.periods import previous_period, window_period
from bq_server.processing.compiled_games import Games
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import state
from bq_server.store.database import Connection, Database

PREFIX = "/api/v1/gamify/leaderboards/{code}"
TAG = "Leaderboards"


class LeaderboardsResource:
    """Ranks participants."""

    def __init__(self, database: Database, games: Games, clocks: Clocks) -> None:
        self._database = database
        self._games = games
        self._clocks = clocks

    @operation(
        "getLeaderboard",
        "GET",
        PREFIX,
        TAG,
        {200: DocumentedAnswer(RankingAnswer, "The ranking in the current period.")},
        scope="read",
        query=RankingQuery,
        codes=(Code.NOT_FOUND,),
    )
    async def get_leaderboard(self, call: Call[RankingQuery]) -> Response:
        """The top of a leaderboard."""
        query = call.query
        async with self._database.read() as connection:
            board = await self._board(connection, call)
            window = _window(board, query.period)
            now = self._clocks.now(call.scope)
            period, before = window_period(now, window), previous_period(now, window)
            key = f"leaderboard/{board.code}"
            best, total = await state.top(connection, call.scope, key, window, period, query.limit)
            ranks: dict[str, int] = {}
            if before is not None:
                named = [each.participant_id for each in best]
                ranks = await state.ranks(connection, call.scope, key, window, before, named)
        entries = [
            RankingEntry(
                rank=rank,
                participant_id=each.participant_id,
                score=each.score,
                change=None if before is None else _change(rank, ranks.get(each.participant_id)),
            )
            for rank, each in enumerate(best, start=1)
        ]
        answer = RankingAnswer(leaderboard_code=board.code, period=window, entries=entries, total_participants=total)
        return json_response(answer)

    @operation(
        "getLeaderboardRank",
        "GET",
        PREFIX + "/rank/{participant_id}",
        TAG,
        {200: DocumentedAnswer(RankAnswer, "The participant's place.")},
        scope="read",
        query=PeriodQuery,
        codes=(Code.NOT_FOUND,),
    )
    async def get_rank(self, call: Call[PeriodQuery]) -> Response:
        """A participant's place on a leaderboard."""
        query = call.query
        participant_id = call.parameter("participant_id")
        async with self._database.read() as connection:
            board = await self._board(connection, call)
            window = _window(board, query.period)
            period = window_period(self._clocks.now(call.scope), window)
            key = f"leaderboard/{board.code}"
            found = await state.rank(connection, call.scope, key, window, period, participant_id)
            if found is None:
                detail = f"{participant_id} has no score on {board.code} in this window."
                raise Refusal(Code.NOT_FOUND, detail)
            total = await state.count_ranked(connection, call.scope, key, window, period)
        score, rank = found
        answer = RankAnswer(
            participant_id=participant_id,
            rank=rank,
            score=score.score,
            total_participants=total,
            percentile=(total - rank) * 1000 // total / 10,
        )
        return json_response(answer)

    async def _board(self, connection: Connection, call: Call) -> Leaderboard:
        code = call.parameter("code")
        game = (await self._games.of(connection, call.scope)).game
        board = next((each for each in game.leaderboards if each.code == code), None)
        if board is None:
            raise Refusal(Code.NOT_FOUND, f"The {call.scope.environment} environment's game has no leaderboard {code}.")
        return board


def _window(board: Leaderboard, asked: Window | None) -> Window:
    if asked is not None and asked not in board.window:
        detail = f"{board.code} is kept for {', '.join(board.window)}"
        raise Refusal.of_fields([FieldError("period", "window_not_kept", detail)])
    return asked or board.window[0]


def _change(rank: int, before: int | None) -> Literal["up", "same", "down", "new"]:
    if before is None:
        return "new"
    return "same" if rank == before else "up" if rank < before else "down"
