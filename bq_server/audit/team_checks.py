"""Rankings of teams, compared with what the cells of participants say."""

from collections.abc import Iterable, Iterator
from typing import Any

from bq_server.game.compiled_game import CompiledGame
from bq_server.game.rebuild import readable
from bq_server.game.state.keys import Cells
from bq_server.game.verification import Difference, owner
from bq_server.processing.team_changes import NO_SCORE, combination_of, team_scores
from bq_server.store.references import TEAMS, Ranking
from bq_server.store.team_scores import MemberScore, TeamMiscount, TeamScore, TeamScores

Row = tuple[Ranking, str]
"""A ranking of teams, and a team."""


def team_differences(
    game: CompiledGame, stored: Iterable[MemberScore], cells: Cells, *, hidden: bool
) -> Iterator[Difference]:
    """Where what is ranked of a participant isn't what the cells say. What is pending isn't in the game."""
    for (ranking, team), old, new in _compared(game, stored, cells):
        known = None if old is None else _told(old.score, hidden=old.hidden)
        right = None if new is None else _told(new, hidden=hidden)
        if known != right:
            yield Difference("/".join(("members", *ranking, team)), known, right)


def team_corrections(
    game: CompiledGame, participant_id: str, stored: Iterable[MemberScore], cells: Cells, *, hidden: bool
) -> dict[Ranking, TeamScores]:
    """What is to be written where that differs."""
    found: dict[Ranking, TeamScores] = {}
    for (ranking, team), old, new in _compared(game, stored, cells):
        if old is None or (old.score, old.hidden) != (new, hidden):
            own = found.setdefault(ranking, TeamScores(combination_of(game, ranking)))
            own.scores[team, participant_id] = new or NO_SCORE
    return found


def miscount(found: TeamMiscount) -> Difference:
    """A team whose place isn't what its members have scored."""
    return Difference(f"{found.ranking}/{found.team}", found.stored, found.expected)


def _compared(
    game: CompiledGame, stored: Iterable[MemberScore], cells: Cells
) -> Iterator[tuple[Row, MemberScore | None, TeamScore | None]]:
    own = {key: cell for key, cell in cells.items() if owner(key) in game.rules and readable(game, key, cell)}
    due = {(ranking, team): score for ranking, team, score in team_scores(game, own)}
    known = {
        ((each.board, each.window, each.period), each.team): each
        for each in stored
        if f"leaderboard/{each.board.removeprefix(TEAMS)}" in game.rules
    }
    for row in sorted(known.keys() | due.keys()):
        yield row, known.get(row), due.get(row)


def _told(score: TeamScore, *, hidden: bool) -> list[Any]:
    return [*score, *(("hidden",) if hidden else ())]
