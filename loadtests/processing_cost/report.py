"""What was found, as Markdown: targets first, then a section for each part."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from loadtests.markdown import cell, extremes, facts_about, number, table
from loadtests.processing_cost.rounds import Sample, Spread

Compare = Callable[[float, float], float]
"""Makes the ratio of two costs, given a variant's own and that of the one it is compared with."""


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """A figure that should be at least or at most so much."""

    label: str
    found: Spread
    least: float | None = None
    most: float | None = None
    worst: bool = False
    """Whether the worst round is judged, not the median."""

    @property
    def met(self) -> bool:
        """Whether it is good enough."""
        low, high = (self.found.least, self.found.most) if self.worst else (self.found.median, self.found.median)
        return (self.least is None or low >= self.least) and (self.most is None or high <= self.most)

    @property
    def wanted(self) -> str:
        """The value to reach."""
        return f"at least {self.least:,g}" if self.least is not None else f"at most {self.most:,g}"


@dataclass(slots=True)
class ReportSection:
    """What one part found."""

    title: str
    blocks: list[str] = field(default_factory=list)
    """Paragraphs and tables."""
    targets: list[ReportTarget] = field(default_factory=list)

    def text(self) -> str:
        """The section as Markdown."""
        return "\n\n".join([f"## {self.title}", *self.blocks])


def render(about: Mapping[str, str], sections: Sequence[ReportSection]) -> str:
    """The whole document."""
    found = targets([target for section in sections for target in section.targets])
    parts = ["# What processing costs", facts_about(about), *found, *(section.text() for section in sections)]
    return "\n\n".join(parts) + "\n"


def targets(judged: Sequence[ReportTarget]) -> list[str]:
    """The targets, and whether they are met."""
    if not judged:
        return []
    head = ("", "median", "(min-max)", "wanted", "")
    rows = [
        (
            each.label,
            number(each.found.median),
            extremes(each.found),
            each.wanted + (" in every round" if each.worst else ""),
            "met" if each.met else "**not met**",
        )
        for each in judged
    ]
    return ["## Targets", table([head, *rows])]


def costs(unit: str, samples: Mapping[str, Sequence[Sample]], compare: Compare) -> str:
    """A table of the samples of each variant, and how it compares with the first one, round by round."""
    first = next(iter(samples.values()))
    rows = [(unit, "us/event", "CPU us", "ratio", "CPU ratio")]
    for name, own in samples.items():
        rows.append(
            (
                name,
                cell(Spread.of([sample.wall for sample in own])),
                cell(Spread.of([sample.cpu for sample in own])),
                cell(ratio(own, first, compare)),
                cell(Spread.of([compare(a.cpu, b.cpu) for a, b in zip(own, first, strict=True)])),
            )
        )
    return table(rows)


def ratio(own: Sequence[Sample], other: Sequence[Sample], compare: Compare) -> Spread:
    """How a variant compares with another one, round by round."""
    return Spread.of([compare(a.wall, b.wall) for a, b in zip(own, other, strict=True)])


def of_costs(own: float, other: float) -> float:
    """The ratio of two costs."""
    return own / other


def of_throughputs(own: float, other: float) -> float:
    """The ratio of the throughputs that two costs are."""
    return other / own
