"""Contests: the score is in the participant's own state, once they have entered."""

from collections.abc import Iterable

from bq_server.game.facts import Fact
from bq_server.game.mechanics.contests import LIVE, ContestRule
from bq_server.game.mechanics.leaderboards import NEVER_REACHED
from bq_server.game.on_time.track import Parts, Question, questions_of
from bq_server.game.on_time.turn import NotOnTime, ParticipantTurn
from bq_server.game.state import keys


class ContestTrack:
    """A contest."""

    __slots__ = ("_cell", "_rule", "bounds", "key")
    keeps_apart = False

    def __init__(self, rule: ContestRule) -> None:
        self.key = rule.key
        self.bounds = rule.bounds
        self._rule = rule
        self._cell = keys.contest(rule.code)

    def questions(self, fact_type: str) -> Iterable[Question]:
        """What scoring asks."""
        return questions_of([self._rule.measure], fact_type)

    def apart(self, fact: Fact, parts: Parts) -> Iterable[str]:  # noqa: ARG002
        """No cell: all of it is in the state."""
        return ()

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:
        """Add the fact to the score, if there is one."""
        cell = turn.cells.get(self._cell)
        if cell is None:
            return
        rule = self._rule
        if cell["rev"] != rule.revision:
            raise NotOnTime
        amount = int(parts[0][1])
        if not amount:
            return
        cell = turn.cells[self._cell] = rule.added(cell, amount, fact.occurred_at)
        reached = NEVER_REACHED if cell["at"] is None else cell["at"]
        turn.places[rule.key, LIVE, LIVE] = (rule.measure.shown(cell["score"]), reached, None)
