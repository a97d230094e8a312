"""Courses: quests whose outcome depends on the order of facts.

The newest facts are kept as a tail beside the state before them, so that a fact a little late costs a short replay of
what the definition read from those facts, and no look at stored ones. A fact later than that is replayed from a
checkpoint.

A cell is read and written with each fact, and its tail is long: it stays JSON until a late fact needs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bq_server.game.cells import Cell
from bq_server.game.checkpoints import MAX_MEMBERS, Checkpoints
from bq_server.game.effects import Verdict
from bq_server.game.facts import Moment
from bq_server.game.measures import Amount
from bq_server.game.quests import Progress, Quest

TAIL = 64
"""How many of the newest facts a late one may fall between without any history, at least."""
LATENESS = 10_000_000
"""How late, in microseconds, a fact may be without any history, whatever came since: up to `MAX_TAIL` facts."""
MAX_TAIL = 1024

Parts = Sequence[tuple[int, Amount]]


@dataclass(slots=True)
class Course:
    """A participant's way through a quest. Facts are pushed in order."""

    quest: Quest
    explicit: bool
    """Whether one must enrol; else the first fact pushed enrols."""
    rolling: int | None
    """How long it runs from enrolment, in microseconds; none without such an end."""
    enrolled: Moment | None = None
    tip: Progress = field(init=False)
    base: Progress = field(init=False)
    """The state before the tail."""
    base_end: Moment | None = None
    """The newest fact in the base."""
    tail: list[list[Any]] = field(default_factory=list)
    """`[at, seq, [[part, amount], ...]]`, in order."""
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    """Of the base, in its past."""

    def __post_init__(self) -> None:
        self.tip = Progress.empty(self.quest)
        self.base = Progress.empty(self.quest)

    def load(self, cell: Cell) -> None:
        """Read what `dump` wrote."""
        self.enrolled = Moment(*cell["e"]) if cell["e"] is not None else None
        self.tip = Progress.load(cell["p"])
        if "t" in cell:
            self.base = Progress.load(cell["b"])
            self.base_end = Moment(*cell["k"]) if cell["k"] is not None else None
            self.tail = list(cell["t"])
            if "c" in cell:
                self.checkpoints.load(cell["c"])

    def dump(self) -> dict[str, Any]:
        """As JSON. A completed course keeps no tail: only rare facts can still change it, and those replay it whole."""
        cell: dict[str, Any] = {
            "e": list(self.enrolled) if self.enrolled is not None else None,
            "p": self.tip.dump(),
        }
        if not self.tip.complete:
            cell["b"] = self.base.dump()
            cell["k"] = list(self.base_end) if self.base_end is not None else None
            cell["t"] = self.tail
            if self.checkpoints.settled:
                cell["c"] = self.checkpoints.dump()
        return cell

    def check(self) -> None:
        """Read what a load leaves unread. Raises `ValueError`, `TypeError` or `LookupError` where it can't be."""
        for at, seq, parts in self.tail:
            _ = Moment(at, seq), [self.quest.measures[part] for part, _ in parts]
        for _, at, seq, progress in self.checkpoints.rows:
            _ = Moment(at, seq), Progress.load(progress)

    @property
    def end(self) -> Moment | None:
        """The newest fact kept."""
        return Moment(*self.tail[-1][:2]) if self.tail else self.base_end

    @property
    def expires_at(self) -> int | None:
        """When a rolling course ends, for one who is enrolled."""
        return None if self.rolling is None or self.enrolled is None else self.enrolled.at + self.rolling

    def is_before_entry(self, moment: Moment) -> bool:
        """Whether one who had to enrol hadn't yet."""
        return self.explicit and (self.enrolled is None or moment < self.enrolled)

    def enrol(self, moment: Moment) -> None:
        """Enter the course; the earliest entry counts."""
        if self.enrolled is None or moment < self.enrolled:
            self.enrolled = moment

    def push(self, moment: Moment, parts: Parts) -> list[tuple[int, Verdict]]:
        """Take the next fact in order; answers what became of each part it matched."""
        if not self.explicit:
            self.enrol(moment)
        if self.is_before_entry(moment):
            return [(part, "not_enrolled") for part, _ in parts]
        if self.expires_at is not None and moment.at >= self.expires_at:
            return [(part, "outside_window") for part, _ in parts]
        verdicts, kept = _advance(self.quest, self.tip, moment, parts)
        if kept:
            self.tail.append([*moment, [list(part) for part in kept]])
            while len(self.tail) > TAIL and (self.tail[0][0] < moment.at - LATENESS or len(self.tail) > MAX_TAIL):
                self._settle(*self.tail.pop(0))
        return verdicts

    def rewind(self) -> list[tuple[Moment, Parts]]:
        """Go back to before the tail; answers the facts of the tail, to be pushed again among late ones."""
        tail, self.tail = self.tail, []
        self.tip = Progress.load(self.base.dump())
        return [(Moment(at, seq), parts) for at, seq, parts in tail]

    def go_back(self, moment: Moment) -> bool:
        """Go back to the newest checkpoint before a moment, for all later facts to be pushed; false when there is none.

        Who was enrolled stays so: nobody goes back past an enrolment that has moved.
        """
        found = self.checkpoints.go_back(moment)
        if found is None:
            return False
        self.base_end, progress = found
        self.base, self.tip, self.tail = Progress.load(progress), Progress.load(progress), []
        return True

    def _settle(self, at: int, seq: int, parts: Parts) -> None:
        self.base_end = Moment(at, seq)
        _advance(self.quest, self.base, self.base_end, parts)
        if self.checkpoints.due() and self.base.members <= MAX_MEMBERS:
            self.checkpoints.keep(self.base_end, Progress.load(self.base.dump()).dump())


def _advance(
    quest: Quest, progress: Progress, moment: Moment, parts: Parts
) -> tuple[list[tuple[int, Verdict]], list[tuple[int, Amount]]]:
    met = [done is not None for done in progress.done]
    verdicts: list[tuple[int, Verdict]] = []
    kept: list[tuple[int, Amount]] = []
    counted = False
    for part, amount in parts:
        if met[part]:
            verdicts.append((part, "already_complete"))
            continue
        # A part that waits is kept: a late fact may meet its prerequisite earlier.
        kept.append((part, amount))
        if not all(met[each] for each in quest.prerequisites[part]):
            verdicts.append((part, "prerequisite_open"))
            continue
        progress.count(quest, part, amount, moment, new=_is_new(quest, progress, part, amount))
        verdicts.append((part, "matched"))
        counted = True
    if counted:
        progress.mark(quest, moment)
    return verdicts, kept


def _is_new(quest: Quest, progress: Progress, part: int, amount: Amount) -> bool:
    """In order a day is new when it is later than the last; a distinct value must be looked up."""
    seen = progress.seen[part]
    match quest.measures[part].aggregate:
        case "days":
            progress.seen[part] = amount
            return seen is None or int(amount) > seen
        case "distinct":
            if seen is None:
                seen = progress.seen[part] = []
            if amount in seen:
                return False
            seen.append(amount)
            return True
        case _:
            return False
