"""Quests: a badge's criteria and challenges, whose parts simply add, or which count facts in their order."""

from collections.abc import Iterable
from math import lcm
from typing import Any, assert_never

from bq_server import causes
from bq_server.game.document.definitions import Aggregate
from bq_server.game.effects import CHALLENGE, ENROLMENT, MILESTONE, OBJECTIVE, timed
from bq_server.game.facts import Fact
from bq_server.game.mechanics import ordered_quest
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
"""The cell of a quest, see `Standing.dump`."""


class QuestTrack:
    """What both kinds of quest share."""

    __slots__ = (
        "_aggregates",
        "_goal",
        "_milestones",
        "_reached",
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
        self._targets = quest.targets
        self._aggregates = [measure.aggregate for measure in quest.measures]
        # The progress of a quest is a fraction: whole numbers over a common denominator say it exactly.
        common = lcm(*quest.targets)
        self._weights = [common // target for target in quest.targets]
        self._goal = common * quest.size
        self._milestones = [(name, at.numerator, at.denominator) for name, at in quest.milestones]
        match rule:
            case BadgeRule():
                self._reached: _Badge | _Challenge = _Badge(rule)
            case ChallengeRule():
                self._reached = _Challenge(rule)
            case _:
                raise TypeError(f"there is no track for {type(rule).__name__}")

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

    def _current(self, turn: ParticipantTurn) -> Cell | None:
        cell: Cell | None = turn.cells.get(self._rule.cell)
        if cell is not None and cell.get("rev") != self._rule.revision:
            raise NotOnTime
        return cell

    def _numerator(self, progress: Cell) -> int:
        total = 0
        for value, done, target, weight in zip(progress["v"], progress["d"], self._targets, self._weights, strict=True):
            total += target * weight if done else min(max(value or 0, 0), target) * weight
        return total

    def _counted(
        self, turn: ParticipantTurn, fact: Fact, cell: Cell, counted: list[tuple[int, int | None]], newly_done: bool
    ) -> None:
        """Tell and award what the parts that counted the fact, each with its value before, have led to."""
        progress = cell["p"]
        numerator = self._numerator(progress) if self._milestones or self._reached.tells else 0
        marks: dict[str, Any] = progress.get("m", {})
        new = []
        if newly_done and COMPLETE not in marks and all(progress["d"]):
            new.append(COMPLETE)
        for name, above, below in self._milestones:
            if name not in marks:
                if numerator * below < above * self._goal:
                    break
                new.append(name)
        for name in new:
            progress.setdefault("m", {})[name] = [fact.occurred_at, fact.seq]
        self._reached.tell(turn, progress, counted, numerator / self._goal)
        if new:
            self._reached.award(turn, fact, cell)


class FreeTrack(QuestTrack):
    """A quest whose parts simply add, whatever the order."""

    __slots__ = ()

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:
        """Count the fact into the parts that are not met yet."""
        rule = self._rule
        cell = self._current(turn)
        if cell is None:
            none = [None] * len(self._targets)
            cell = {"rev": rule.revision, "p": {"v": none, "d": [*none]}, "k": None}
        elif "e" in cell:
            raise NotOnTime
        progress = cell["p"]
        values, done = progress["v"], progress["d"]
        counted: list[tuple[int, int | None]] = []
        newly_done = False
        for part, amount in parts:
            aggregate = self._aggregates[part]
            if aggregate == "sum" and int(amount) < 0:
                raise NotOnTime
            if done[part] is not None:
                continue
            before = values[part]
            if aggregate == "distinct" or aggregate == "days":
                value = (before or 0) + self._is_new(turn, part, amount)
            else:
                value = _counted_in(aggregate, before, amount)
            values[part] = value
            if value >= self._targets[part]:
                done[part] = [fact.occurred_at, fact.seq]
                newly_done = True
            counted.append((part, before))
        if not counted:
            return
        turn.cells[rule.cell] = cell
        at = progress.get("at")
        progress["at"] = fact.occurred_at if at is None else max(at, fact.occurred_at)
        moment = [fact.occurred_at, fact.seq]
        if cell["k"] is None or moment > cell["k"]:
            cell["k"] = moment
        self._counted(turn, fact, cell, counted, newly_done)

    def _is_new(self, turn: ParticipantTurn, part: int, member: Amount) -> bool:
        key = keys.member(self._rule.key, str(part), member)
        if key in turn.apart:
            return False
        turn.apart[key] = turn.apart_changed[key] = 1
        return True


class OrderedTrack(QuestTrack):
    """A quest that counts facts in the order they happened, for facts newer than all it has seen."""

    __slots__ = ("_sets",)

    def __init__(self, rule: QuestRule) -> None:
        super().__init__(rule)
        self._sets = any(each in ("distinct", "days") for each in self._aggregates)

    def advance(self, turn: ParticipantTurn, fact: Fact, parts: Parts) -> None:
        """Push the fact at the end of the course."""
        if self._sets:
            raise NotOnTime
        rule = self._rule
        moment = [fact.occurred_at, fact.seq]
        cell = self._current(turn)
        if cell is None:
            if rule.explicit:
                return  # who has not enrolled leaves no trace
            none = [None] * len(self._targets)
            cell = {
                "rev": rule.revision,
                "e": moment,
                "p": {"v": none, "d": [*none]},
                "b": {"v": [*none], "d": [*none]},
                "k": None,
                "t": [],
            }
            self._reached.enter(turn, fact)
        elif COMPLETE in cell["p"].get("m", {}):
            # Only a fact from before the end can still change it.
            if moment <= max(cell["e"], *cell["p"]["d"]):
                raise NotOnTime
            return
        elif self._is_late(cell, moment):
            raise NotOnTime
        if rule.rolling is not None and fact.occurred_at >= cell["e"][0] + rule.rolling:
            return
        progress, done = cell["p"], cell["p"]["d"]
        met = [each is not None for each in done]
        kept: list[list[Any]] = []
        counted: list[tuple[int, int | None]] = []
        newly_done = False
        for part, amount in parts:
            if met[part]:
                continue
            # A part that waits is kept: a late fact may meet its prerequisite earlier.
            kept.append([part, amount])
            if not all(met[each] for each in rule.quest.prerequisites[part]):
                continue
            before = progress["v"][part]
            value = progress["v"][part] = _counted_in(self._aggregates[part], before, amount)
            if value >= self._targets[part]:
                done[part] = moment
                newly_done = True
            counted.append((part, before))
        turn.cells[rule.cell] = cell
        if kept:
            cell["t"].append([*moment, kept])
        if counted:
            at = progress.get("at")
            progress["at"] = fact.occurred_at if at is None else max(at, fact.occurred_at)
            self._counted(turn, fact, cell, counted, newly_done)
            if COMPLETE in progress.get("m", {}):
                if rule.quest.has_sums:
                    raise NotOnTime  # a fall may still change it, and the step knows what to keep for that
                for name in ("b", "k", "t", "c", "w", "y"):
                    cell.pop(name, None)
        elif cell["e"] == moment:
            self._reached.stand(turn, 0.0, fact.occurred_at)

    def _is_late(self, cell: Cell, moment: list[int]) -> bool:
        """Whether the fact is not newer than all before, or the tail is so long that some of it must be compacted."""
        tail = cell.get("t")
        entered = cell.get("e")
        if not entered or tail is None:
            return True
        if moment <= max(entered, tail[-1][:2] if tail else cell["k"] or entered):
            return True
        return _is_long(tail, moment[0])


def _is_long(tail: list[Any], now: int) -> bool:
    """Whether a tail has grown so long that as much as it should hold can be compacted at once."""
    if len(tail) >= ordered_quest.MAX_TAIL:
        return True
    return len(tail) >= 2 * ordered_quest.TAIL and bool(tail[ordered_quest.TAIL - 1][0] < now - ordered_quest.LATENESS)


def _counted_in(aggregate: Aggregate, before: int | None, amount: Amount) -> int:
    """The value of a part, but for those that count a set, with one more amount."""
    match aggregate:
        case "count":
            return (before or 0) + 1
        case "sum":
            return (before or 0) + int(amount)
        case "max":
            return int(amount) if before is None else max(before, int(amount))
        case "distinct" | "days":
            raise TypeError(f"{aggregate} counts a set")
        case never:
            assert_never(never)


class _Badge:
    """What a badge's criteria lead to."""

    tells = False

    def __init__(self, rule: BadgeRule) -> None:
        self._cause = causes.of_criteria(rule.key)
        self._rewards = rule.rewards

    def enter(self, turn: ParticipantTurn, fact: Fact) -> None:
        """Nobody enters a badge's criteria."""

    def stand(self, turn: ParticipantTurn, fraction: float, at: int) -> None:
        """A badge has no ranking."""

    def tell(
        self, turn: ParticipantTurn, progress: Cell, counted: list[tuple[int, int | None]], fraction: float
    ) -> None:
        """Progress towards a badge is not told."""

    def award(self, turn: ParticipantTurn, fact: Fact, cell: Cell) -> None:  # noqa: ARG002
        """Give the badge."""
        turn.awards.append(Award(fact.occurred_at, self._cause, self._rewards))


class _Challenge:
    """What a challenge leads to."""

    tells = True

    def __init__(self, rule: ChallengeRule) -> None:
        self._rule = rule
        self._targets = [
            measure.shown(target) for measure, target in zip(rule.quest.measures, rule.quest.targets, strict=True)
        ]
        self._in_millionths = [measure.in_millionths for measure in rule.quest.measures]
        self._steps = rule.steps()

    def _shown(self, part: int, value: int | None) -> int | float:
        """As `Measure.shown`."""
        return 0 if value is None else from_millionths(value) if self._in_millionths[part] else value

    def enter(self, turn: ParticipantTurn, fact: Fact) -> None:
        """Say when a course that is the participant's own began, and when it ends."""
        if self._rule.rolling is not None:
            turn.caused.append([ENROLMENT, self._rule.code, fact.occurred_at + self._rule.rolling])

    def stand(self, turn: ParticipantTurn, fraction: float, at: int) -> None:
        """Note the place in the challenge's ranking."""
        turn.places[self._rule.key, "all_time", "all_time"] = (fraction, at, None)

    def tell(
        self, turn: ParticipantTurn, progress: Cell, counted: list[tuple[int, int | None]], fraction: float
    ) -> None:
        """Say how far the challenge has come."""
        rule = self._rule
        changed = False
        for part, before in counted:
            done = progress["d"][part] is not None
            value = self._targets[part] if done else self._shown(part, progress["v"][part])
            if value != self._shown(part, before):
                changed = True
                turn.caused.append([OBJECTIVE, rule.code, rule.objectives[part], value, self._targets[part], done])
        complete = COMPLETE in progress.get("m", {})
        if changed:
            turn.caused.append([CHALLENGE, rule.code, fraction, complete])
        self.stand(turn, fraction, progress["at"])

    def award(self, turn: ParticipantTurn, fact: Fact, cell: Cell) -> None:
        """Give what has been reached and not been given."""
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


def quest_track(rule: QuestRule) -> FreeTrack | OrderedTrack:
    """The track of a quest."""
    return OrderedTrack(rule) if rule.ordered else FreeTrack(rule)
