"""A participant's attributes over time: what conditions see is what held at the event's time.

`system.attributes_changed` merges into what held before it (RFC 7396). Of each attribute there is a timeline by event
time, in a cell of its own: a condition that names one reads no other, however often those change.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from msgspec import Struct

from bq_server.game.facts import ATTRIBUTES_CHANGED, AttributesChanged, Fact, Moment, system_properties
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells
from bq_server.game.voids import voids_among

Timeline = list[list[Any]]
"""`[[at, seq, patch], ...]`, in order."""


def merged(kept: Any, patch: Any) -> Any:
    """The result of a merge patch (RFC 7396). Neither is changed."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(kept) if isinstance(kept, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


class Attributes(Struct, frozen=True):
    """A participant's attributes, at any moment."""

    timelines: Mapping[str, Timeline]
    """By name; perhaps of some only."""

    @classmethod
    def of_cells(cls, cells: Iterable[tuple[str, Cell]]) -> Self:
        """Those in cells."""
        return cls({cell[0]: cell[1] for key, cell in cells if key.startswith(keys.ATTRIBUTES)})

    @classmethod
    def of_facts(cls, facts: Iterable[Fact]) -> Self:
        """Those that all facts of a participant lead to."""
        known = list(facts)
        told = [fact for fact in known if fact.fact_type == ATTRIBUTES_CHANGED]
        void = voids_among(known).by if told else {}
        return cls({}).changed([fact for fact in told if fact.fact_id not in void])

    def changed(self, told: Iterable[Fact], untold: Iterable[Fact] = ()) -> Self:
        """The attributes with some facts, and without others."""
        found: dict[str, dict[Moment, Any]] = {}

        def timeline(name: str) -> dict[Moment, Any]:
            if name not in found:
                found[name] = {Moment(at, seq): patch for at, seq, patch in self.timelines.get(name, ())}
            return found[name]

        for fact in untold:
            for name, _ in patches(fact):
                timeline(name).pop(fact.moment, None)
        for fact in told:
            for name, patch in patches(fact):
                timeline(name)[fact.moment] = patch
        new = {name: [[*moment, own[moment]] for moment in sorted(own)] for name, own in found.items()}
        return type(self)({**self.timelines, **new})

    def at(self, moment: Moment, names: Iterable[str] | None = None) -> dict[str, Any]:
        """What held at a moment, of these names or of all."""
        found: dict[str, Any] = {}
        for name in self.timelines if names is None else names:
            value = _value(self.timelines.get(name, []), moment)
            if value is not None:
                found[name] = value
        return found

    def cells(self, names: Iterable[str]) -> Iterator[tuple[str, Cell | None]]:
        """The cells of these names; None where there is none."""
        for name in names:
            timeline = self.timelines.get(name)
            yield keys.attribute(name), [name, timeline] if timeline else None


def patches(fact: Fact) -> Iterable[tuple[str, Any]]:
    """What a fact says about attributes, by name."""
    properties = system_properties(fact) if fact.fact_type == ATTRIBUTES_CHANGED else None
    return properties.attributes.items() if isinstance(properties, AttributesChanged) else ()


def changes(facts: Iterable[Fact]) -> dict[str, Moment]:
    """The attributes that facts set, remove, or no more do either, each with the first moment at which one does."""
    found: dict[str, Moment] = {}
    for fact in facts:
        for name, _ in patches(fact):
            found[name] = min(fact.moment, found.get(name, fact.moment))
    return found


def current(cells: Cells, now: int) -> dict[str, Any] | None:
    """The attributes at a moment, in microseconds, from all their cells; None if no fact ever told of any."""
    attributes = Attributes.of_cells(cells.items())
    return attributes.at(Moment(now, _LAST)) if attributes.timelines else None


_LAST = 2**63
"""After every fact of the same time."""


def _value(timeline: Timeline, moment: Moment) -> Any:
    """What the patches before a moment lead to; None if there is no such attribute then."""
    end = bisect_left(timeline, list(moment))
    start = end
    while start > 0:
        start -= 1
        if not isinstance(timeline[start][2], Mapping):
            break
    value = None
    for _, _, patch in timeline[start:end]:
        value = merged(value, patch)
    return value
