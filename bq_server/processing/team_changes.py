"""What participants' cells say of the scores of teams, as the store ranks them."""

from collections.abc import Iterator, Mapping
from typing import Any

from bq_server.game.compiled_game import CompiledGame
from bq_server.game.mechanics.leaderboards import NEVER_REACHED, LeaderboardRule
from bq_server.game.mechanics.shared_challenges import SharedChallengeRule
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells
from bq_server.store import group_dues
from bq_server.store.batch import Changes
from bq_server.store.references import TEAMS, Ranking
from bq_server.store.team_scores import Combination, TeamScore, TeamScores

NO_SCORE = TeamScore(None, None, None)

OF_TEAMS = (keys.TEAMS, keys.GROUPS)
"""The prefixes of the cells that have scores for teams, be it on leaderboards or in challenges that groups share."""


def note_team_scores(
    changes: Changes, game: CompiledGame, participant_id: str, changed: Mapping[str, Cell | None], known: Cells
) -> None:
    """Note the scores for teams among changed cells; `known` are those before."""
    for key, cell in changed.items():
        told = cell or known.get(key)
        if key.startswith(OF_TEAMS) and told is not None:
            ranking = ranking_of(key)
            own = changes.teams.setdefault(ranking, TeamScores(combination_of(game, ranking)))
            own.scores[told["team"], participant_id] = NO_SCORE if cell is None else _score(game, ranking, cell)


def team_scores(game: CompiledGame, cells: Cells) -> Iterator[tuple[Ranking, str, TeamScore]]:
    """The scores for teams that cells tell of, on the leaderboards of the game."""
    for key, cell in cells.items():
        if key.startswith(OF_TEAMS) and combination_of(game, ranking := ranking_of(key)) is not None:
            yield ranking, cell["team"], _score(game, ranking, cell)


def ranking_of(key: str) -> Ranking:
    """The ranking of teams that the cell of a member's score belongs to."""
    if key.startswith(keys.GROUPS):
        return group_dues.BOARD + key.split("/")[1], "all_time", "all_time"
    _, code, window, period, _ = key.split("/")
    return TEAMS + code, window, period


def is_shared(ranking: Ranking) -> bool:
    """Whether a ranking is of a challenge that groups share."""
    return ranking[0].startswith(group_dues.BOARD)


def definition_of(board: str) -> str:
    """The key of the definition by which a board ranks teams."""
    code = board.removeprefix(TEAMS)
    return code if "/" in code else f"leaderboard/{code}"


def combination_of(game: CompiledGame, ranking: Ranking) -> Combination | None:
    """How the scores of members become those of teams in a ranking; None if the game has no such."""
    board = definition_of(ranking[0])
    shared = game.rules.get(board)
    if isinstance(shared, SharedChallengeRule):
        return Combination(group_dues.SHARED, shared.share.scaled(1), ascending=False)
    teams = game.teams_of(board)
    if teams is None:
        return None
    rule = game.rules[board]
    unit = rule.measure.scaled(1) if isinstance(rule, LeaderboardRule) else 1
    return Combination(teams.combine, unit, game.order_of(board).ascending)


def _score(game: CompiledGame, ranking: Ranking, cell: Any) -> TeamScore:
    board = definition_of(ranking[0])
    rule = game.rules.get(board)
    if isinstance(rule, SharedChallengeRule):
        return TeamScore(rule.share.shown(cell["score"]), cell["at"], cell["score"])
    shown = rule.shown(cell["score"]) if isinstance(rule, LeaderboardRule) else cell["score"]
    reached_at = NEVER_REACHED if cell["at"] is None else cell["at"]
    return TeamScore(game.order_of(board).turned(shown), reached_at, cell["score"])
