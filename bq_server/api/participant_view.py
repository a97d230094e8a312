"""A participant's state as several routes read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bq_server.api.call import Call
from bq_server.api.schemas.participant_state import RankState
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.mechanics.periods import window_period
from bq_server.processing.compiled_games import Games
from bq_server.refusals import Code, Refusal
from bq_server.store import participants, state
from bq_server.store.database import Connection
from bq_server.store.participants import Participant


@dataclass(frozen=True, slots=True)
class ParticipantView:
    """A participant, the game in force, and the cells that the read models look at."""

    participant: Participant
    game: CompiledGame
    cells: Mapping[str, Any]


async def known_participant(connection: Connection, call: Call, participant_id: str | None = None) -> Participant:
    """The participant of that id, or that the path names. Raises `Refusal` for one that no event ever named."""
    participant_id = participant_id or call.parameter("participant_id")
    found = await participants.find(connection, call.scope, participant_id)
    if found is None:
        raise unknown_participant(call, participant_id)
    return found


async def view_of_participant(
    connection: Connection, call: Call, games: Games, participant_id: str | None = None
) -> ParticipantView:
    """The view of the participant of that id, or that the path names. Raises `Refusal` as `known_participant`."""
    found = await known_participant(connection, call, participant_id)
    game = await games.of(connection, call.scope)
    return ParticipantView(found, game, await state.cells(connection, call.scope, found.participant_id))


async def ranks_now(
    connection: Connection, call: Call, game: CompiledGame, participant_id: str, now: int
) -> list[RankState]:
    """A participant's places on the leaderboards of the game, each in the current period."""
    found = []
    for board in game.game.leaderboards:
        window = board.window[0]
        period = window_period(now, window)
        place = await state.rank(connection, call.scope, f"leaderboard/{board.code}", window, period, participant_id)
        if place is not None:
            score, rank = place
            found.append(RankState(leaderboard_code=board.code, period=window, score=score.score, rank=rank))
    return found


def unknown_participant(call: Call, participant_id: str) -> Refusal:
    """The refusal for an unknown participant."""
    detail = f"The {call.scope.environment} environment has no participant {participant_id}."
    return Refusal(Code.NOT_FOUND, detail)
