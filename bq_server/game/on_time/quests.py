"""Quests: a badge's criteria and challenges, whose parts simply add up, or which count facts in order."""

from collections.abc import Iterable
from math import lcm
from typing import Any, assert_never

from bq_server import causes
from bq_server.game.document.criteria import Aggregate
from bq_server.game.effects import CHALLENGE, ENROLMENT, MILESTONE, OBJECTIVE, timed
from bq_server.game.facts import Fact
from bq_server.game.mechanics.amounts import from_millionths
from bq_server.game.mechanics.badges import BadgeRule
from bq_server.game.mechanics.challenges import ChallengeRule
from bq_server.game.mechanics.measures import Amount
from bq_server.game.mechanics.quest_rule import QuestRule
from bq_server.game.mechanics.quests import COMPLETE
from bq_server.game.on_time.track import Parts, Question, questions_of
from bq_server.game.on_time.turn import Award, NotOnTime, ParticipantTurn
from bq_server.game.state import keys

Cell = dict[str, Any]
"""The cell of a quest, see `QuestState.dump`."""


class QuestTrack:
    """What both kinds of quests share."""

    __slots__ = (
        "_aggregates",
        "_cell",
        "_common",
        "_counts_parts",
        "_goal",
        "_milestones",
        "_reached",
        "_revision",
        "_rule",
        "_targets",
        "_weights",
        "bounds",
        "keeps_apart",
        "key",
    )

    def __init__(self, rule: QuestRule) -> None:
        quest = rule.quest
        self.key = rule.key
        self.bounds = rule.bounds
        self.keeps_apart = not rule.ordered and any(measure.keeps_set for measure in quest.measures)
        self._rule = rule
        self._cell = rule.cell
        self._revision = rule.revision
        self._targets = quest.targets
        self._aggregates = [measure.aggregate for measure in quest.measures]
        # The progress of a quest is a fraction, exact as whole numbers over a common denominator.
        self._common = lcm(*quest.targets)
        self._weights = [self._common // target for target in quest.targets]
        self._goal = self._common * quest.size
        self._milestones = [(name, at.numerator, at.denominator) for name, at in quest.milestones]
        match rule:
            case BadgeRule():
                self._reached: _Badge | _Challenge = _Badge(rule)
            case ChallengeRule():
                self._reached = _Challenge(rule)
            case _:
                raise TypeError(f"there is no track for {type(rule).__name__}")
        self._counts_parts = self._reached.tells or bool(self._milestones)

    def questions(self, fact_type: str) -> Iterable[Question]:
        """What the parts ask."""
        return questions_of(self._rule.quest.measures, fact_type)

    def apart(self, fact: Fact, parts: Parts) -> Iterable[str]:  # noqa: ARG002
        """The members of sets that the fact names."""
        return [
            keys.member(self.key, str(part), amount)
            for part, amount in parts
            if self._aggregates[part] in ("distinct", "days")
        ]

    def _numerator(self, values: list[int | None], done: list[Any]) -> int:
        total, common = 0, self._common
        for value, met, target, weight in zip(values, done, self._targets, self._weights, strict=True):
            if met:
                total += common
            elif value and value > 0:
                total += min(value, target) * weight
        return total

    def _counted(
        self, turn: ParticipantTurn, fact: Fact, cell: Cell, counted: list[tuple[int, int | None]], newly_done: bool
    ) -> None:
        """Report and award what the parts that counted the fact have reached, given their values before."""
        progress = cell["p"]
        new = []
        if newly_done and COMPLETE not in progress.get("m", ()) and all(progress["d"]):
            new.append(COMPLETE)
        numerator = 0
        if self._counts_parts:
            numerator = self._numerator(progress["v"], progress["d"])
            marks: dict[str, Any] = progress.get("m", NO_MARKS)
            for name, above, below in self._milestones:
                if name not in marks:
                    if numerator * below < above * self._goal:
                        break
                    new.append(name)
        for name in new:
            progress.setdefault("m", {})[name] = [fact.occurred_at, fact.seq]
        if self._reached.tells:
            self._reached.tell(turn, progress, counted, numerator / self._goal)
        if new:
            self._reached.award(turn, fact, cell)


NO_MARKS: dict[str, Any] = {}


class FreeTrack(QuestTrack):
    """A quest whose parts simply add up, in any order."""

    __slots__ = ()

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:
        """Count the fact into the parts that are not met yet."""
        cell: Cell | None = turn.cells.get(self._cell)
        if cell is None:
            none = [None] * len(self._targets)
            cell = {"rev": self._revision, "p": {"v": none, "d": [*none]}, "k": None}
        elif "e" in cell or cell.get("rev") != self._revision or "revoked" in cell:
            raise NotOnTime
        progress = cell["p"]
        values, done = progress["v"], progress["d"]
        at = fact.occurred_at
        counted: list[tuple[int, int | None]] = []
        newly_done = False
        for part, amount in parts:
            aggregate = self._aggregates[part]
            if aggregate == "sum" and amount < 0:  # type: ignore[operator]
                raise NotOnTime
            if done[part] is not None:
                continue
            before = values[part]
            if aggregate == "distinct" or aggregate == "days":
                value = (before or 0) + self._is_new(turn, part, amount)
            else:
                value = value_with(aggregate, before, amount)
            values[part] = value
            if value >= self._targets[part]:
                done[part] = [at, fact.seq]
                newly_done = True
            counted.append((part, before))
        if not counted:
            return
        turn.cells[self._cell] = cell
        newest = progress.get("at")
        if newest is None or at > newest:
            progress["at"] = at
        moment = [at, fact.seq]
        if cell["k"] is None or moment > cell["k"]:
            cell["k"] = moment
        if newly_done or self._counts_parts:
            self._counted(turn, fact, cell, counted, newly_done)

    def _is_new(self, turn: ParticipantTurn, part: int, member: Amount) -> bool:
        key = keys.member(self.key, str(part), member)
        if key in turn.apart:
            return False
        turn.apart[key] = turn.apart_changed[key] = 1
        return True


def value_with(aggregate: Aggregate, before: int | None, amount: Amount) -> int:
    """The value of a part with one more amount, except for parts that count a set."""
    match aggregate:
        case "count":
            return (before or 0) + 1
        case "sum":
            return (before or 0) + int(amount)
        case "max":
            return int(amount) if before is None else max(before, int(amount))
        case "distinct" | "days" | "min":
            raise TypeError(f"{aggregate} counts a set, or reaches no target")
        case never:
            assert_never(never)


class _Badge:
    """What a badge's criteria lead to."""

    tells = False

    def __init__(self, rule: BadgeRule) -> None:
        self._cause = causes.of_criteria(rule.key)
        self._rewards = rule.rewards

    def enter(self, turn: ParticipantTurn, fact: Fact) -> None:
        """Nothing: nobody enrols in a badge's criteria."""

    def stand(self, turn: ParticipantTurn, fraction: float, at: int) -> None:
        """Nothing: a badge has no ranking."""

    def tell(
        self, turn: ParticipantTurn, progress: Cell, counted: list[tuple[int, int | None]], fraction: float
    ) -> None:
        """Nothing: progress towards a badge is not reported."""

    def award(self, turn: ParticipantTurn, fact: Fact, cell: Cell) -> None:  # noqa: ARG002
        """Award the badge."""
        turn.awards.append(Award(fact.occurred_at, self._cause, self._rewards))


def _shown(value: int | None, in_millionths: bool) -> int | float:
    """As `Measure.shown`."""
    return 0 if not value else from_millionths(value) if in_millionths else value


class _Challenge:
    """What a challenge leads to."""

    tells = True

    def __init__(self, rule: ChallengeRule) -> None:
        self._rule = rule
        self._code = rule.code
        self._ranking = (rule.key, "all_time", "all_time")
        self._parts = [
            (objective, measure.in_millionths, measure.shown(target))
            for objective, measure, target in zip(rule.objectives, rule.quest.measures, rule.quest.targets, strict=True)
        ]
        self._steps = rule.steps()

    def enter(self, turn: ParticipantTurn, fact: Fact) -> None:
        """Report when the participant's own course started, and when it ends."""
        if self._rule.rolling is not None:
            turn.caused.append([ENROLMENT, self._rule.code, fact.occurred_at + self._rule.rolling])

    def stand(self, turn: ParticipantTurn, fraction: float, at: int) -> None:
        """Note the place in the challenge's ranking."""
        turn.places[self._ranking] = (fraction, at, None)

    def tell(
        self, turn: ParticipantTurn, progress: Cell, counted: list[tuple[int, int | None]], fraction: float
    ) -> None:
        """Report the challenge's progress."""
        values, met, caused = progress["v"], progress["d"], turn.caused
        changed = False
        for part, before in counted:
            objective, in_millionths, target = self._parts[part]
            done = met[part] is not None
            value = target if done else _shown(values[part], in_millionths)
            if value != _shown(before, in_millionths):
                changed = True
                caused.append([OBJECTIVE, self._code, objective, value, target, done])
        if changed:
            caused.append([CHALLENGE, self._code, fraction, COMPLETE in progress.get("m", ())])
        turn.places[self._ranking] = (fraction, progress["at"], None)

    def award(self, turn: ParticipantTurn, fact: Fact, cell: Cell) -> None:
        """Award what has been reached and not yet awarded."""
        if "owed" in cell:
            raise NotOnTime
        given: dict[str, Any] = cell.setdefault("given", {})
        marks = cell["p"]["m"]
        for name, cause, rewards in self._steps:
            reached = marks.get(name)
            if reached is None or name in given:
                continue
            given[name] = [reached[0], fact.fact_id]
            turn.awards.append(Award(reached[0], causes.pack_cause(cause, fact.fact_id), rewards))
            if name != COMPLETE:
                told = ("challenge", self._rule.code, float(name))
                turn.caused.append(timed(MILESTONE, reached[0], fact.occurred_at, *told))
