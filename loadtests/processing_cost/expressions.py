"""Expressions whose cost grows with what an event holds: the kinds that decision 0013 names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bq_server.game.expressions.costs import MAX_STEPS, Cost
from bq_server.game.expressions.parser import read

LARGEST = 30_000
"""Numbers, or characters, of an event that the server just takes: 64 KB."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition, and an event's properties of any size for it."""

    source: str
    properties: Callable[[int], dict[str, Any]]

    def allowed(self) -> int:
        """The largest size that is within the budget."""
        cost = Cost(read(self.source))
        low, high = 1, LARGEST
        while low < high:
            middle = (low + high + 1) // 2
            if cost.steps(self.properties(middle)) <= MAX_STEPS:
                low = middle
            else:
                high = middle - 1
        return low

    def refused(self) -> int:
        """A size far past it."""
        return min(LARGEST, max(5000, self.allowed() * 10))


def _numbers(size: int) -> dict[str, Any]:
    return {"l": [1] * size}


def _texts(size: int) -> dict[str, Any]:
    return {"l": ["t"] * (size // 2)}


def _text(size: int) -> dict[str, Any]:
    return {"s": "ab" * size}


EXPRESSIONS = (
    Expression("properties.l.all(a, properties.l.all(b, a + b >= 0.0))", _numbers),
    Expression("properties.l.map(a, a + 1.0).size() > 0", _numbers),
    Expression("properties.l.filter(a, a > 0.0).size() > 0", _numbers),
    Expression("properties.l.exists(a, a == 'x')", _texts),
    Expression("size(properties.l) > 1 && properties.l[0] == 1.0", _numbers),
    Expression("properties.s.matches('^([a-b]+,?)*$')", _text),
)
