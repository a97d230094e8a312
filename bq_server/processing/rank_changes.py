"""Whose rank among the first of a leaderboard a batch has changed."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bq_server.game.mechanics.leaderboards import BoardOrder
from bq_server.processing.event_types import RANK_CHANGED
from bq_server.store import batch
from bq_server.store.batch import Changes
from bq_server.store.outbox import Announcement
from bq_server.store.references import Ranking, References

BOARDS = "leaderboard/"
"""Prefix of the rankings that are leaderboards."""

First = Sequence[tuple[str, float]]
"""Participants and their scores, the best first."""


class RankChanges:
    """The first ranks of each leaderboard touched by changes, read before these are written and after."""

    def __init__(
        self,
        connection: Any,
        references: References,
        changes: Changes,
        most: int,
        order_of: Callable[[str], BoardOrder],
    ) -> None:
        """`most`: the lowest rank that anybody is notified of; `order_of`: how a board ranks."""
        self._connection = connection
        self._references = references
        self._changes = changes
        self._order_of = order_of
        self._most = most
        self._names = sorted(ranking for ranking in changes.places if ranking[0].startswith(BOARDS))
        self._before = self._look()
        self._after: dict[Ranking, First] = {}

    def look(self) -> None:
        """Read again, now that the changes are written."""
        self._after = self._look()

    def _look(self) -> dict[Ranking, First]:
        scope = self._changes.scope
        return {name: batch.first(self._connection, self._references, scope, name, self._most) for name in self._names}

    def within(self, top: int) -> Iterator[Announcement]:
        """What to announce about the top ranks, leaderboard by leaderboard, best ranks first."""
        received = {participant_id for participant_id, _, _ in self._changes.received}
        last = {who: (fact_id, at) for who, fact_id, at, _ in self._changes.caused if who in received}
        last |= {fact.event.participant_id: (fact.fact_id, fact.event.occurred_at) for fact in self._changes.facts}
        for name, before in self._before.items():
            (board, window, period), after = name, self._after[name]
            order = self._order_of(board)
            old, new = _ranks(before[:top], order), _ranks(after[:top], order)
            # Whoever dropped out of these ranks may have done so by their own score, or be hidden.
            changed = {
                who: None if who in self._changes.hidden else score
                for who, (score, *_) in self._changes.places[name].items()
            }
            scores = {**dict(before), **changed, **dict(after)}
            for participant_id in (*new, *(old.keys() - new.keys())):
                rank, previous = new.get(participant_id), old.get(participant_id)
                if rank == previous:
                    continue
                told = {
                    "leaderboard_code": board.removeprefix(BOARDS),
                    "window": window,
                    "period": period,
                    "rank": rank,
                    "previous_rank": previous,
                    "score": None if (score := scores[participant_id]) is None else order.turned(score),
                }
                fact_id, at = last.get(participant_id, (None, self._changes.now))
                yield participant_id, RANK_CHANGED, fact_id, at, told


def _ranks(first: First, order: BoardOrder) -> dict[str, int]:
    ranks: dict[str, int] = {}
    rank, above = 0, None
    for place, (participant_id, score) in enumerate(first, 1):
        rank = rank if order.shared and score == above else place
        ranks[participant_id], above = rank, score
    return ranks
