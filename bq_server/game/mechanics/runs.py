"""The periods of a streak that were recorded, as a set, so that facts may come in any order.

A streak's runs are what the reaches of its records connect, and more facts only ever connect more.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, Self

from msgspec import Struct, field

from bq_server.game.facts import Moment
from bq_server.game.state.keys import Cell

KEPT_PERIODS = 128
"""How far behind the newest period a fact may fall without any history."""


class Runs(Struct):
    """The periods recorded: stretches without a gap as `[first, last, reach]`, and how older ones ended."""

    stretches: list[list[int]] = field(default_factory=list)
    older: tuple[int, int] | None = None
    """The last period no longer kept, and the length of the run it belongs to."""
    longest: int = 0
    newest: Moment | None = None
    rows: dict[int, list[int]] = field(default_factory=dict)
    """Stretches no longer kept here but in cells of their own, by last period: `[first, reach]`. Only new ones."""
    rows_known: bool = True
    """Whether all that are no longer kept here are in cells. An earlier release forgot them."""
    recorded_at: int | None = None
    """Event time of the newest fact that counted, where some are of days of rest."""
    tallies: dict[int, list[list[int]]] = field(default_factory=dict)
    """Where a period takes several facts, of those not recorded yet: how many reach back how far, `[reach, times]`."""

    def tally(self, period: int, reach: int, required: int, *, steady: bool) -> int | None:
        """Count a fact of a period that requires several; returns how far back the period reaches, once it has enough.

        That is as far as the last of the required facts reaches. In a `steady` calendar all reach equally far.
        """
        if steady and self.has(period):
            return reach
        counts = {each: times for each, times in self.tallies.get(period, ())}  # noqa: C416 - of lists
        counts[reach] = counts.get(reach, 0) + 1
        kept: list[list[int]] = []
        room = required
        for each, times in sorted(counts.items()):
            if room > 0:
                kept.append([each, min(times, room)])
                room -= times
        self.tallies[period] = kept
        if room > 0:
            return None
        if steady:
            del self.tallies[period]
        return kept[-1][0]

    def times(self, period: int) -> int:
        """How many facts a period that isn't recorded yet has."""
        return sum(times for _, times in self.tallies.get(period, ()))

    def has(self, period: int) -> bool:
        """Whether a period that is kept here is recorded."""
        index = bisect_left(self.stretches, period, key=lambda stretch: stretch[1])
        return index < len(self.stretches) and self.stretches[index][0] <= period

    def add(self, period: int, reach: int) -> None:
        """Record a period."""
        index = bisect_left(self.stretches, period, key=lambda stretch: stretch[1])
        if index < len(self.stretches) and self.stretches[index][0] <= period:
            stretch = self.stretches[index]
            stretch[2] = min(stretch[2], reach)
        else:
            self.stretches.insert(index, [period, period, reach])
            self._join(index)
            self._join(index - 1)
        self.longest = max(self.longest, *self.lengths())

    def recall(self, rows: Iterable[tuple[int, list[int]]]) -> None:
        """Restore those that were kept in cells of their own."""
        self.stretches[:0] = sorted([first, last, reach] for last, (first, reach) in rows)
        self.older = None

    def forget(self) -> None:
        """Keep the newest periods only."""
        if self.tallies:
            floor = self.tally_floor
            self.tallies = {period: tally for period, tally in self.tallies.items() if period >= floor}
        if not self.stretches or self.stretches[0][1] >= self.stretches[-1][1] - KEPT_PERIODS:
            return
        floor = self.stretches[-1][1] - KEPT_PERIODS
        lengths = self.lengths()
        gone = next(place for place, stretch in enumerate(self.stretches) if stretch[1] >= floor)
        self.older = (self.stretches[gone - 1][1], lengths[gone - 1])
        self.rows |= {last: [first, reach] for first, last, reach in self.stretches[:gone]}
        del self.stretches[:gone]

    @property
    def tally_floor(self) -> int:
        """The oldest period whose facts are still counted here."""
        newest = max((*self.tallies, *(stretch[1] for stretch in self.stretches[-1:])), default=KEPT_PERIODS)
        return newest - KEPT_PERIODS

    def forgets(self, period: int, reach: int) -> bool:
        """Whether a record may touch periods that are no longer kept, or soon won't be.

        The period may be that of any zone: the margin of one is wider than any two differ.
        """
        if self.stretches and period - 1 <= self.stretches[-1][1] - KEPT_PERIODS:
            return True
        return self.older is not None and min(period - 1, reach) <= self.older[0] + 1

    def lengths(self) -> list[int]:
        """The length, in periods recorded, of the run that each stretch belongs to, up to and with that stretch."""
        count, linked = self.older[1] if self.older else 0, self.links()
        lengths = []
        for (first, last, _), link in zip(self.stretches, linked, strict=True):
            count = (count if link else 0) + last - first + 1
            lengths.append(count)
        return lengths

    @property
    def current(self) -> int:
        """The length of the newest run, whether or not it can still be continued."""
        return self.lengths()[-1] if self.stretches else 0

    def until(self, period: int) -> tuple[int | None, int]:
        """The last period recorded up to this one, if any, and the length of the run up to it."""
        found: tuple[int | None, int] = (None, 0)
        if self.older is not None and self.older[0] <= period:
            found = self.older
        for (first, last, _), length in zip(self.stretches, self.lengths(), strict=True):
            if first <= period:
                found = min(last, period), length - max(0, last - period)
        return found

    def links(self) -> list[bool]:
        """Whether each stretch belongs to the same run as the one before it."""
        links, reach = [], None
        for index in range(len(self.stretches) - 1, -1, -1):
            own = self.stretches[index][2]
            reach = own if reach is None else min(reach, own)
            before = self.stretches[index - 1][1] if index else self.older[0] if self.older else None
            linked = before is not None and reach <= before
            links.append(linked)
            reach = reach if linked else None
        return links[::-1]

    def _join(self, index: int) -> None:
        if 0 <= index < len(self.stretches) - 1 and self.stretches[index][1] + 1 == self.stretches[index + 1][0]:
            _, last, reach = self.stretches.pop(index + 1)
            stretch = self.stretches[index]
            stretch[1], stretch[2] = last, min(stretch[2], reach)

    @classmethod
    def load(cls, cell: Cell | None) -> Self:
        """Read what `dump` wrote."""
        if cell is None:
            return cls()
        return cls(
            [list(stretch) for stretch in cell["s"]],
            tuple(cell["o"]) if cell["o"] is not None else None,
            cell["l"],
            Moment(*cell["k"]) if cell["k"] is not None else None,
            rows_known="w" in cell or cell["o"] is None,
            recorded_at=cell.get("r"),
            tallies={int(period): tally for period, tally in cell["n"].items()} if "n" in cell else {},
        )

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        cell: dict[str, Any] = {
            "s": self.stretches,
            "o": list(self.older) if self.older is not None else None,
            "l": self.longest,
            "k": list(self.newest) if self.newest is not None else None,
        }
        if self.rows_known and self.older is not None:
            cell["w"] = 1
        if self.recorded_at is not None:
            cell["r"] = self.recorded_at
        if self.tallies:
            cell["n"] = {str(period): tally for period, tally in sorted(self.tallies.items())}
        return cell
