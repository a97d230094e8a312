"""Whether a run passed, from its figures alone. Milliseconds for response times, seconds for the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class LoadOutcome(StrEnum):
    """What a run showed."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    INVALID = "INVALID"


EXIT_CODES = {LoadOutcome.PASSED: 0, LoadOutcome.FAILED: 1, LoadOutcome.INVALID: 3}
"""2 is for usage errors."""


@dataclass(frozen=True, slots=True)
class RouteFigures:
    """How one route answered. Percentiles are of response times from sending to the last byte, in milliseconds."""

    name: str
    requests: int
    failures: int
    events: int
    p50: float
    p95: float
    p99: float
    slowest: float


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """One kind of failure and how often it was seen."""

    what: str
    times: int


@dataclass(frozen=True, slots=True)
class RunFigures:
    """A whole run. `due` to `late` count requests (see `Tally`).

    `promised` names the route whose p99 is judged; None when the mix holds no request for it.
    """

    seconds: float
    users: int
    rate_per_user: float
    all_users_started: bool
    due: int
    answered: int
    late: int
    promised: str | None
    routes: Sequence[RouteFigures]
    failures: Sequence[LoadFailure] = ()
    generator_errors: int = 0

    @property
    def events(self) -> int:
        """Events taken on all routes."""
        return sum(route.events for route in self.routes)

    def per_second(self, count: int) -> float:
        """The count as a rate over the run."""
        return count / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """What a run must stay within."""

    p99_ms: float = 50.0
    achieved_share: float = 0.9
    late_ms: float = 50.0
    late_share: float = 0.01


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome and its reasons, a sentence each."""

    outcome: LoadOutcome
    reasons: Sequence[str]

    @property
    def exit_code(self) -> int:
        """Of the process that ran the test."""
        return EXIT_CODES[self.outcome]


def judge(run: RunFigures, limits: LoadLimits) -> Judgement:
    """Decide. INVALID outweighs FAILED: then the response times don't belong to the load that was asked for."""
    invalid, failed = _why_invalid(run, limits), _why_failed(run, limits)
    if invalid:
        return Judgement(LoadOutcome.INVALID, [*invalid, *failed])
    if failed:
        return Judgement(LoadOutcome.FAILED, failed)
    promised = _promised(run)
    p99 = (
        f"p99 of {run.promised} is {promised.p99:.1f} ms (limit {limits.p99_ms:g} ms)" if promised else "p99 not judged"
    )
    return Judgement(LoadOutcome.PASSED, [f"{p99}, no request failed"])


def _why_invalid(run: RunFigures, limits: LoadLimits) -> list[str]:
    reasons = []
    promised = _promised(run)
    if not any(route.requests for route in run.routes):
        reasons.append("no request was made")
    elif run.promised and not (promised and promised.requests):
        reasons.append(f"{run.promised} got no request, so its p99 is not known")
    if not run.all_users_started:
        reasons.append("the run ended before all users were started: run longer or raise --spawn-rate")
    if run.answered < limits.achieved_share * run.due:
        reasons.append(
            f"achieved {run.per_second(run.answered):.1f} of {run.per_second(run.due):.1f} requests/s, "
            f"{_percent(run.answered, run.due)}, below {limits.achieved_share:.0%}: users that wait for responses hide "
            "a slow server, so the response times are too good to be true"
        )
    if run.late > limits.late_share * run.due:
        reasons.append(
            f"{_percent(run.late, run.due)} of the requests (more than {limits.late_share:.0%}) were sent over "
            f"{limits.late_ms:g} ms late, and that wait is not in the response times: the server stalled, or the "
            "generator got no processor time, or there are too few users for this rate"
        )
    if run.generator_errors:
        reasons.append(f"the load test itself raised {run.generator_errors} errors (see the log)")
    return reasons


def _why_failed(run: RunFigures, limits: LoadLimits) -> list[str]:
    reasons = []
    failures = sum(route.failures for route in run.routes)
    if failures:
        requests = sum(route.requests for route in run.routes)
        worst = sorted(run.failures, key=lambda failure: -failure.times)[:5]
        shown = "; ".join(f"{failure.times} x {failure.what}" for failure in worst)
        reasons.append(f"{failures} of {requests} requests failed" + (f": {shown}" if shown else ""))
    promised = _promised(run)
    if promised and promised.requests and promised.p99 > limits.p99_ms:
        reasons.append(f"p99 of {run.promised} is {promised.p99:.1f} ms, over the limit of {limits.p99_ms:g} ms")
    return reasons


def report(run: RunFigures, judgement: Judgement, limits: LoadLimits) -> str:
    """The table of the run, its rates, and the verdict, as text of several lines."""
    width = max((len(route.name) for route in run.routes), default=5)
    header = ("requests", "failed", "events", "p50 ms", "p95 ms", "p99 ms", "max ms")
    lines = [f"  {'route':<{width}}" + "".join(f"{title:>10}" for title in header)]
    for route in run.routes:
        counts = "".join(f"{count:>10}" for count in (route.requests, route.failures, route.events))
        times = "".join(f"{time:>10.1f}" for time in (route.p50, route.p95, route.p99, route.slowest))
        lines.append(f"  {route.name:<{width}}{counts}{times}")
    nominal = f"{run.users} users x {run.rate_per_user:g}/s = {run.users * run.rate_per_user:g}/s on average"
    lines += [
        "",
        f"  requested  {run.per_second(run.due):.1f} requests/s over {run.seconds:.1f} s ({nominal})",
        f"  achieved   {run.per_second(run.answered):.1f} requests/s ({_percent(run.answered, run.due)}), "
        f"{run.per_second(run.events):.1f} events/s",
        f"  sent late  {_percent(run.late, run.due)} more than {limits.late_ms:g} ms after they were due",
        "",
    ]
    first, *others = judgement.reasons
    return "\n".join([*lines, f"{judgement.outcome}: {first}", *(f"  and {reason}" for reason in others)])


def _promised(run: RunFigures) -> RouteFigures | None:
    return next((route for route in run.routes if route.name == run.promised), None)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"
