"""Percentiles of many values, by nearest rank: each is an observed value, none is interpolated."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


def percentile(ascending: Sequence[float], share: float) -> float:
    """The least value that at least `share` (0 to 1) of the values do not exceed; NaN if there are none."""
    if not ascending:
        return math.nan
    return ascending[_rank(share, len(ascending)) - 1]


def percentile_of_counts(counts: Mapping[float, int], share: float) -> float:
    """The same for values that are counted: `counts` tells how often each one was seen."""
    total = sum(counts.values())
    if not total:
        return math.nan
    left = _rank(share, total)
    for value in sorted(counts):
        left -= counts[value]
        if left <= 0:
            return value
    raise AssertionError("a rank is never above the number of values")


def _rank(share: float, total: int) -> int:
    # Rounded first: 0.999 * 1000 is 999.0000000000001 in binary, and would be the next rank.
    return min(total, max(1, math.ceil(round(share * total, 6))))


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of one run, in the unit of the values."""

    count: int
    p50: float
    p95: float
    p99: float
    p999: float
    largest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Percentiles":
        """Those of some values; NaN in every place where there are none."""
        ascending = sorted(values)
        found = (percentile(ascending, share) for share in (0.5, 0.95, 0.99, 0.999, 1.0))
        return cls(len(ascending), *found)

    def __str__(self) -> str:
        return (
            f"p50 {self.p50:.1f}, p95 {self.p95:.1f}, p99 {self.p99:.1f}, p99.9 {self.p999:.1f}, "
            f"max {self.largest:.1f} ms"
        )
