"""The report of a bench, as Markdown."""

from collections.abc import Mapping, Sequence

from loadtests.bench.cases import CLOSED, LIMITS, OPEN, SATURATED, Case
from loadtests.bench.rounds import Results
from loadtests.bench.targets import ACCEPTED_SHARE, TARGETS, BenchTarget
from loadtests.markdown import cell, extremes, facts_about, number, table
from loadtests.plot import Chart, Line

PROMISE_MS = 50.0

SECTIONS = {
    LIMITS: (
        "Limits",
        "What nothing built on these parts can exceed. Processor time is that of the process that serves or appends.",
        ("events", "p99", "cpu", "stream_cpu"),
    ),
    CLOSED: (
        "Closed loop",
        "wrk on the same machine, a fixed number of requests in flight.",
        ("events", "p50", "p95", "p99", "p999", "cpu", "stream_cpu", "rss", "stream_rss", "refused"),
    ),
    SATURATED: (
        "A busy consumer",
        "Events are queued first, so that the consumer is never idle; then single events arrive; then none do.",
        ("events", "p50", "p99", "p999", "consumer", "consumer_alone", "left", "refused"),
    ),
    OPEN: (
        "Open loop",
        "Poisson arrivals of single events; latencies count from the moment a request was due. Where the share "
        "answered in time is under 0.98 the server didn't keep up, and its latencies grow with the length of the run.",
        ("events", "share", "p50", "p95", "p99", "p999", "max", "cpu", "rss", "refused"),
    ),
}

TITLES = {
    "events": "events/s",
    "share": "in time",
    "p50": "p50 ms",
    "p95": "p95 ms",
    "p99": "p99 ms",
    "p999": "p99.9 ms",
    "max": "max ms",
    "cpu": "CPU us/event",
    "stream_cpu": "Valkey us/event",
    "rss": "RSS MB",
    "stream_rss": "Valkey MB",
    "refused": "not accepted",
    "consumer": "facts/s meanwhile",
    "consumer_alone": "facts/s alone",
    "left": "events left",
}


def render(cases: Sequence[Case], results: Results, about: Mapping[str, str]) -> str:
    """The whole document."""
    parts = ["# Bench", facts_about(about), *_targets(results)]
    for section in SECTIONS:
        own = [case for case in cases if case.section == section]
        if own:
            parts += _section(section, own, results)
    told = [*(f"{_label(cases, name)}: skipped: {why}" for name, why in results.missing.items())]
    for name, reasons in results.failures.items():
        told.append(f"{_label(cases, name)}: failed in {len(reasons)} rounds: {reasons[-1]}")
    if told:
        parts += ["## Not measured", "\n".join(f"- {each}" for each in told)]
    return "\n\n".join(parts) + "\n"


def picture(cases: Sequence[Case], results: Results) -> str | None:
    """Latency against the rate of arrivals, as SVG; None if nothing was measured."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for case in cases:
        if case.section == OPEN and case.rate is not None:
            for figure in ("p50", "p99"):
                if (found := results.spread(case.name, figure)) is not None:
                    game = case.label.partition(":")[0]
                    lines.setdefault(f"{TITLES[figure].partition(' ')[0]}, {game}", []).append(
                        (case.rate, found.median)
                    )
    if not lines:
        return None
    return Chart(
        "Latency against rate",
        f"single events, Poisson arrivals, medians of {len(results.rounds)} rounds",
        "events a second",
        "milliseconds since the request was due",
        [Line(name, points) for name, points in lines.items()],
        PROMISE_MS,
    ).svg()


def _targets(results: Results) -> list[str]:
    rows = [("", "median", "(min-max)", "wanted", "")]
    for target in TARGETS:
        found = target.found(results)
        if found is not None:
            rows.append((target.label, number(found.median), extremes(found), target.wanted, _verdict(target, results)))
    intro = "Ratios are made round by round, of measurements a moment apart; the median of the rounds is judged."
    return ["## Targets", intro, table(rows)] if len(rows) > 1 else []


def _verdict(target: BenchTarget, results: Results) -> str:
    if not target.wanted:
        return ""
    accepted = target.accepted(results)
    turned_away = "" if accepted >= ACCEPTED_SHARE else f" ({1 - accepted:.0%} of the requests were not accepted)"
    return ("met" if target.met(results) else "**not met**") + turned_away


def _section(section: str, cases: Sequence[Case], results: Results) -> list[str]:
    title, intro, figures = SECTIONS[section]
    shown = [each for each in figures if any(results.spread(case.name, each) for case in cases)]
    rows = [("", *(TITLES[each] for each in shown))]
    for case in cases:
        cells = [cell(results.spread(case.name, each)) for each in shown]
        if any(cells):
            rows.append((case.label, *cells))
    return [f"## {title}", intro, table(rows)] if len(rows) > 1 else []


def _label(cases: Sequence[Case], name: str) -> str:
    return next((case.label for case in cases if case.name == name), name)
