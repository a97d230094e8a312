"""Checkpoints: the states of a course at a few past moments, so that a late fact replays only what came after one."""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from bq_server.game.facts import Moment
from bq_server.game.state.keys import Cell

SPACING = 64
"""Facts between a checkpoint and the next one made."""
KEPT = 16
"""How many are kept: close together in the recent past, far apart in the distant one."""
MAX_MEMBERS = 32
"""Most members of sets in a checkpoint, because the cell is read and written with each fact."""
MAX_ALL_MEMBERS = 128
"""Most members of sets in all checkpoints together."""


class Checkpoints(Struct):
    """Each stands for all facts of a course up to its moment, in order. They are kept as JSON."""

    compacted: int = 0
    """How many facts came before the tail, which determines their spacing."""
    rows: list[list[Any]] = field(default_factory=list)
    """`[compacted, at, seq, progress]`, in order."""

    def load(self, cell: Cell) -> None:
        """Read what `dump` wrote."""
        self.compacted, rows = cell
        self.rows = list(rows)

    def dump(self) -> Cell:
        """As JSON."""
        return [self.compacted, self.rows]

    def due(self) -> bool:
        """Count a fact; returns whether a checkpoint is due after it."""
        self.compacted += 1
        return self.compacted - (self.rows[-1][0] if self.rows else 0) >= SPACING

    def keep(self, moment: Moment, progress: Cell) -> None:
        """Add a checkpoint of the facts up to this moment, which is newer than all others."""
        self.rows.append([self.compacted, *moment, progress])
        while len(self.rows) > KEPT or (len(self.rows) > 1 and self._members() > MAX_ALL_MEMBERS):
            del self.rows[self._least_useful()]

    def before(self, moment: Moment) -> Moment | None:
        """The moment of the newest one before this."""
        earlier = self._before(moment)
        return Moment(*earlier[-1][1:3]) if earlier else None

    def go_back(self, moment: Moment) -> tuple[Moment, Cell] | None:
        """Drop those that aren't before this; returns the newest one left."""
        self.rows = self._before(moment)
        if not self.rows:
            return None
        self.compacted, at, seq, progress = self.rows[-1]
        return Moment(at, seq), progress

    def take(self, moment: Moment, change: Callable[[Moment, Cell], Cell | None]) -> None:
        """Insert a fact into the checkpoints after a moment; those for which that is impossible are dropped."""
        self.compacted += 1
        earlier = self._before(moment)
        changed = [(row, change(Moment(row[1], row[2]), row[3])) for row in self.rows[len(earlier) :]]
        self.rows = earlier + [[row[0] + 1, *row[1:3], progress] for row, progress in changed if progress is not None]

    def _before(self, moment: Moment) -> list[list[Any]]:
        """No late fact has the moment of a checkpoint: that fact is known."""
        return self.rows[: bisect_left(self.rows, moment, key=lambda row: Moment(row[1], row[2]))]

    def _members(self) -> int:
        return sum(len(each) for row in self.rows for each in row[3].get("s", ()) if isinstance(each, list))

    def _least_useful(self) -> int:
        """The one whose removal lengthens replays by the smallest factor."""

        def growth(place: int) -> float:
            earlier: int = self.rows[place - 1][0] if place else 0
            later: int = self.rows[place + 1][0]
            # The newest may be where the tail begins, whose distance is never zero.
            return (self.compacted - earlier) / (self.compacted - later + SPACING)

        return min(range(len(self.rows) - 1), key=growth)
