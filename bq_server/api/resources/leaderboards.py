"""`/api/v1/gamify/leaderboards`: rankings (vendor notes, 1.8). Ties: who reached the score first."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Struct
from pydantic import Field, TypeAdapter
from starlette.responses import Response

from bq_server.api.call import Call, require_stored
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.participant_view import ranking_board, team_now
from bq_server.api.schemas.leaderboards import (
    AroundAnswer,
    AroundQuery,
    PeriodQuery,
    RankAnswer,
    RankingAnswer,
    RankingEntry,
    RankingQuery,
)
from bq_server.clock import Clocks
from bq_server.exact_json import dumps
from bq_server.game.document.leaderboards import Leaderboard, WindowName
from bq_server.game.mechanics.board_periods import BoardPeriods, PeriodOfWindow
from bq_server.game.mechanics.board_teams import BoardTeams
from bq_server.game.mechanics.leaderboards import board_order
from bq_server.processing.compiled_games import Games
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import participants
from bq_server.store.aliases import story_of
from bq_server.store.database import Database
from bq_server.store.rank_sections import HIGHEST, LOWEST
from bq_server.store.rankings import Ranked, Rankings, RankingView, Score
from bq_server.store.references import Ranking

PREFIX = "/api/v1/gamify/leaderboards/{code}"
TAG = "Leaderboards"

T = TypeVar("T")

PERIODS = "2026-04-10, 2026-W15, 2026-04, 2026"
_NONE = ""
"""What no period is called."""

_Integer = Annotated[int, Field(ge=LOWEST, le=HIGHEST)]
_CURSOR = TypeAdapter(tuple[WindowName, str, _Integer | float, _Integer, str])
"""Window, period, score, when it was reached, participant."""


class LeaderboardsResource:
    """Ranks participants."""

    def __init__(self, database: Database, games: Games, clocks: Clocks) -> None:
        self._database = database
        self._games = games
        self._clocks = clocks
        self._rankings = Rankings(database)

    @operation(
        "getLeaderboard",
        "GET",
        PREFIX,
        TAG,
        {200: DocumentedAnswer(RankingAnswer, "A page of the ranking, the best first.")},
        scope="read",
        query=RankingQuery,
        codes=(Code.NOT_FOUND,),
        reads="shared",
    )
    async def get_leaderboard(self, call: Call[RankingQuery]) -> Response:
        """A leaderboard, now or in a period of the past."""
        query = call.query
        board = await self._board(call)
        period = self._period(call, board, query.period)
        after = None
        if query.cursor is not None:
            told, after = _read_cursor(query.cursor)
            if told[0] not in (board.window_names if query.period is None else [period[0]]):
                raise _bad_cursor("is of another window: send it with the period of the page before")
            period = told
        shared = board_order(board).shared

        def look(view: RankingView, before: RankingView) -> tuple[list[Ranked], int, _Beside]:
            more = query.limit + 1
            page = view.best(more, shared=shared) if after is None else view.after(after, more, shared=shared)
            return page, view.total(), _beside(board, page[: query.limit], view, before)

        found, total, beside = await self._read(call, board, period, look)
        page = found[: query.limit]
        answer = RankingAnswer(
            leaderboard_code=board.code,
            period=period[0],
            period_key=period[1],
            entries=_entries(page, board, period, beside),
            total_participants=total,
            group_by=board.group_by,
            next_cursor=_cursor(period, page[-1].score) if len(found) > len(page) else None,
        )
        return json_response(answer)

    @operation(
        "getLeaderboardNeighbours",
        "GET",
        PREFIX + "/around/{participant_id}",
        TAG,
        {200: DocumentedAnswer(AroundAnswer, "The place, and those next to it.")},
        scope="read",
        query=AroundQuery,
        codes=(Code.NOT_FOUND,),
        reads="own",
    )
    async def get_neighbours(self, call: Call[AroundQuery]) -> Response:
        """A participant's place on a leaderboard, with those above and below; of teams that of the participant's."""
        query = call.query
        participant_id = await self._who(call)
        board = await self._board(call)
        period = self._period(call, board, query.period)
        shared = board_order(board).shared

        team = await self._team(call, board, participant_id)
        ranked = participant_id if team is None else team

        def look(view: RankingView, before: RankingView) -> tuple[list[Ranked], int, _Beside]:
            near = view.around(ranked, query.n, shared=shared)
            return near, view.total(), _beside(board, near, view, before)

        near, total, beside = await self._read(call, board, period, look)
        if not near:
            raise _no_place(ranked, board, period)
        answer = AroundAnswer(
            leaderboard_code=board.code,
            period=period[0],
            period_key=period[1],
            entries=_entries(near, board, period, beside),
            total_participants=total,
            group_by=board.group_by,
        )
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
        reads="own",
    )
    async def get_rank(self, call: Call[PeriodQuery]) -> Response:
        """A participant's place on a leaderboard; on one of teams that of the participant's team."""
        participant_id = await self._who(call)
        board = await self._board(call)
        period = self._period(call, board, call.query.period)
        order = board_order(board)
        team = await self._team(call, board, participant_id)
        ranked = participant_id if team is None else team
        found, total = await self._read(
            call, board, period, lambda view, _: (view.rank(ranked, shared=order.shared), view.total())
        )
        if found is None:
            raise _no_place(ranked, board, period)
        answer = RankAnswer(
            participant_id=participant_id,
            team=team,
            rank=found.rank,
            score=order.turned(found.score.score),
            total_participants=total,
            percentile=(total - found.rank) * 1000 // total / 10,
        )
        return json_response(answer)

    async def _who(self, call: Call[Any]) -> str:
        """The participant in the path; of an alias, whom it stands for."""
        async with self._database.read() as connection:
            return await story_of(connection, call.scope, call.parameter("participant_id"))

    async def _read(
        self,
        call: Call,
        board: Leaderboard,
        period: PeriodOfWindow,
        look: Callable[[RankingView, RankingView], T],
    ) -> T:
        """What a function sees of a period and of the one before."""
        key = ranking_board(board)
        before = BoardPeriods.of(board).before(*period)
        names: list[Ranking] = [(key, *period), (key, period[0], before or _NONE)]
        return await self._rankings.read(call.scope, names, look)

    async def _board(self, call: Call) -> Leaderboard:
        code = call.parameter("code")
        async with self._database.read() as connection:
            game = (await self._games.of(connection, call.scope)).game
        board = next((each for each in game.leaderboards if each.code == code), None)
        if board is None:
            raise call.undefined("leaderboard", code)
        return board

    async def _team(self, call: Call, board: Leaderboard, participant_id: str) -> str | None:
        """The team that a participant is of now; None where none is ranked. Raises `Refusal` for who is of none."""
        teams = BoardTeams.of(board)
        if teams is None:
            return None
        async with self._database.read() as connection:
            known = await participants.find(connection, call.scope, participant_id)
            now = self._clocks.now(call.scope)
            team = None if known is None else await team_now(connection, known, teams, now)
        if team is None:
            detail = f"{participant_id} is of no team: {teams.attribute} is none of their attributes, or no text."
            raise Refusal(Code.NOT_FOUND, detail)
        return team

    def _period(self, call: Call, board: Leaderboard, asked: str | None) -> PeriodOfWindow:
        periods = BoardPeriods.of(board)
        name = next((each for each in periods.names if each == (asked or periods.names[0])), None)
        if name is not None:
            return name, periods.now(name, self._clocks.now(call.scope))
        found = periods.named(asked or "")
        if found is None:
            kept = ", ".join(periods.names)
            detail = f"{board.code} is kept for {kept}: ask for one of these, or for a period of them such as {PERIODS}"
            raise Refusal.of_fields([FieldError("period", "window_not_kept", detail)])
        return found


class _Beside(Struct, frozen=True):
    """What is told beside the places of a page, by participant or team."""

    before: Mapping[str, int]
    """The ranks in the period before."""
    members: Mapping[str, int]
    """How many members of a team have a score."""


def _beside(board: Leaderboard, page: Iterable[Ranked], view: RankingView, before: RankingView) -> _Beside:
    names = [each.score.participant_id for each in page]
    shared = board_order(board).shared
    found = (before.rank(each, shared=shared) for each in names)
    ranks = {each.score.participant_id: each.rank for each in found if each is not None}
    return _Beside(ranks, {each: view.members(each) for each in names} if board.group_by else {})


def _entries(page: Sequence[Ranked], board: Leaderboard, period: PeriodOfWindow, beside: _Beside) -> list[RankingEntry]:
    order = board_order(board)
    compared = BoardPeriods.of(board).before(*period) is not None
    return [
        RankingEntry(
            rank=each.rank,
            participant_id=each.score.participant_id,
            score=order.turned(each.score.score),
            members=beside.members.get(each.score.participant_id),
            change=_change(each.rank, beside.before.get(each.score.participant_id)) if compared else None,
        )
        for each in page
    ]


def _change(rank: int, before: int | None) -> Literal["up", "same", "down", "new"]:
    if before is None:
        return "new"
    return "same" if rank == before else "up" if rank < before else "down"


def _no_place(name: str, board: Leaderboard, period: PeriodOfWindow) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"{name} has no place on {board.code} in {period[1]}.")


def _cursor(period: PeriodOfWindow, last: Score) -> str:
    place = [*period, last.score, last.reached_at, last.participant_id]
    return base64.urlsafe_b64encode(dumps(place).encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[PeriodOfWindow, Score]:
    """The period of a page, and the place after which it begins."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True)
        window, period, score, reached_at, participant_id = _CURSOR.validate_json(text)
    except ValueError:
        raise _bad_cursor("is not one this server gave: send the next_cursor of the page before") from None
    for each in (period, participant_id):
        require_stored("cursor", each)
    return (window, period), Score(participant_id, score, reached_at)


def _bad_cursor(detail: str) -> Refusal:
    return Refusal.of_fields([FieldError("cursor", "invalid_cursor", detail)])
