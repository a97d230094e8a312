"""Challenges in rounds: the step knows them."""

from collections.abc import Iterable

from bq_server.game.facts import Fact
from bq_server.game.mechanics.recurring_challenges import RecurringChallengeRule
from bq_server.game.on_time.track import Parts, Question, questions_of
from bq_server.game.on_time.turn import NotOnTime, ParticipantTurn


class RecurringChallengeTrack:
    """A recurring challenge: its rounds are kept apart, and few facts meet one."""

    __slots__ = ("_rule", "bounds", "key")
    keeps_apart = False

    def __init__(self, rule: RecurringChallengeRule) -> None:
        self.key = rule.key
        self.bounds = rule.bounds
        self._rule = rule

    def questions(self, fact_type: str) -> Iterable[Question]:
        """What the objectives ask."""
        return questions_of(self._rule.challenge.quest.measures, fact_type)

    def apart(self, fact: Fact, parts: Parts) -> Iterable[str]:  # noqa: ARG002
        """No cell: all of it is in the state."""
        return ()

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:  # noqa: ARG002
        """Leave it to the step."""
        raise NotOnTime
