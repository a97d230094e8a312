"""Variants measured in turns, so that other load on the machine affects all of them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sample:
    """What an event cost in one turn of a variant, in microseconds on average."""

    wall: float
    cpu: float
    """Of all threads of the process."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of the rounds, and their extremes."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one value."""
        return cls(median(values), min(values), max(values))


Turn = Callable[[], Awaitable[Sample]]
"""Processes the next few batches of a variant."""


async def interleave(turns: Mapping[str, Callable[[], Awaitable[T]]], rounds: int, warm_up: int) -> dict[str, list[T]]:
    """Let each variant take its turn in every round; returns what each found but in the warm-up rounds.

    Every second round goes backwards, so that no variant always pays for what the one before it left behind.
    """
    samples: dict[str, list[T]] = {name: [] for name in turns}
    for number in range(warm_up + rounds):
        order = list(turns)[:: 1 if number % 2 == 0 else -1]
        for name in order:
            sample = await turns[name]()
            if number >= warm_up:
                samples[name].append(sample)
    return samples
