"""Cases measured in turns, so that other load on the machine affects all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from loadtests.bench.cases import Case, Measured, Pace
from loadtests.processing_cost.rounds import Spread
from loadtests.subjects import SubjectNotFound


@dataclass(slots=True)
class Results:
    """The figures of each case in each round; None where a round has none of a case."""

    rounds: list[dict[str, Measured]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Why a case can't be measured here."""
    failures: dict[str, list[str]] = field(default_factory=dict)
    """What went wrong in rounds that have no figures of a case."""

    def spread(self, case: str, figure: str) -> Spread | None:
        """The median and the extremes of a figure over the rounds; None if there is none."""
        found = [value for each in self.rounds if (value := each.get(case, {}).get(figure)) is not None]
        return Spread.of(found) if found else None

    def ratio(self, own: tuple[str, str], other: tuple[str, str]) -> Spread | None:
        """The ratio of two figures, each given as (case, figure), made round by round."""
        pairs = [(each.get(own[0], {}).get(own[1]), each.get(other[0], {}).get(other[1])) for each in self.rounds]
        found = [a / b for a, b in pairs if a is not None and b]
        return Spread.of(found) if found else None


def run(cases: Sequence[Case], rounds: int, pace: Pace, tell: Callable[[str], None]) -> Results:
    """Measure every case once per round; every second round runs in reverse order."""
    results = Results()
    for number in range(rounds):
        found: dict[str, Measured] = {}
        results.rounds.append(found)
        for case in cases[:: 1 if number % 2 == 0 else -1]:
            if case.name in results.missing:
                continue
            try:
                found[case.name] = case.measure(pace)
            except SubjectNotFound as reason:
                results.missing[case.name] = str(reason)
                tell(f"{case.label}: skipped: {reason}")
            except Exception as error:  # noqa: BLE001 - one case that fails must not cost all the others
                results.failures.setdefault(case.name, []).append(f"{type(error).__name__}: {error}")
                tell(f"round {number + 1}  {case.label}: FAILED: {error}")
            else:
                tell(f"round {number + 1}  {case.label}: {_short(found[case.name])}")
    return results


def _short(measured: Mapping[str, float]) -> str:
    p99 = f", p99 {measured['p99']:.1f} ms" if "p99" in measured else ""
    return f"{measured['events']:,.0f}/s{p99}"
