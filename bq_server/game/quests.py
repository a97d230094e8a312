"""Quests: parts with targets, met one by one. A badge's criteria are a quest of one part, a challenge is one of many.

`Progress` is the running state; `freely` takes facts in any order, `courses` (the module) takes them in theirs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Self

from bq_server.game.cells import Cell
from bq_server.game.facts import Moment
from bq_server.game.measures import Amount, Measure

COMPLETE = "complete"
"""The mark of a quest whose parts are all met."""


@dataclass(frozen=True, slots=True)
class Quest:
    """The compiled parts of a quest."""

    measures: tuple[Measure, ...]
    targets: tuple[int, ...]
    """In each measure's own unit."""
    prerequisites: tuple[tuple[int, ...], ...]
    milestones: tuple[tuple[str, Fraction], ...]
    """Name and fraction, ascending."""

    @property
    def size(self) -> int:
        """How many parts there are."""
        return len(self.measures)


@dataclass(slots=True)
class Progress:
    """How far a participant is."""

    values: list[int | None]
    done: list[Moment | None]
    marks: dict[str, Moment] = field(default_factory=dict)
    """When milestones, and the whole, were reached."""
    seen: list[Any] = field(default_factory=list)
    """Per part, where the order is kept: the digests counted by distinct, the last day counted by days."""
    at: int | None = None
    """Event time of the newest fact that counted."""

    @classmethod
    def empty(cls, quest: Quest) -> Self:
        """Nothing counted yet."""
        return cls([None] * quest.size, [None] * quest.size, {}, [None] * quest.size)

    @classmethod
    def load(cls, cell: Cell) -> Self:
        """Read what `dump` wrote."""
        return cls(
            list(cell["v"]),
            [None if moment is None else Moment(*moment) for moment in cell["d"]],
            {name: Moment(*moment) for name, moment in cell.get("m", {}).items()},
            [list(each) if isinstance(each, list) else each for each in cell["s"]]
            if "s" in cell
            else [None] * len(cell["v"]),
            cell.get("at"),
        )

    def dump(self) -> Cell:
        """As JSON."""
        cell: dict[str, Any] = {"v": self.values, "d": [None if each is None else list(each) for each in self.done]}
        if self.marks:
            cell["m"] = {name: list(moment) for name, moment in self.marks.items()}
        if any(each is not None for each in self.seen):
            cell["s"] = self.seen
        if self.at is not None:
            cell["at"] = self.at
        return cell

    @property
    def complete(self) -> bool:
        """Whether every part is met."""
        return COMPLETE in self.marks

    @property
    def members(self) -> int:
        """How many members the sets kept here have."""
        return sum(len(each) for each in self.seen if isinstance(each, list))

    def count(self, quest: Quest, part: int, amount: Amount, moment: Moment, *, new: bool) -> None:
        """Take one amount into a part that is not met yet; `new` says whether a set has no such member yet."""
        value = self.values[part]
        match quest.measures[part].aggregate:
            case "sum":
                value = (value or 0) + int(amount)
            case "max":
                value = int(amount) if value is None else max(value, int(amount))
            case "count":
                value = (value or 0) + 1
            case _:
                value = (value or 0) + new
        self.values[part] = value
        self.at = moment.at if self.at is None else max(self.at, moment.at)
        if value >= quest.targets[part]:
            self.done[part] = moment
            self.seen[part] = None

    def mark(self, quest: Quest, moment: Moment) -> None:
        """Note what has been reached by now."""
        if COMPLETE not in self.marks and all(self.done):
            self.marks[COMPLETE] = moment
        if len(self.marks) < len(quest.milestones) + 1:
            fraction: Fraction | None = None
            for name, at in quest.milestones:
                if name not in self.marks:
                    fraction = self.fraction(quest) if fraction is None else fraction
                    if fraction < at:
                        break
                    self.marks[name] = moment

    def fraction(self, quest: Quest) -> Fraction:
        """The mean over the parts of how much of each is met, each between 0 and 1."""
        total = Fraction(0)
        for value, done, target in zip(self.values, self.done, quest.targets, strict=True):
            total += 1 if done else Fraction(min(max(value or 0, 0), target), target)
        return total / quest.size

    def shown(self, quest: Quest, part: int) -> int | float:
        """A part's value for a reader: the target once it is met, so that it doesn't tell the order of arrival."""
        value = quest.targets[part] if self.done[part] else self.values[part]
        return quest.measures[part].shown(value)


def freely(
    quest: Quest,
    progress: Progress,
    moment: Moment,
    amounts: Sequence[tuple[int, Amount]],
    is_new: Callable[[int, Amount], bool],
) -> list[int]:
    """Take one fact where order decides nothing; answers the parts that counted it.

    `is_new(part, member)` says whether a set has no such member yet, and remembers it.
    """
    counted = []
    for part, amount in amounts:
        if progress.done[part] is None:
            keeps_set = quest.measures[part].aggregate in ("distinct", "days")
            progress.count(quest, part, amount, moment, new=keeps_set and is_new(part, amount))
            counted.append(part)
    if counted:
        progress.mark(quest, moment)
    return counted
