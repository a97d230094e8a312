"""Points rules with a limit: a tally tells whether a fact is paid."""

from collections.abc import Iterable

from bq_server import causes
from bq_server.game.expressions.conditions import ExpressionFailure, Variables
from bq_server.game.facts import Fact
from bq_server.game.mechanics.limited_points import LimitedPointsRule
from bq_server.game.mechanics.rule import NO_REWARDS
from bq_server.game.on_time.track import Parts, Question
from bq_server.game.on_time.turn import Award, NotOnTime, ParticipantTurn
from bq_server.game.state import keys


class LimitedPointsTrack:
    """A points rule that pays some of the facts it matches."""

    __slots__ = ("_cause", "_rule", "bounds", "keeps_apart", "key")

    def __init__(self, rule: LimitedPointsRule) -> None:
        self.key = rule.key
        self.bounds = rule.bounds
        self.keeps_apart = rule.quota.by is not None
        self._rule = rule
        self._cause = rule.cause(causes.OF_THE_FACT)

    def questions(self, fact_type: str) -> Iterable[Question]:  # noqa: ARG002
        """How many points the fact is worth, and what it is about."""
        return [Question(0, self.key, self._worth)]

    def _worth(self, fact: Fact, variables: Variables) -> str | ExpressionFailure | None:  # noqa: ARG002
        return self._rule.worth(variables)

    def apart(self, fact: Fact, parts: Parts) -> Iterable[str]:  # noqa: ARG002
        """The cell of the object."""
        return [self._rule.cell_of(str(parts[0][1]).rpartition("/")[0])]

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:
        """Pay the fact if there is room."""
        rule, quota = self._rule, self._rule.quota
        about, _, points = str(parts[0][1]).rpartition("/")
        key = rule.cell_of(about)
        cells = turn.apart if self.keeps_apart else turn.cells
        cell = cells.get(key)
        moment = fact.moment
        period = quota.period(moment, turn.cells.get(keys.ZONE, ()))
        if cell is not None and (cell["rev"] != rule.revision or rule.needs_past(cell, moment, period)):
            raise NotOnTime
        counts = quota.refusal(cell["n"] if cell is not None else None, moment.at, period) is None
        cells[key] = changed = rule.taken(cell, moment, period, counts=counts)
        if self.keeps_apart:
            turn.apart_changed[key] = changed
        if counts:
            turn.awards.append(Award(fact.occurred_at, self._cause, NO_REWARDS, int(points)))
