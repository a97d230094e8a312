"""Courses: quests whose outcome depends on the order of facts.

The newest facts are kept as a tail beside the state before them, so that a slightly late fact costs a short replay of
what the definition read from those facts, without reading stored ones. A later one is inserted into the states that are
kept (`insertions`) or, if these can't tell the result, replayed from a checkpoint.

A cell is read and written with each fact, and its tail is long: it stays JSON until a late fact needs it.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bq_server.game.effects import Verdict
from bq_server.game.facts import Moment
from bq_server.game.mechanics.checkpoints import MAX_MEMBERS, Checkpoints
from bq_server.game.mechanics.days import Days, add_day, days_until
from bq_server.game.mechanics.part_order import KEPT_ENTRIES, PartOrder, turn
from bq_server.game.mechanics.quests import COMPLETE, Parts, Progress, Quest, in_order
from bq_server.game.state.keys import Cell

TAIL = 64
"""Least number of newest facts among which a late one may fall without any history."""
LATENESS = 10_000_000
"""How late, in microseconds, a fact may be without any history, whatever came since, within `MAX_TAIL` facts."""
MAX_TAIL = 1024
MAX_STRETCHES = 64
"""Most stretches of days that a course remembers for a part that counts days."""


@dataclass(slots=True)
class Course:
    """A participant's course through a quest. Facts are pushed in order."""

    quest: Quest
    explicit: bool
    """Whether participants must enrol; otherwise the first fact pushed enrols them."""
    rolling: int | None
    """How long it runs from enrolment, in microseconds; None without such an end."""
    enrolled: Moment | None = None
    opens: int | None = None
    """Before that, in microseconds since the epoch, nothing counts: who enters earlier has the whole time from then."""
    tip: Progress = field(init=False)
    base: Progress = field(init=False)
    """The state before the tail."""
    base_end: Moment | None = None
    """The newest fact in the base."""
    tail: list[list[Any]] = field(default_factory=list)
    """`[at, seq, [[part, amount], ...]]`, in order."""
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    """Of the base, in its past."""
    turns: list[PartOrder] = field(default_factory=list)
    """Turns of parts that others wait for, once facts of the tail that led there have to leave it."""
    days: dict[int, Days] = field(default_factory=dict)
    """The days in the base, by part that counts days. For a part with too many, none are known."""
    insertable: bool = True
    """Whether all of this is known. A course stored by an earlier release must be replayed once."""

    def __post_init__(self) -> None:
        self.tip = Progress.empty(self.quest)
        self.base = Progress.empty(self.quest)

    def load(self, cell: Cell) -> None:
        """Read what `dump` wrote."""
        self.enrolled = Moment(*cell["e"]) if cell["e"] is not None else None
        self.tip = Progress.load(cell["p"])
        # If nothing has left the tail, all is known, whatever wrote the cell.
        self.insertable = "w" in cell or ("t" in cell and cell["k"] is None)
        if "t" in cell:
            self.base = Progress.load(cell["b"])
            self.base_end = Moment(*cell["k"]) if cell["k"] is not None else None
            self.tail = list(cell["t"])
        else:
            self.base, self.base_end = self.tip.copy(), self.tip.marks.get(COMPLETE)
        if self.insertable:
            self.turns = [PartOrder.load(row) for row in cell.get("w", ())]
            self.days = {int(part): [list(each) for each in days] for part, days in cell.get("y", {}).items()}
            if "c" in cell:
                self.checkpoints.load(cell["c"])

    def dump(self) -> dict[str, Any]:
        """As JSON. A completed course keeps no tail and, if no sum can fall, nothing else: nothing can change it."""
        progress = self.tip.dump()
        progress.pop("h", None)  # the base knows them
        cell: dict[str, Any] = {"e": list(self.enrolled) if self.enrolled is not None else None, "p": progress}
        if not self.tip.complete:
            cell["b"] = self.base.dump()
            cell["k"] = list(self.base_end) if self.base_end is not None else None
            cell["t"] = self.tail
        if self.insertable and not self.final and (self.base_end is not None or self.tip.complete):
            cell["w"] = [each.dump() for each in self.turns]
            if self.days:
                cell["y"] = {str(part): days for part, days in self.days.items()}
            if self.checkpoints.compacted:
                cell["c"] = self.checkpoints.dump()
        return cell

    def check(self) -> None:
        """Read what a load leaves unread. Raises `ValueError`, `TypeError` or `LookupError` if that is impossible."""
        for at, seq, parts in self.tail:
            _ = Moment(at, seq), [self.quest.measures[part] for part, _ in parts]
        for _, at, seq, progress in self.checkpoints.rows:
            _ = Moment(at, seq), Progress.load(progress)
        for each in self.turns:
            each.run(self.quest)

    @property
    def final(self) -> bool:
        """Whether no other fact can change its outcome."""
        return self.tip.complete and not self.quest.has_sums and not self.quest.may_lose

    def may_fall(self, entries: Iterable[Parts]) -> bool:
        """Whether a sum falls among these facts and those of the tail, or what counts may change."""
        if self.quest.may_lose:
            return True
        parts = itertools.chain(*entries, *(each for _, _, each in self.tail))
        return self.quest.has_sums and any(self.quest.falls(part, amount) for part, amount in parts)

    @property
    def end(self) -> Moment | None:
        """The newest fact kept."""
        return Moment(*self.tail[-1][:2]) if self.tail else self.base_end

    @property
    def expires_at(self) -> int | None:
        """When a rolling course ends, for an enrolled participant."""
        return None if self.enrolled is None else self.ends(self.enrolled)

    def ends(self, entry: Moment) -> int | None:
        """When a rolling course ends for a participant who enrols at a moment."""
        return None if self.rolling is None else max(entry.at, self.opens or entry.at) + self.rolling

    def is_before_entry(self, moment: Moment) -> bool:
        """Whether the participant must enrol and hasn't yet."""
        return self.explicit and (self.enrolled is None or moment < self.enrolled)

    def would_lose(self, entry: Moment) -> bool:
        """Whether a rolling course that started at an earlier moment would end before what it keeps."""
        ends = self.ends(entry)
        return ends is not None and self.end is not None and self.end.at >= ends

    def enrol(self, moment: Moment) -> None:
        """Enrol; the earliest enrolment counts."""
        if self.enrolled is None or moment < self.enrolled:
            self.enrolled = moment

    def push(self, moment: Moment, parts: Parts) -> list[tuple[int, Verdict]]:
        """Take the next fact in order; returns what became of each part it matched."""
        if not self.explicit:
            self.enrol(moment)
        if self.is_before_entry(moment):
            return [(part, "not_enrolled") for part, _ in parts]
        if self.expires_at is not None and moment.at >= self.expires_at:
            return [(part, "outside_window") for part, _ in parts]
        verdicts, kept = in_order(self.quest, self.tip, moment, parts)
        if kept:
            self.tail.append([*moment, [list(part) for part in kept]])
            while len(self.tail) > TAIL and (self.tail[0][0] < moment.at - LATENESS or len(self.tail) > MAX_TAIL):
                self._compact()
            if self.tip.complete:
                self._keep_turns(len(self.tail))
        return verdicts

    def rewind(self) -> list[tuple[Moment, Parts]]:
        """Go back to before the tail; returns the facts of the tail, to be pushed again among late ones."""
        tail, self.tail = self.tail, []
        self.turns = [each for each in self.turns if self.base.done[each.part] is not None]
        self.tip = self.base.copy()
        return [(Moment(at, seq), parts) for at, seq, parts in tail]

    def go_back(self, moment: Moment) -> bool:
        """Go back to the newest checkpoint before a moment, for all later facts to be pushed; false if there is none.

        Enrolled participants stay enrolled: nobody goes back past an enrolment that has moved.
        """
        found = self.checkpoints.go_back(moment)
        if found is None:
            return False
        self.base_end, progress = found
        self.base, self.tip, self.tail = Progress.load(progress), Progress.load(progress), []
        self.turns = [each for each in self.turns if self.base.done[each.part] is not None]
        for part, days in list(self.days.items()):
            if self.base.done[part] is None:
                last = self.base.seen[part]
                self.days[part] = [] if last is None else days_until(days, last)
        return True

    def take_member(self, part: int, member: str) -> None:
        """Note a member of a set, as named by its cell, in a base that already counts it."""
        if self.quest.measures[part].aggregate == "distinct":
            self.base.add_member(part, member)
        else:
            self.know_days(part)
            self.remember_day(part, int(member))
            self.base.seen[part] = max(int(member), self.base.seen[part] or 0)

    def know_days(self, part: int) -> None:
        """Start remembering the days of a part that counts days, if the base has none yet."""
        if self.quest.measures[part].aggregate == "days" and self.base.seen[part] is self.base.done[part] is None:
            self.days.setdefault(part, [])

    def remember_day(self, part: int, day: int) -> None:
        """Note a day in the base."""
        if part in self.days:
            add_day(self.days[part], day)
            if len(self.days[part]) > MAX_STRETCHES:
                del self.days[part]

    def _compact(self) -> None:
        self._keep_turns()
        at, seq, parts = self.tail.pop(0)
        self.base_end = Moment(at, seq)
        for part, _ in parts:
            self.know_days(part)
        verdicts, _ = in_order(self.quest, self.base, self.base_end, parts)
        amounts = dict(parts)
        for part, verdict in verdicts:
            if verdict == "matched" and self.quest.measures[part].aggregate == "days":
                self.remember_day(part, int(self.quest.plain(part, amounts[part])))
        if self.checkpoints.due() and self.base.members <= MAX_MEMBERS:
            self.checkpoints.keep(self.base_end, self.base.copy().dump())

    def _keep_turns(self, oldest: int = KEPT_ENTRIES) -> None:
        """Record the turns to which the oldest facts of the tail lead, before those facts leave it."""
        known = {each.part for each in self.turns}
        for part, done in enumerate(self.tip.done):
            if done is None or self.base.done[part] is not None or part in known or not self.quest.leads_on(part):
                continue
            if any((at, seq) == done for at, seq, _ in self.tail[:oldest]):
                self.turns.append(turn(part, self.quest, done, self.base_end, self.base, self.tail))
