"""Streaks: another record within the newest period changes hardly anything."""

from collections.abc import Iterable
from datetime import UTC

from bq_server.game.effects import packed
from bq_server.game.expressions.conditions import ExpressionFailure, Variables
from bq_server.game.facts import Fact
from bq_server.game.mechanics.measures import Hit, PartReading
from bq_server.game.mechanics.periods import DAY, zone_at
from bq_server.game.mechanics.streaks import StreakRule
from bq_server.game.on_time.track import Parts, Question
from bq_server.game.on_time.turn import Award, NotOnTime, ParticipantTurn
from bq_server.game.state import keys
from bq_server.game.state.packed import APART

_FIRST_OF_1970 = 719_163
"""The ordinal of 1970-01-01, day 1 being 1 January of the year 1."""

_BEGIN, _END = -719_162 * DAY, 2_932_896 * DAY
"""The calendar, in microseconds, without its last day."""


class StreakTrack:
    """A streak."""

    __slots__ = ("_cell", "_days", "_rule", "_settles", "bounds", "key")
    keeps_apart = False

    def __init__(self, rule: StreakRule) -> None:
        self.key = rule.key
        self.bounds = rule.bounds
        self._rule = rule
        self._cell = keys.streak(rule.code)
        calendar = rule.calendar
        self._days = None if calendar.weekdays else {"daily": 1, "weekly": 7}.get(calendar.period or "")
        self._settles = not calendar.weekdays and (rule.required == 1 or calendar.is_steady)
        """Whether nothing more comes of a period that is recorded."""

    def questions(self, fact_type: str) -> Iterable[Question]:  # noqa: ARG002
        """Whether the fact is a record."""
        return [Question(0, (self._rule.condition.source, None, None), self._counts)]

    def _counts(self, fact: Fact, variables: Variables) -> int | ExpressionFailure | None:  # noqa: ARG002
        holds = self._rule.condition.holds(variables)
        return 1 if holds is True else holds or None

    def apart(self, fact: Fact, parts: Parts) -> Iterable[str]:  # noqa: ARG002
        """No cell: all of it is in the state."""
        return ()

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:  # noqa: ARG002
        """Record the period."""
        rule = self._rule
        cell = turn.cells.get(self._cell)
        if cell is not None:
            if cell["rev"] != rule.revision:
                raise NotOnTime
            newest, streaks = cell["k"], cell["s"]
            period, reach = self._place(turn, fact) if self._settles else (None, 0)
            if newest and streaks and streaks[-1][1] == period and streaks[-1][2] <= reach:
                moment = [fact.occurred_at, fact.seq]
                if moment > newest:
                    cell["k"] = moment
                if "r" in cell and fact.occurred_at > cell["r"]:
                    cell["r"] = fact.occurred_at
                return
        hit = (Hit(fact, (PartReading(0, "matched"),)),)
        if rule.late(hit, turn.cells) is not None:
            raise NotOnTime
        outcome = rule.step(hit, turn.cells, None)
        for key, changed in outcome.cells.items():
            (turn.apart_changed if key.startswith(APART) else turn.cells)[key] = changed
        turn.caused += [packed(effect, fact.occurred_at) for effect in outcome.effects]
        turn.awards += [Award(grant.at, grant.cause, grant.rewards, grant.amount) for grant in outcome.grants]

    def _place(self, turn: ParticipantTurn, fact: Fact) -> tuple[int, int]:
        """The period of the fact, and the oldest last period of a streak that it continues."""
        rule, at = self._rule, fact.occurred_at
        zone = rule.zone or (zone_at(turn.cells[keys.ZONE], fact.moment) if keys.ZONE in turn.cells else UTC)
        grace, start = rule.calendar.grace, rule.calendar.day_start
        if zone is UTC and self._days is not None and _BEGIN + start + grace <= at < _END:
            # UTC has neither gaps nor days of other lengths.
            at -= start
            period = self._number(at)
            return period, (self._number(at - grace) if grace else period) - 1
        return rule.calendar.place(at, zone)

    def _number(self, at: int) -> int:
        day = at // DAY + _FIRST_OF_1970
        return day if self._days == 1 else (day - 1) // 7
