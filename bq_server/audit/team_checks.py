"""Rankings of teams, compared with what the cells of participants say."""

from collections.abc import Iterable, Iterator
from typing import Any

from bq_server.game.compiled_game import CompiledGame
from bq_server.game.mechanics.shared_challenges import SharedChallengeRule
from bq_server.game.rebuild import readable
from bq_server.game.state.keys import Cells
from bq_server.game.verification import Difference, owner
from bq_server.processing.team_changes import NO_SCORE, combination_of, definition_of, team_scores
from bq_server.store.group_dues import SHARED, GroupShare
from bq_server.store.references import Ranking
from bq_server.store.team_scores import MemberScore, TeamMiscount, TeamScore, TeamScores

Row = tuple[Ranking, str]
"""A ranking of teams, and a team."""


def team_differences(
    game: CompiledGame, stored: Iterable[MemberScore], cells: Cells, *, hidden: bool
) -> Iterator[Difference]:
    """Where what is ranked of a participant isn't what the cells say. What is pending isn't in the game."""
    for (ranking, team), old, new in _compared(game, stored, cells):
        is_hidden = hidden and not _is_shared(game, ranking)
        known = None if old is None else _told(old.score, hidden=old.hidden)
        right = None if new is None else _told(new, hidden=is_hidden)
        if known != right:
            yield Difference("/".join(("members", *ranking, team)), known, right)


def team_corrections(
    game: CompiledGame, participant_id: str, stored: Iterable[MemberScore], cells: Cells, *, hidden: bool
) -> dict[Ranking, TeamScores]:
    """What is to be written where that differs."""
    found: dict[Ranking, TeamScores] = {}
    for (ranking, team), old, new in _compared(game, stored, cells):
        if old is None or (old.score, old.hidden) != (new, hidden and not _is_shared(game, ranking)):
            own = found.setdefault(ranking, TeamScores(combination_of(game, ranking)))
            own.scores[team, participant_id] = new or NO_SCORE
    return found


def untold(game: CompiledGame, shares: Iterable[GroupShare], cells: Cells) -> Iterator[GroupShare]:
    """The groups that have come to a step of which the participant who took part was never told, and isn't about to be.

    While what members add is still being counted, nobody is told.
    """
    for each in shares:
        rule = game.rules.get(f"challenge/{each.challenge_code}")
        if isinstance(rule, SharedChallengeRule) and not each.is_due and rule.key not in game.pending:
            at = rule.reached(each.total)
            if at is not None and rule.lacks(at, cells.get(rule.cell)):
                yield each


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
        if definition_of(each.board) in game.rules
    }
    for row in sorted(known.keys() | due.keys()):
        yield row, known.get(row), due.get(row)


def _is_shared(game: CompiledGame, ranking: Ranking) -> bool:
    """Whether hidden members count there, too."""
    combination = combination_of(game, ranking)
    return combination is not None and combination.combine == SHARED


def _told(score: TeamScore, *, hidden: bool) -> list[Any]:
    return [*score, *(("hidden",) if hidden else ())]
