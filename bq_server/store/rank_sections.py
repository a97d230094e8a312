"""Long rankings in sections: how many places stand in each, so that a rank needn't count them all.

A ranking is divided when somebody asks it for ranks, and kept so by whoever writes places; one that nobody asks, or a
short one, is no different from a set of rows. Called on a connection's own thread, like `batch`.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from itertools import accumulate
from typing import Any

from msgspec import Struct

from bq_server.events import Scope
from bq_server.exact_json import dumps
from bq_server.store.beside import at_the_end
from bq_server.store.queries import load

_queries = load("rankings", "sqlite3")

SECTION = 1_000
"""Places of a section when a ranking is divided; one of twice as many is divided again. A page counts a hundred times
within one, for who stood where in the period before; reading the sections of a million places takes half a
millisecond."""

LONG = 10_000
"""Fewest places worth dividing: counting this many takes half a millisecond."""

LOWEST = -(2**63)
HIGHEST = 2**63 - 1
"""Before and after all moments."""

FIRST = float("-inf")
"""The first section begins before any place there may be."""


class Miscount(Struct, frozen=True):
    """Sections of a ranking that are wrong."""

    ranking: str
    """`<kind>/<code>/<window>/<period>`."""
    counted: int
    """Places according to the sections."""
    places: int
    """Actual places."""


SectionKey = tuple[float, int]
"""A score, negated, and when it was reached: in this order places stand, equals of both aside."""


class Sections:
    """The sections of one ranking; a ranking that isn't divided is one of unknown size."""

    def __init__(self, connection: Any, ranking: int) -> None:
        self._connection = connection
        self._ranking = ranking
        rows = list(_queries.sections(connection, ranking=ranking))
        self.are_there = bool(rows)
        self._starts: list[SectionKey] = [(behind, at) for behind, at, _ in rows] or [(FIRST, LOWEST)]
        self._places: list[int] = [places for *_, places in rows] or [0]
        self._sums = list(accumulate(self._places, initial=0))
        self.counted = 0
        """Most rows that were gone through at once."""

    def total(self) -> int:
        """How many places there are."""
        if self.are_there:
            return sum(self._places)
        total: int = _queries.count(self._connection, ranking=self._ranking)
        self.counted = max(self.counted, total)
        return total

    def before(self, score: float, reached_at: int) -> int:
        """How many places stand before those of a score that was reached at a moment."""
        number = self._number(score, reached_at)
        return self._sums[number] + self.counted_from(self._starts[number], score, reached_at)

    def move(self, old: Iterable[tuple[float, int]], new: Iterable[tuple[float, int]]) -> None:
        """Account for places, given as score and moment, that were replaced by others and are already written."""
        changed: dict[int, int] = {}
        for keys, by in ((old, -1), (new, 1)):
            for score, reached_at in keys:
                number = self._number(score, reached_at)
                changed[number] = changed.get(number, 0) + by
        grown = []
        for number, by in changed.items():
            before = self._places[number]
            self._places[number] += by
            # Equals of both can't be parted: whether it helps is looked at now and then only.
            if self._places[number] // (2 * SECTION) > before // (2 * SECTION):
                grown.append(number)
        self._write(number for number, by in changed.items() if by)
        if grown:  # once all that the transaction has moved is accounted for
            connection, ranking, starts = self._connection, self._ranking, [self._starts[number] for number in grown]
            at_the_end(connection, lambda: Sections(connection, ranking).part(starts))

    def miscounted(self) -> list[tuple[SectionKey, int, int]]:
        """The sections whose count is wrong: where they start, what they say, what they hold."""
        ends = [*self._starts[1:], (-FIRST, HIGHEST)]
        held = [self.counted_from(start, -end[0], end[1]) for start, end in zip(self._starts, ends, strict=True)]
        return [each for each in zip(self._starts, self._places, held, strict=True) if each[1] != each[2]]

    def _number(self, score: float, reached_at: int) -> int:
        return bisect_right(self._starts, (-score, reached_at)) - 1

    def counted_from(self, start: SectionKey, score: float, reached_at: int) -> int:
        """The places from a section's start on that stand before a score that was reached at a moment."""
        alike = -start[0] == score
        counted: int = _queries.count_within(
            self._connection,
            ranking=self._ranking,
            top=-start[0],
            since=start[1],
            until=reached_at - 1 if alike else HIGHEST,
            score=score,
            from_time=reached_at if alike else LOWEST,
            reached_at=reached_at,
        )
        self.counted = max(self.counted, counted)
        return counted

    def part(self, starts: Iterable[SectionKey]) -> None:
        """Divide the sections that start there in two, unless all their places are equal."""
        for start in starts:
            self._part(self._starts.index(start))

    def _part(self, number: int) -> None:
        """Divide a section in two, unless all its places are equal."""
        (behind, at), places = self._starts[number], self._places[number]
        row = _nth_from(self._connection, self._ranking, (behind, at), places // 2)
        if row is None or (middle := (-row[0], row[1])) == (behind, at):
            return
        first = self.counted_from((behind, at), *row)
        self._starts.insert(number + 1, middle)
        self._places[number : number + 1] = [first, places - first]
        self._write((number, number + 1))

    def _write(self, numbers: Iterable[int]) -> None:
        put(self._connection, self._ranking, [(self._starts[each], self._places[each]) for each in numbers])


class PlacesMoved:
    """Keeps the sections of a ranking while places of these participants are written: make it before, end it after."""

    def __init__(self, connection: Any, ranking: int, participants: Collection[int]) -> None:
        self._connection = connection
        self._ranking = ranking
        self._participants = dumps(list(participants))
        self._old = self._look()

    def end(self) -> None:
        """The places are written."""
        old, new = self._old, self._look()
        if new != old:
            connection, ranking = self._connection, self._ranking
            at_the_end(connection, lambda: Sections(connection, ranking).move(old, new))

    def _look(self) -> list[tuple[float, int]]:
        return list(_queries.keys_of(self._connection, ranking=self._ranking, participants=self._participants))


def _nth_from(connection: Any, ranking: int, start: SectionKey, nth: int) -> tuple[float, int] | None:
    """The n-th place after the first of a section, as score and moment; None if the ranking ends before it."""
    behind, at = start
    row: tuple[float, int] | None = _queries.nth_from(
        connection, ranking=ranking, score=-behind, reached_at=at, nth=nth
    )
    return row


def put(connection: Any, ranking: int, sections: Iterable[tuple[SectionKey, int]]) -> None:
    """Write sections: where each starts, and how many places it has."""
    rows = [
        {"ranking": ranking, "behind": behind, "reached_at": at, "places": places} for (behind, at), places in sections
    ]
    if rows:
        _queries.put_section(connection, rows)


def is_divided(connection: Any, ranking: int) -> bool:
    """Whether a ranking is in sections."""
    return bool(_queries.is_divided(connection, ranking=ranking))


def divide(connection: Any, ranking: int) -> None:
    """Divide a ranking, in a transaction; a short one is left whole."""
    total = _queries.count(connection, ranking=ranking)
    if total <= LONG or is_divided(connection, ranking):
        return
    whole = Sections(connection, ranking)
    starts: list[SectionKey] = [(FIRST, LOWEST)]
    counts: list[int] = []
    size = SECTION
    while (row := _nth_from(connection, ranking, starts[-1], size)) is not None:
        start = (-row[0], row[1])
        if start == starts[-1]:
            size *= 2  # equals of both can't be parted
            continue
        counts.append(whole.counted_from(starts[-1], *row))
        starts.append(start)
        size = SECTION
    put(connection, ranking, zip(starts, [*counts, total - sum(counts)], strict=True))


def move_places_of(connection: Any, scope: int, participant: int, *, hidden: bool) -> None:
    """Hide a participant's places, under the negated numbers of their rankings, or show them again."""
    found = [ranking for (ranking,) in _queries.rankings_within(connection, scope=scope, participant=participant)]
    turned = [ranking for ranking in found if (ranking > 0) is hidden]
    moved = _moved(connection, turned, participant)
    _queries.turn_place(connection, [{"ranking": each, "participant": participant} for each in turned])
    for each in moved:
        each.end()


def miscounted(connection: Any, scope: Scope, *, mend: bool = False) -> Iterator[Miscount]:
    """The rankings whose sections don't say how many places they have; to `mend` them is to divide them anew."""
    for ranking, *name in list(_queries.divided(connection, **scope._asdict())):
        wrong = Sections(connection, ranking).miscounted()
        if wrong:
            if mend:
                _queries.remove_sections(connection, ranking=ranking)
                divide(connection, ranking)
            yield Miscount("/".join(name), sum(says for _, says, _ in wrong), sum(holds for *_, holds in wrong))


def remove_sections(connection: Any, ranking: int) -> None:
    """Have a ranking no longer divided, because it has no places any more."""
    _queries.remove_sections(connection, ranking=ranking)


def remove_places_of(connection: Any, scope: int, participant: int) -> None:
    """Remove a participant from all rankings."""
    found = [ranking for (ranking,) in _queries.rankings_within(connection, scope=scope, participant=participant)]
    moved = _moved(connection, found, participant)
    _queries.remove_place(connection, [{"ranking": each, "participant": participant} for each in found])
    for each in moved:
        each.end()


def _moved(connection: Any, rankings: Iterable[int], participant: int) -> list[PlacesMoved]:
    divided = [abs(ranking) for ranking in rankings if is_divided(connection, abs(ranking))]
    return [PlacesMoved(connection, ranking, [participant]) for ranking in divided]
