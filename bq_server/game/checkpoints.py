"""Checkpoints: what a course was at a few moments of its past, so that a late fact replays only what came after one."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bq_server.game.cells import Cell
from bq_server.game.facts import Moment

SPACING = 64
"""Facts between a checkpoint and the next one made."""
KEPT = 8
"""How many are kept: near each other in the near past, far apart in the far one."""
MAX_MEMBERS = 32
"""Most members of sets in a checkpoint: the cell is read and written with each fact."""


@dataclass(slots=True)
class Checkpoints:
    """Each stands for all facts of a course up to its moment, in order. They are kept as JSON."""

    settled: int = 0
    """How many facts came before the tail, by which they are spaced."""
    rows: list[list[Any]] = field(default_factory=list)
    """`[settled, at, seq, progress]`, in order."""

    def load(self, cell: Cell) -> None:
        """Read what `dump` wrote."""
        self.settled, rows = cell
        self.rows = list(rows)

    def dump(self) -> Cell:
        """As JSON."""
        return [self.settled, self.rows]

    def due(self) -> bool:
        """Count a fact; answers whether a checkpoint after it is due."""
        self.settled += 1
        return self.settled - (self.rows[-1][0] if self.rows else 0) >= SPACING

    def keep(self, moment: Moment, progress: Cell) -> None:
        """Keep a checkpoint of the facts up to this moment, which is newer than all others."""
        self.rows.append([self.settled, *moment, progress])
        if len(self.rows) > KEPT:
            del self.rows[self._least_useful()]

    def before(self, moment: Moment) -> Moment | None:
        """The moment of the newest one before this."""
        return next((Moment(at, seq) for _, at, seq, _ in reversed(self.rows) if (at, seq) < moment), None)

    def go_back(self, moment: Moment) -> tuple[Moment, Cell] | None:
        """Drop those that are not before this; answers the newest that is left."""
        self.rows = [row for row in self.rows if (row[1], row[2]) < moment]
        if not self.rows:
            return None
        self.settled, at, seq, progress = self.rows[-1]
        return Moment(at, seq), progress

    def passed_over(self, moment: Moment, parts: Iterable[int]) -> None:
        """Drop those that such a fact, of which the course as a whole takes no note, belongs into."""
        parts = list(parts)
        self.rows = [
            row
            for row in self.rows
            if (row[1], row[2]) < moment or all(row[3]["d"][part] is not None for part in parts)
        ]

    def _least_useful(self) -> int:
        """The one without which the way back from any moment grows by the least factor."""

        def growth(place: int) -> float:
            earlier: int = self.rows[place - 1][0] if place else 0
            later: int = self.rows[place + 1][0]
            # The newest may be where the tail begins, which is never nothing.
            return (self.settled - earlier) / (self.settled - later + SPACING)

        return min(range(len(self.rows) - 1), key=growth)
