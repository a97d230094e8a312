"""Variants measured in turns, so that what else the machine does falls on all of them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


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


async def interleave(turns: Mapping[str, Turn], rounds: int, warm_up: int) -> dict[str, list[Sample]]:
    """Let each variant take its turn in every round; answer the samples of each but those of the warm-up rounds.

    Every second round goes backwards, so that no variant always pays for what the one before it left behind.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in turns}
    for number in range(warm_up + rounds):
        order = list(turns)[:: 1 if number % 2 == 0 else -1]
        for name in order:
            sample = await turns[name]()
            if number >= warm_up:
                samples[name].append(sample)
    return samples


def table(
    title: str, unit: str, samples: Mapping[str, Sequence[Sample]], *, compare: Callable[[float, float], float]
) -> str:
    """The samples of each variant, and how it compares with the first one, round by round.

    `compare(own, first)` makes the ratio of two costs.
    """
    first = next(iter(samples.values()))
    head = (unit, "us/event", "(min-max)", "CPU us", "ratio", "(min-max)", "CPU ratio", "(min-max)")
    rows: list[tuple[str, ...]] = [head]
    for name, own in samples.items():
        wall = Spread.of([sample.wall for sample in own])
        cpu = Spread.of([sample.cpu for sample in own])
        ratios = Spread.of([compare(a.wall, b.wall) for a, b in zip(own, first, strict=True)])
        cpu_ratios = Spread.of([compare(a.cpu, b.cpu) for a, b in zip(own, first, strict=True)])
        rows.append(
            (
                name,
                f"{wall.median:.0f}",
                f"({wall.least:.0f}-{wall.most:.0f})",
                f"{cpu.median:.0f}",
                f"{ratios.median:.2f}",
                f"({ratios.least:.2f}-{ratios.most:.2f})",
                f"{cpu_ratios.median:.2f}",
                f"({cpu_ratios.least:.2f}-{cpu_ratios.most:.2f})",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([title, *lines])
