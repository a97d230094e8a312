"""The ledger as text."""

from collections.abc import Iterator

from harness.chaos.ledger import ChaosLatency, ChaosLedger
from harness.chaos.options import DESTRUCTIONS, HABITS


def lines(ledger: ChaosLedger) -> Iterator[str]:
    """The ledger, then everything wrong with its details, then the verdict."""
    options = ledger.options
    yield (
        f"chaos: {options.seconds:g} s, {options.rate:g} events/s, {options.clients} clients, seed {options.seed}: "
        f"{', '.join(options.faults) or 'no faults'}"
    )
    yield ""
    unknown = ledger.unknown_facts + ledger.unknown_absent
    for name, value in (
        ("sent", f"{ledger.sent} events, {ledger.retries} requests retried"),
        ("acknowledged", f"{ledger.acknowledged}"),
        ("never acknowledged", f"{unknown}, of which {ledger.unknown_facts} are facts"),
        ("facts", f"{ledger.facts}"),
        ("deeds", f"{ledger.deeds}, of which {ledger.deeds_done} were done and {ledger.deeds_refused} refused"),
        (
            "made by the server",
            ", ".join(f"{count} {kind}" for kind, count in sorted(ledger.made.items())) or "nothing",
        ),
        ("duplicates", f"{ledger.duplicates_sent} sent on purpose, {ledger.duplicates_refused} refused in all"),
        *(
            [("destroyed", f"{ledger.destroyed}, each told to be lost; counted: {ledger.told_lost}")]
            if _destroys(ledger)
            else []
        ),
        ("lost", f"{ledger.lost}"),
        ("doubled", f"{ledger.doubled}"),
        ("altered", f"{ledger.altered}"),
        ("foreign", f"{ledger.foreign}"),
        ("differences", f"{ledger.differences} in {ledger.participants} states and {ledger.rankings} rankings"),
        (
            "webhooks",
            f"{ledger.webhooks_caused} caused, {ledger.webhooks_delivered} delivered, {ledger.webhooks_lost} lost, "
            f"{ledger.webhooks_invented} invented",
        ),
        ("dead letters", "unknown" if ledger.dead is None else f"{ledger.dead}"),
        ("faults", ", ".join(_faults(ledger)) or "none"),
        ("ready again", f"after {ledger.recovery_seconds:.1f} s at most"),
    ):
        yield f"  {name:<20}{value}"
    yield "  between faults"
    for route, latency in ledger.latency.items():
        yield f"    {route:<18}{_latency(latency)}"
    yield from _findings(ledger)
    yield ""
    if ledger.passed:
        yield "PASSED"
    for problem in ledger.problems:
        yield f"FAILED: {problem}"


def _destroys(ledger: ChaosLedger) -> bool:
    return any(fault in DESTRUCTIONS for fault in ledger.options.faults)


def _faults(ledger: ChaosLedger) -> Iterator[str]:
    for fault in ledger.options.faults:
        yield f"{ledger.faults[fault]} events {fault}" if fault in HABITS else f"{ledger.faults[fault]} {fault}"


def _latency(latency: ChaosLatency) -> str:
    if latency.p50 is None or latency.p99 is None:
        return "no request"
    return f"p50 {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms of {latency.requests} requests"


def _findings(ledger: ChaosLedger) -> Iterator[str]:
    for finding in ledger.findings:
        yield ""
        yield f"{finding.kind}: {finding.subject}"
        for detail in finding.details:
            yield f"    {detail}"
    for kind, count in ledger.counts.items():
        shown = sum(finding.kind == kind for finding in ledger.findings)
        if count > shown:
            yield ""
            yield f"{kind}: and {count - shown} more"
