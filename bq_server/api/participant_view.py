"""A participant's state as several routes read it."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from pydantic_core import from_json

from bq_server.api.call import Call
from bq_server.api.schemas.participant_state import RankState
from bq_server.game.attributes import current
from bq_server.game.challenge_states import rounds_now
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.document.leaderboards import Leaderboard
from bq_server.game.facts import Moment
from bq_server.game.mechanics.board_periods import BoardPeriods
from bq_server.game.mechanics.board_teams import BoardTeams
from bq_server.game.mechanics.leaderboards import board_order
from bq_server.game.state import keys
from bq_server.processing.compiled_games import Games
from bq_server.store import games as stored_games
from bq_server.store import participants, state
from bq_server.store.database import Connection
from bq_server.store.participants import Participant
from bq_server.store.rank_sections import HIGHEST as LATER
from bq_server.store.rankings import RankingView
from bq_server.store.references import TEAMS, Ranking


class ParticipantView(Struct, frozen=True):
    """A participant, the game in force, and the cells that the read models look at."""

    participant: Participant
    game: CompiledGame
    cells: Mapping[str, Any]


async def known_participant(connection: Connection, call: Call, participant_id: str | None = None) -> Participant:
    """The participant of that id, or that the path names. Raises `Refusal` for one that no event ever named."""
    participant_id = participant_id or call.parameter("participant_id")
    return _known(call, participant_id, await participants.find(connection, call.scope, participant_id))


def _known(call: Call, participant_id: str, found: Participant | None) -> Participant:
    if found is None:
        raise call.missing("participant", participant_id)
    return found


async def view_of_participant(
    connection: Connection, call: Call, games: Games, participant_id: str | None = None, *, now: int | None = None
) -> ParticipantView:
    """The view of the participant of that id, or that the path names. Raises `Refusal` as `known_participant`.

    Challenges can be read as they are `now`, where that is given.
    """
    participant_id, scope, references = (
        participant_id or call.parameter("participant_id"),
        call.scope,
        connection.references,
    )

    def look(reading: Any) -> tuple[Participant | None, int]:
        return participants.look_up(reading, references, scope, participant_id), stored_games.current_version(
            reading, scope
        )

    participant, version = await connection.run(look)
    found = _known(call, participant_id, participant)
    game = await games.at(connection, scope, version)
    rounds = [] if now is None else rounds_now(game, now)
    return ParticipantView(found, game, await state.cells_with(connection, call.scope, found.participant_id, rounds))


async def told_attributes(connection: Connection, participant: Participant, now: int) -> dict[str, Any] | None:
    """The attributes at a moment, in microseconds, as facts tell; None if none ever did."""
    return current(await state.cells_apart(connection, participant.reference, [keys.ATTRIBUTES]), now)


async def attributes_now(connection: Connection, participant: Participant, now: int) -> dict[str, Any]:
    """The attributes at a moment, in microseconds."""
    told = await told_attributes(connection, participant, now)
    # Set by an earlier release, before they were facts.
    return from_json(participant.attributes) if told is None else told


def ranking_board(board: Leaderboard) -> str:
    """The board under which a leaderboard's rankings are kept: that of its participants, or of teams."""
    return f"leaderboard/{board.code}" if board.group_by is None else TEAMS + board.code


async def team_now(connection: Connection, participant: Participant, teams: BoardTeams, now: int) -> str | None:
    """The team of a participant at a moment, in microseconds; None for none."""
    cells = await state.cells_apart(connection, participant.reference, [teams.cell])
    return teams.team_at(Moment(now, LATER), cells)


async def teams_now(connection: Connection, game: CompiledGame, participant: Participant, now: int) -> dict[str, str]:
    """The teams of a participant at a moment, in microseconds, by the codes of the leaderboards that rank them."""
    found: dict[str, str] = {}
    for board in game.game.leaderboards:
        teams = BoardTeams.of(board)
        if teams is not None and (team := await team_now(connection, participant, teams, now)) is not None:
            found[board.code] = team
    return found


class RanksNow:
    """A participant's places on the leaderboards of the game, each in its first window, in the period that is now.

    On a leaderboard of teams it is the place of the team of the participant now.
    """

    def __init__(self, game: CompiledGame, participant_id: str, now: int, teams: Mapping[str, str]) -> None:
        """`teams`: those of the participant, by the codes of the leaderboards."""
        self._participant_id = participant_id
        self._teams = teams
        self._boards = game.game.leaderboards
        periods = [BoardPeriods.of(board) for board in self._boards]
        self.names: list[Ranking] = [
            (ranking_board(board), own.names[0], own.now(own.names[0], now))
            for board, own in zip(self._boards, periods, strict=True)
        ]
        """The rankings to look at."""

    def look(self, *views: RankingView) -> list[RankState]:
        """What the views of the rankings say."""
        found = []
        for board, (_, window, _), view in zip(self._boards, self.names, views, strict=True):
            order = board_order(board)
            team = self._teams.get(board.code)
            ranked = self._participant_id if board.group_by is None else team
            place = None if ranked is None else view.rank(ranked, shared=order.shared)
            if place is not None:
                score = order.turned(place.score.score)
                own = RankState(leaderboard_code=board.code, period=window, team=team, score=score, rank=place.rank)
                found.append(own)
        return found
