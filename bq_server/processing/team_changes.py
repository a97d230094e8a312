"""What participants' cells say of the scores of teams, as the store ranks them."""

from collections.abc import Iterator, Mapping
from typing import Any

from bq_server.game.compiled_game import CompiledGame
from bq_server.game.mechanics.leaderboards import NEVER_REACHED, LeaderboardRule
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells
from bq_server.store.batch import Changes
from bq_server.store.references import TEAMS, Ranking
from bq_server.store.team_scores import Combination, TeamScore, TeamScores

NO_SCORE = TeamScore(None, None, None)


def note_team_scores(
    changes: Changes, game: CompiledGame, participant_id: str, changed: Mapping[str, Cell | None], known: Cells
) -> None:
    """Note the scores for teams among changed cells; `known` are those before."""
    for key, cell in changed.items():
        told = cell or known.get(key)
        if key.startswith(keys.TEAMS) and told is not None:
            ranking = ranking_of(key)
            own = changes.teams.setdefault(ranking, TeamScores(combination_of(game, ranking)))
            own.scores[told["team"], participant_id] = NO_SCORE if cell is None else _score(game, ranking, cell)


def team_scores(game: CompiledGame, cells: Cells) -> Iterator[tuple[Ranking, str, TeamScore]]:
    """The scores for teams that cells tell of, on the leaderboards of the game."""
    for key, cell in cells.items():
        if key.startswith(keys.TEAMS) and game.teams_of(_board(ranking := ranking_of(key))) is not None:
            yield ranking, cell["team"], _score(game, ranking, cell)


def ranking_of(key: str) -> Ranking:
    """The ranking of teams that the cell of a member's score belongs to."""
    _, code, window, period, _ = key.split("/")
    return TEAMS + code, window, period


def _board(ranking: Ranking) -> str:
    return f"leaderboard/{ranking[0].removeprefix(TEAMS)}"


def combination_of(game: CompiledGame, ranking: Ranking) -> Combination | None:
    """How the scores of members become those of teams in a ranking; None if the game has no such."""
    board = _board(ranking)
    teams = game.teams_of(board)
    if teams is None:
        return None
    rule = game.rules[board]
    unit = rule.measure.scaled(1) if isinstance(rule, LeaderboardRule) else 1
    return Combination(teams.combine, unit, game.order_of(board).ascending)


def _score(game: CompiledGame, ranking: Ranking, cell: Any) -> TeamScore:
    board = _board(ranking)
    rule = game.rules.get(board)
    shown = rule.shown(cell["score"]) if isinstance(rule, LeaderboardRule) else cell["score"]
    reached_at = NEVER_REACHED if cell["at"] is None else cell["at"]
    return TeamScore(game.order_of(board).turned(shown), reached_at, cell["score"])
