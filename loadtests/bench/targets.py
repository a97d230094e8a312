"""The targets of the bench: ratios within one run and limits in milliseconds, each with the value to reach."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.bench.rounds import Results
from loadtests.processing_cost.rounds import Spread

ACCEPTED_SHARE = 0.98
"""The share of its requests that a case must accept for its latencies to count."""


@dataclass(frozen=True, slots=True)
class BenchTarget:
    """A figure of a case, alone or divided by another one, that should be at least or at most a value."""

    label: str
    own: tuple[str, str]
    """Case and figure."""
    over: tuple[str, str] | None = None
    least: float | None = None
    most: float | None = None

    def found(self, results: Results) -> Spread | None:
        """What was measured; None where a part of it wasn't."""
        return results.spread(*self.own) if self.over is None else results.ratio(self.own, self.over)

    def met(self, results: Results) -> bool:
        """Whether the median is good enough; no latency is where requests were turned away to keep it."""
        found = self.found(results)
        if found is None or (self.most is not None and self.accepted(results) < ACCEPTED_SHARE):
            return False
        value = found.median
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def accepted(self, results: Results) -> float:
        """The share of the case's requests that was accepted."""
        share = results.spread(self.own[0], "accepted")
        return 1.0 if share is None else share.median

    @property
    def wanted(self) -> str:
        """The value to reach; empty if the ratio is only informative."""
        if self.least is not None:
            return f"at least {self.least:g}"
        return "" if self.most is None else f"at most {self.most:g}"


TARGETS: Sequence[BenchTarget] = (
    BenchTarget(
        "singles at 32 in flight / Fastify", ("none.single.32", "events"), ("fastify.single.32", "events"), 1.0
    ),
    BenchTarget(
        "singles at 32 in flight / FastAPI", ("none.single.32", "events"), ("fastapi.single.32", "events"), 5.0
    ),
    BenchTarget("p99 at 32 in flight / Fastify", ("none.single.32", "p99"), ("fastify.single.32", "p99"), most=1.0),
    BenchTarget("batches / Fastify", ("none.batch", "events"), ("fastify.batch", "events"), 1.0),
    BenchTarget("batches / FastAPI", ("none.batch", "events"), ("fastapi.batch", "events")),
    BenchTarget("p99 at 128 in flight, ms", ("none.single.128", "p99"), most=50),
    BenchTarget("p99 at 2,000/s Poisson, no game, ms", ("none.open.2000", "p99"), most=10),
    BenchTarget("p99 at 1,000/s Poisson, 20 definitions, ms", ("game.open.1000", "p99"), most=50),
    BenchTarget("p99.9 at 1,000/s Poisson, 20 definitions, ms", ("game.open.1000", "p999"), most=100),
    BenchTarget(
        "ingest with the consumer saturated / no game", ("saturated", "events"), ("none.single.32", "events"), 0.5
    ),
    BenchTarget("p99 with the consumer saturated, ms", ("saturated", "p99"), most=50),
    BenchTarget("consumer under ingest / alone", ("saturated", "consumer"), ("saturated", "consumer_alone"), 0.4),
    BenchTarget("CPU of a single event / Fastify", ("none.single.32", "cpu"), ("fastify.single.32", "cpu")),
    BenchTarget("CPU of a single event / FastAPI", ("none.single.32", "cpu"), ("fastapi.single.32", "cpu")),
    BenchTarget("CPU of an event in a batch / Fastify", ("none.batch", "cpu"), ("fastify.batch", "cpu")),
    BenchTarget(
        "singles at 32 in flight / asyncio.Protocol constant",
        ("none.single.32", "events"),
        ("limit.protocol", "events"),
    ),
    BenchTarget(
        "singles at 32 in flight / bq-server without its stream",
        ("none.single.32", "events"),
        ("limit.intake", "events"),
    ),
    BenchTarget(
        "singles at 32 in flight / Hypercorn constant", ("none.single.32", "events"), ("limit.hypercorn", "events")
    ),
)
