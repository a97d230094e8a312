"""Badges that are earned again: their value grows, and reaches one target after another."""

from collections.abc import Iterable

from bq_server.game.facts import Fact
from bq_server.game.mechanics.counted_badges import CountedBadgeRule
from bq_server.game.on_time.track import Parts, Question, questions_of
from bq_server.game.on_time.turn import Award, NotOnTime, ParticipantTurn


class CountedBadgeTrack:
    """A badge with levels, or a repeatable one."""

    __slots__ = ("_rule", "bounds", "keeps_apart", "key")

    def __init__(self, rule: CountedBadgeRule) -> None:
        self.key = rule.key
        self.bounds = rule.bounds
        self.keeps_apart = rule.measure.keeps_set
        self._rule = rule

    def questions(self, fact_type: str) -> Iterable[Question]:
        """What the criteria ask."""
        return questions_of([self._rule.measure], fact_type)

    def apart(self, fact: Fact, parts: Parts) -> Iterable[str]:  # noqa: ARG002
        """Where a set is counted, the member that the fact names."""
        return [self._rule.member(parts[0][1])] if self.keeps_apart else ()

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:
        """Add what the fact brings."""
        rule, amount = self._rule, parts[0][1]
        if not rule.counts(amount):
            return
        cell = turn.cells.get(rule.cell)
        if cell is None:
            cell = {"rev": rule.revision, "v": 0, "n": 0}
        elif cell["rev"] != rule.revision:
            raise NotOnTime
        new = False
        if self.keeps_apart:
            key = rule.member(amount)
            new = key not in turn.apart
            if new:
                turn.apart[key] = turn.apart_changed[key] = 1
        value = cell["v"] = rule.added(cell["v"], amount, new=new)
        if not value and not cell["n"]:
            return
        turn.cells[rule.cell] = cell
        for time in range(cell["n"] + 1, rule.times(value) + 1):
            turn.awards.append(Award(fact.occurred_at, rule.cause(time), rule.rewards))
            cell["n"] = time
