"""Insertions: adding a late fact to what a course keeps, without reading stored facts.

What a late fact adds to its parts, it adds to every later state as well: to the checkpoints, the base and the tip. If
it meets a part earlier that others wait for, the turn there says what else counts now, and that is added in the same
way. This is right as long as nothing else is met by it, which the stored states show, since sums only rise, or if one
has fallen, its peak is kept; if they don't, the course must be replayed.
"""

from collections.abc import Sequence
from typing import assert_never

from bq_server.game.effects import Verdict
from bq_server.game.facts import Moment
from bq_server.game.mechanics.days import has_day
from bq_server.game.mechanics.measures import Amount
from bq_server.game.mechanics.ordered_quest import Course
from bq_server.game.mechanics.part_order import Counted, PartOrder
from bq_server.game.mechanics.quests import COMPLETE, Parts, Progress, in_order


def insert(course: Course, moment: Moment, parts: Parts) -> list[tuple[int, Verdict]] | None:
    """Insert a fact from before the end of the base; returns what became of each part it matched.

    None if only a replay can tell; the course may then be half changed.
    """
    insertion = _Insertion(course, moment)
    verdicts = insertion.read(parts)
    if verdicts is None or not insertion.carry():
        return None
    if not course.explicit:
        course.enrol(moment)
    return verdicts


def met_later(before: Sequence[Moment | None], after: Sequence[Moment | None]) -> bool:
    """Whether a part that was met is now met later or no longer: what came after it was not kept."""
    pairs = zip(before, after, strict=True)
    return any(old is not None and (new is None or new > old) for old, new in pairs)


class _Insertion:
    def __init__(self, course: Course, moment: Moment) -> None:
        self.course, self.quest, self.moment = course, course.quest, moment
        self.met = list(course.tip.done)
        """When parts were met, before."""
        self.marks = dict(course.tip.marks)
        self.kept: list[list[int | str]] = []
        """The parts that were not met before the fact, with the amounts it adds."""
        self.added = Counted()
        """What counts now and didn't before."""
        self.moved: dict[int, Moment] = {}
        """When parts that others wait for are met now."""

    def read(self, parts: Parts) -> list[tuple[int, Verdict]] | None:
        verdicts: list[tuple[int, Verdict]] = []
        for part, amount in parts:
            done = self.met[part]
            if done is not None and done < self.moment:
                verdicts.append((part, "already_complete"))
                continue
            self.kept.append([part, amount])
            if not all(self._is_met_before(self.moment, each) for each in self.quest.prerequisites[part]):
                verdicts.append((part, "prerequisite_open"))
            elif self._add(self.moment, part, amount):
                counts = done is None or self.quest.leads_on(part)
                verdicts.append((part, "matched" if counts else "already_complete"))
            else:
                return None
        return verdicts

    def carry(self) -> bool:
        """Add what counts now to all later states; returns whether that was possible."""
        if not self.kept:
            return True
        course = self.course
        if not course.insertable or course.base_end is None or not self._turn():
            return False
        if not self.added:
            return True
        for _, part in self.added:
            course.know_days(part)
        if not self._take(course.base, course.base_end):
            return False
        course.checkpoints.take(self.moment, self._changed)
        for (_, part), amount in self.added.items():
            if self.quest.measures[part].aggregate == "days":
                course.remember_day(part, int(amount))
        tail, course.tail, course.tip = course.tail, [], course.base.copy()
        for at, seq, parts in tail:
            _, kept = in_order(self.quest, course.tip, Moment(at, seq), parts)
            if kept:
                course.tail.append([at, seq, [list(part) for part in kept]])
        return not met_later(self.met, course.tip.done)

    def _is_met_before(self, moment: Moment, part: int) -> bool:
        done = self.met[part]
        return done is not None and done < moment

    def _add(self, moment: Moment, part: int, amount: Amount) -> bool:
        """Note what counts now. What was met may no longer be met after a fall, and then the rest is unknown.

        Unknown is, too, what else counts or doesn't where there is a limit.
        """
        if self.quest.is_limited(part):
            return False
        if self.met[part] is not None and self.quest.falls(part, amount):
            return False
        self.added[moment, part] = amount
        return True

    def _turn(self) -> bool:
        """Go through the later turns in order: what one admits may reach the next one earlier."""
        turns: list[PartOrder] = []
        for turn in sorted(self.course.turns, key=lambda each: self.met[each.part] or self.moment):
            if self._is_met_before(self.moment, turn.part):
                turns.append(turn)
                continue
            changed = self._changed_turn(turn)
            if changed is None:
                return False
            turns.append(changed)
        self.course.turns = turns
        for moment, part in self.added:
            done = self.met[part]
            # One that was met in the tail is met there again, or can't be inserted into the base.
            unknown = self.quest.leads_on(part) and part not in self.moved and done is not None
            if unknown and done is not None and moment < done and self.course.base.done[part] is not None:
                return False
        return True

    def _changed_turn(self, turn: PartOrder) -> PartOrder | None:
        before, counted = turn.run(self.quest)
        changed = turn.copy()
        if changed.start is not None and not self._take(changed.base, changed.start):
            return None
        if changed.start is None or changed.start < self.moment:
            changed.entries.append([*self.moment, self.kept])
            changed.entries.sort(key=lambda entry: (entry[0], entry[1]))
        after, counting = changed.run(self.quest)
        if met_later(before.done, after.done):
            return None
        for part, (old, new) in enumerate(zip(before.done, after.done, strict=True)):
            if old is None and new is not None and not self._was_met_anyway(part):
                return None
        for (moment, part), amount in counting.items():
            if (moment, part) not in counted and not self._add(moment, part, amount):
                return None
        met = after.done[turn.part]
        if met is None:
            return None
        self.moved[turn.part] = met
        changed.cut(self.quest, met)
        return changed

    def _was_met_anyway(self, part: int) -> bool:
        """Whether nothing depends on when a part is met: it was met, and no other waits for it, or its turn knows."""
        return self.met[part] is not None and (
            not self.quest.leads_on(part) or any(each.part == part for each in self.course.turns)
        )

    def _changed(self, end: Moment, cell: object) -> object | None:
        state = Progress.load(cell)
        return state.dump() if self._take(state, end) else None

    def _take(self, state: Progress, end: Moment) -> bool:
        """Add to a state what counts now up to its end; false if the result can't be determined."""
        for part, moment in self.moved.items():
            if moment <= end:
                state.meet(part, moment)
        fresh: set[tuple[int, Amount]] = set()
        for (moment, part), amount in sorted(self.added.items(), key=lambda each: each[0]):
            if moment > end or state.done[part] is not None:
                continue
            new = self._is_new(state, part, amount, fresh)
            if new is None or not self._may_rise(state, part, amount):
                return False
            state.count(self.quest, part, amount, moment, new=new)
            if state.done[part] is not None:
                if self.met[part] is None or self.quest.leads_on(part):
                    return False
                state.done[part] = end  # at the latest
        return self._take_marks(state, end)

    def _is_new(self, state: Progress, part: int, amount: Amount, fresh: set[tuple[int, Amount]]) -> bool | None:
        """Whether a set has no such member yet; None if unknown."""
        match self.quest.measures[part].aggregate:
            case "distinct":
                return state.add_member(part, amount)
            case "days":
                day, last = int(amount), state.seen[part]
                if last is None or last < day:
                    state.seen[part] = day
                    return True
                if last == day or (part, day) in fresh:
                    return False
                if part not in self.course.days:
                    return None
                fresh.add((part, day))
                return not has_day(self.course.days[part], day)
            case "count" | "sum" | "max" | "min":
                return False
            case never:
                assert_never(never)

    def _may_rise(self, state: Progress, part: int, amount: Amount) -> bool:
        """Whether a sum that has fallen stays below its target, even at its peak."""
        if part in state.highs and isinstance(amount, int) and amount > 0:
            state.highs[part] += amount
            return state.highs[part] < self.quest.targets[part]
        return True

    def _take_marks(self, state: Progress, end: Moment) -> bool:
        """Note what a state has reached now; false if something new is reached at an unknown moment."""
        if COMPLETE not in state.marks and all(state.done):
            if COMPLETE not in self.marks:
                return False
            state.marks[COMPLETE] = end
        falls = any(self.quest.falls(part, amount) for (_, part), amount in self.added.items())
        surely, at_most = state.fraction(self.quest), state.fraction(self.quest, at_most=True)
        for name, at in self.quest.milestones:
            reached = state.marks.get(name)
            if reached is None and surely >= at and name in self.marks:
                state.marks[name] = end
            elif reached is None and at_most >= at:
                return False
            elif reached is not None and falls and reached > self.moment:
                if surely < at:
                    return False
                state.marks[name] = end
        return True
