"""Turns: where a part of a course was met that others wait for.

Meeting it earlier makes what came meanwhile count. A turn keeps the facts that led to it, so that a fact which meets
the part earlier, however late it arrives, shows which those are without reading stored facts.
"""

from typing import Any, Self

from msgspec import Struct

from bq_server.game.facts import Moment
from bq_server.game.mechanics.measures import Amount
from bq_server.game.mechanics.quests import Progress, Quest, in_order
from bq_server.game.state.keys import Cell

KEPT_ENTRIES = 16
"""Most facts that a turn keeps, including itself."""

Counted = dict[tuple[Moment, int], Amount]
"""What was counted: amounts, by moment and part."""


class PartOrder(Struct):
    """The facts that led to where a part was met."""

    part: int
    start: Moment | None
    """The newest fact before those kept; None if the course starts with them."""
    base: Progress
    """The state before those kept."""
    entries: list[list[Any]]
    """`[at, seq, [[part, amount], ...]]`, in order; the last one met the part."""

    @classmethod
    def load(cls, row: Cell) -> Self:
        """Read what `dump` wrote."""
        part, start, base, entries = row
        return cls(part, Moment(*start) if start is not None else None, Progress.load(base), list(entries))

    def dump(self) -> Cell:
        """As JSON."""
        return [self.part, list(self.start) if self.start is not None else None, self.base.dump(), self.entries]

    def copy(self) -> Self:
        """A copy, to be changed."""
        return type(self)(self.part, self.start, self.base.copy(), list(self.entries))

    def run(self, quest: Quest) -> tuple[Progress, Counted]:
        """The state that the kept facts lead to, and what they counted."""
        progress, counted = self.base.copy(), Counted()
        for at, seq, parts in self.entries:
            moment = Moment(at, seq)
            amounts = dict(parts)
            for part, verdict in in_order(quest, progress, moment, parts)[0]:
                if verdict == "matched":
                    counted[moment, part] = amounts[part]
        return progress, counted

    def cut(self, quest: Quest, met: Moment) -> None:
        """Keep the newest facts that led to this moment, at which the part is met now."""
        self.entries = [entry for entry in self.entries if (entry[0], entry[1]) <= met]
        while len(self.entries) > KEPT_ENTRIES:
            at, seq, parts = self.entries.pop(0)
            self.start = Moment(at, seq)
            in_order(quest, self.base, self.start, parts)


def turn(
    part: int, quest: Quest, met: Moment, start: Moment | None, base: Progress, entries: list[list[Any]]
) -> PartOrder:
    """The turn at which a part was met, with the newest of these facts that led there."""
    found = PartOrder(part, start, base.copy(), list(entries))
    found.cut(quest, met)
    return found
