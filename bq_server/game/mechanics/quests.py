"""Quests: parts with targets, met one by one. A badge's criteria are a quest of one part, a challenge is one of many.

`Progress` is the running state; `freely` folds facts in any order, `in_order` in theirs.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Self, assert_never

from msgspec import Struct, field

from bq_server.game.effects import Verdict
from bq_server.game.facts import Moment
from bq_server.game.mechanics.limits import Quota, Tally, place_of
from bq_server.game.mechanics.measures import Amount, Measure
from bq_server.game.state.keys import Cell

Parts = Sequence[tuple[int, Amount]]
"""What a fact adds to parts of a quest."""

COMPLETE = "complete"
"""The mark of a quest whose parts are all met."""


class Quest(Struct, frozen=True):
    """The compiled parts of a quest."""

    measures: tuple[Measure, ...]
    targets: tuple[int, ...]
    """In each measure's own unit."""
    prerequisites: tuple[tuple[int, ...], ...]
    milestones: tuple[tuple[str, Fraction], ...]
    """Name and fraction, ascending."""
    quotas: tuple[Quota | None, ...] = ()
    """By part, how many of its facts count; empty where no part has a limit."""

    @property
    def size(self) -> int:
        """How many parts there are."""
        return len(self.measures)

    def leads_on(self, part: int) -> bool:
        """Whether another part waits for this one."""
        return any(part in each for each in self.prerequisites)

    def is_limited(self, part: int) -> bool:
        """Whether a limit decides which facts of the part count."""
        return bool(self.quotas) and self.quotas[part] is not None

    def keeps_set(self, part: int) -> bool:
        """Whether the part counts each distinct amount once."""
        return self.measures[part].aggregate in ("distinct", "days")

    def falls(self, part: int, amount: Amount) -> bool:
        """Whether an amount makes its part's sum fall."""
        if self.measures[part].aggregate != "sum":
            return False
        return int(self.plain(part, amount)) < 0

    def plain(self, part: int, amount: Amount) -> Amount:
        """What is counted of an amount: all of it, but for what the limit of its part needs."""
        if not self.quotas or self.quotas[part] is None:
            return amount
        plain = place_of(amount)[2]
        return plain if self.measures[part].aggregate == "distinct" else int(plain)

    def said(self, part: int, verdict: Verdict) -> str | None:
        """Why a limit lets a fact not count, in words; none for another verdict."""
        quota = self.quotas[part] if self.quotas else None
        return None if quota is None else quota.said(verdict)

    @property
    def may_lose(self) -> bool:
        """Whether a late fact may take the place of one that brought more, so that a part is met later or not at all.

        Where facts are counted, one is as good as another.
        """
        return any(
            quota is not None and measure.aggregate != "count"
            for quota, measure in zip(self.quotas, self.measures, strict=False)
        )

    def way(self, progress: "Progress", part: int) -> tuple[int | float, int | float]:
        """A part's value and target, for a reader."""
        return progress.shown(self, part), self.measures[part].shown(self.targets[part])

    @property
    def has_sums(self) -> bool:
        """Whether a part may fall, and thus the whole be less than it was."""
        return any(measure.aggregate == "sum" for measure in self.measures)


class Progress(Struct):
    """How far a participant is."""

    values: list[int | None]
    done: list[Moment | None]
    marks: dict[str, Moment] = field(default_factory=dict)
    """When milestones and the whole were reached."""
    seen: list[Any] = field(default_factory=list)
    """Per part, if the order is kept: the digests counted by distinct, the last day counted by days."""
    at: int | None = None
    """Event time of the newest fact that counted."""
    highs: dict[int, int] = field(default_factory=dict)
    """By part whose sum has fallen: the most it can have been, while that is more than it is now."""
    tallies: dict[int, dict[str, Tally]] = field(default_factory=dict)
    """By part with a limit: by object, what has counted of it."""

    @classmethod
    def empty(cls, quest: Quest) -> Self:
        """The state before anything counted."""
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
            {int(part): high for part, high in cell.get("h", {}).items()},
            {int(part): dict(each) for part, each in cell["q"].items()} if "q" in cell else {},
        )

    def copy(self) -> Self:
        """A copy."""
        seen = [list(each) if isinstance(each, list) else each for each in self.seen]
        tallies = {part: dict(each) for part, each in self.tallies.items()}
        return type(self)(
            list(self.values), list(self.done), dict(self.marks), seen, self.at, dict(self.highs), tallies
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
        if self.highs:
            cell["h"] = {str(part): high for part, high in self.highs.items()}
        if self.tallies:
            cell["q"] = {str(part): each for part, each in self.tallies.items()}
        return cell

    @property
    def complete(self) -> bool:
        """Whether every part is met."""
        return COMPLETE in self.marks

    @property
    def members(self) -> int:
        """How many members the sets kept here have, objects with a tally among them."""
        members = sum(len(each) for each in self.seen if isinstance(each, list))
        return members + sum(len(each) for each in self.tallies.values())

    def count(self, quest: Quest, part: int, amount: Amount, moment: Moment, *, new: bool) -> None:
        """Add one amount to a part that is not met yet; `new` says whether a set has no such member yet."""
        value = self.values[part]
        match quest.measures[part].aggregate:
            case "sum":
                value = value or 0
                high = self.highs.pop(part, value)
                value += int(amount)
                if high > value:
                    self.highs[part] = high
            case "max":
                value = int(amount) if value is None else max(value, int(amount))
            case "count":
                value = (value or 0) + 1
            case "distinct" | "days":
                value = (value or 0) + new
            case "min":
                raise TypeError("a minimum reaches no target")
            case never:
                assert_never(never)
        self.values[part] = value
        self.at = moment.at if self.at is None else max(self.at, moment.at)
        if value >= quest.targets[part]:
            self.meet(part, moment)

    def add_member(self, part: int, member: Amount) -> bool:
        """Add a distinct value to the set of its part; returns whether it is new."""
        if self.seen[part] is None:
            self.seen[part] = []
        if member in self.seen[part]:
            return False
        self.seen[part].append(member)
        return True

    def meet(self, part: int, moment: Moment) -> None:
        """Note that a part is met, and drop what only mattered before."""
        self.done[part] = moment
        self.seen[part] = None
        self.highs.pop(part, None)
        self.tallies.pop(part, None)

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

    def fraction(self, quest: Quest, *, at_most: bool = False) -> Fraction:
        """The mean over the parts of the fraction met, each between 0 and 1; or an upper limit of it."""
        total = Fraction(0)
        for part, (value, done, target) in enumerate(zip(self.values, self.done, quest.targets, strict=True)):
            most = self.highs.get(part, value) if at_most else value
            total += 1 if done else Fraction(min(max(most or 0, 0), target), target)
        return total / quest.size

    def shown(self, quest: Quest, part: int) -> int | float:
        """A part's value for a reader: the target once it is met, so that it doesn't depend on the order of arrival."""
        value = quest.targets[part] if self.done[part] else self.values[part]
        return quest.measures[part].shown(value)


def freely(
    quest: Quest,
    progress: Progress,
    moment: Moment,
    amounts: Sequence[tuple[int, Amount]],
    is_new: Callable[[int, Amount], bool],
) -> list[int]:
    """Fold one fact if order decides nothing; returns the parts that counted it.

    `is_new(part, member)` says whether a set has no such member yet, and remembers it.
    """
    counted = []
    for part, amount in amounts:
        if progress.done[part] is None:
            progress.count(quest, part, amount, moment, new=quest.keeps_set(part) and is_new(part, amount))
            counted.append(part)
    if counted:
        progress.mark(quest, moment)
    return counted


def in_order(
    quest: Quest, progress: Progress, moment: Moment, parts: Parts
) -> tuple[list[tuple[int, Verdict]], list[tuple[int, Amount]]]:
    """Fold the next fact if order decides; returns what became of each part, and the parts not met before."""
    met = [done is not None for done in progress.done]
    verdicts: list[tuple[int, Verdict]] = []
    kept: list[tuple[int, Amount]] = []
    counted = False
    for part, amount in parts:
        if met[part]:
            verdicts.append((part, "already_complete"))
            continue
        # Facts for a waiting part are kept: a late fact may meet its prerequisite earlier.
        kept.append((part, amount))
        if not all(met[each] for each in quest.prerequisites[part]):
            verdicts.append((part, "prerequisite_open"))
            continue
        quota = quest.quotas[part] if quest.quotas else None
        if quota is not None:
            tallies = progress.tallies.get(part, {})
            period, about, _ = place_of(amount)
            refusal = quota.refusal(tallies.get(about), moment.at, period)
            if refusal is not None:
                verdicts.append((part, refusal))
                continue
            progress.tallies[part] = quota.take(tallies, about, moment.at, period)
            amount = quest.plain(part, amount)
        progress.count(quest, part, amount, moment, new=_is_new(quest, progress, part, amount))
        verdicts.append((part, "matched"))
        counted = True
    if counted:
        progress.mark(quest, moment)
    return verdicts, kept


def _is_new(quest: Quest, progress: Progress, part: int, amount: Amount) -> bool:
    """In order, a day is new if it is later than the last; a distinct value must be looked up."""
    seen = progress.seen[part]
    match quest.measures[part].aggregate:
        case "days":
            progress.seen[part] = amount
            return seen is None or int(amount) > seen
        case "distinct":
            return progress.add_member(part, amount)
        case "count" | "sum" | "max" | "min":
            return False
        case never:
            assert_never(never)
