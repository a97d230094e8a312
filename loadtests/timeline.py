"""How the promised route responded, second by second, so that a run whose load changes can be reported in parts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from loadtests.percentiles import percentile_of_counts


@dataclass(frozen=True, slots=True)
class TimelineWindow:
    """A part of a run. Latencies count from the moment a request was due, in milliseconds; NaN where there are none."""

    start: int
    """Seconds of the system's clock."""
    seconds: int
    answered: int
    failed: int
    p50: float
    p95: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests answered a second."""
        return self.answered / self.seconds


@dataclass(slots=True)
class Second:
    """Requests answered within one second of the system's clock."""

    failed: int = 0
    latencies: Counter[float] = field(default_factory=Counter)
    """How often each was seen, in tenths of a millisecond."""


@dataclass(slots=True)
class Timeline:
    """Of one generator; those of several add up."""

    seconds: dict[int, Second] = field(default_factory=dict)

    def note(self, moment: float, latency: float, *, failed: bool) -> None:
        """Count a request that was answered at a moment of the system's clock, after so many milliseconds."""
        second = self.seconds.setdefault(int(moment), Second())
        second.latencies[round(latency, 1)] += 1
        second.failed += failed

    def window(self, start: int, end: int) -> TimelineWindow:
        """What was answered from one second to before another."""
        found: Counter[float] = Counter()
        failed = 0
        for second in range(start, end):
            if (each := self.seconds.get(second)) is not None:
                found.update(each.latencies)
                failed += each.failed
        p50, p95, p99 = (percentile_of_counts(found, share) for share in (0.5, 0.95, 0.99))
        return TimelineWindow(start, end - start, found.total(), failed, p50, p95, p99)

    def windows(self, parts: int) -> list[TimelineWindow]:
        """The whole run in at most so many windows of one length; the last, which may be cut short, is left out."""
        if not self.seconds:
            return []
        first, last = min(self.seconds), max(self.seconds)
        length = max(1, -(-(last - first) // parts))
        return [self.window(start, start + length) for start in range(first, last - length + 1, length)]

    def add(self, other: Self) -> None:
        """Add the counts of another generator."""
        for second, seen in other.seconds.items():
            own = self.seconds.setdefault(second, Second())
            own.failed += seen.failed
            own.latencies.update(seen.latencies)

    def as_dict(self) -> dict[str, Any]:
        """What was seen, as JSON takes it."""
        return {
            str(second): {"failed": seen.failed, "latencies": [[each, count] for each, count in seen.latencies.items()]}
            for second, seen in self.seconds.items()
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The reverse of `as_dict`."""
        return cls(
            {int(second): Second(seen["failed"], Counter(dict(seen["latencies"]))) for second, seen in found.items()}
        )
