"""The places in rankings that cells account for, and those that none does."""

from collections.abc import Mapping
from typing import Any

from bq_server.audit.stored_participants import is_older, readable_state
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.mechanics.contests import LIVE
from bq_server.game.mechanics.leaderboards import BoardScore
from bq_server.game.mechanics.recurring_challenges import RecurringChallengeRule
from bq_server.game.rebuild import readable
from bq_server.game.state.keys import contest_place
from bq_server.game.state.packed import cells_of
from bq_server.game.step import board_score
from bq_server.game.verification import owner
from bq_server.store.batch import Place
from bq_server.store.references import Ranking
from bq_server.store.state import StoredPlace

BEGINNING = (-(2**63), 0)
"""Before the first place of all rankings."""


def rankings(game: CompiledGame, participant_id: str, cells: Mapping[str, Any]) -> dict[Ranking, BoardScore]:
    """The places that cells account for, or no longer do, on the boards of the game."""
    found = (
        board_score(game, participant_id, key, cell)
        for key, cell in cells.items()
        if owner(key) in game.rules and readable(game, key, cell)
    )
    return {(each.board, each.window, each.period): each for each in found if each is not None}


def is_stray(game: CompiledGame, stored: StoredPlace) -> bool:
    """Whether no cell accounts for a place on a board of the game."""
    place = stored.place
    if place.board not in game.rules or isinstance(game.rules[place.board], RecurringChallengeRule):
        # Nobody's, or of a round, whose cell is kept apart: the facts decide.
        return False
    own = readable_state(stored.state)
    if own is None or (place.board.startswith("leaderboard/") and is_older(own, place)):
        # That is another difference, or one that the facts decide.
        return False
    key = _cell(place)
    cells = cells_of(own)
    if key not in cells:
        return True
    given = rankings(game, place.participant_id, {key: cells[key]})
    if not given:
        # The cell itself can't be read, which is another difference.
        return False
    found = given.get((place.board, place.window, place.period))
    return found is None or found.score is None


def _cell(place: Place) -> str:
    """The key of the cell that accounts for a place."""
    kind, _, code = place.board.partition("/")
    if kind == "contest":
        return place.board if place.window == LIVE else contest_place(code)
    return f"score/{code}/{place.window}/{place.period}" if kind == "leaderboard" else place.board
