"""The counts of the last quarter of an hour, in intervals, for a person without Prometheus at hand."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

from msgspec import Struct

from bq_server.clock import Clock
from bq_server.metrics.counts import Histogram
from bq_server.metrics.families import QueueDepth, Sources

INTERVAL_SECONDS = 10
INTERVALS = 90


class CountsAtMoment(Struct, frozen=True):
    """The counts at a moment, in microseconds since the epoch, UTC."""

    at: int
    accepted: int
    facts: int
    refused: Counter[str]
    accepting: Sequence[int]
    lag: Sequence[int]
    waiting: QueueDepth | None


class Interval(Struct, frozen=True):
    """What happened between two readings. Seconds are None if nothing did."""

    ended_at: int
    accepted: int
    facts: int
    refused: dict[str, int]
    accept_p99: float | None
    """From a request's head to its 202."""
    lag_p50: float | None
    lag_p99: float | None
    """From a message's entry into the stream until it is settled."""
    waiting: int | None
    """Messages at its end; None if the stream couldn't be queried."""


class ActivityHistory:
    """Reads the counts every ten seconds. That costs events nothing."""

    def __init__(self, sources: Sources, ask: Callable[[], Awaitable[QueueDepth | None]], clock: Clock) -> None:
        self._sources = sources
        self._ask = ask
        self._clock = clock
        self._taken: deque[CountsAtMoment] = deque(maxlen=INTERVALS + 1)

    async def keep(self) -> None:
        """Read until cancelled."""
        while True:
            self._taken.append(await self.read())
            await asyncio.sleep(INTERVAL_SECONDS)

    async def read(self) -> CountsAtMoment:
        """The current counts."""
        sources, waiting = self._sources, await self._ask()
        return CountsAtMoment(
            self._clock(),
            sum(sources.intake.accepted.values()) + sources.writer.appended,
            sources.processing.facts,
            sources.requests.refused.copy(),
            tuple(self._accepting.counts),
            tuple(sources.consumer.lag.counts),
            waiting,
        )

    async def intervals(self) -> tuple[list[Interval], QueueDepth | None]:
        """The intervals, oldest first, up to now; and what is waiting now."""
        now = await self.read()
        bounds = self._accepting.bounds, self._sources.consumer.lag.bounds
        return [_between(one, other, *bounds) for one, other in pairwise([*self._taken, now])], now.waiting

    @property
    def _accepting(self) -> Histogram:
        return self._sources.requests.of("POST", "/api/v1/ingest/events").seconds


def _between(
    before: CountsAtMoment, after: CountsAtMoment, accept_bounds: Sequence[float], lag_bounds: Sequence[float]
) -> Interval:
    accepting = [new - old for old, new in zip(before.accepting, after.accepting, strict=True)]
    lag = [new - old for old, new in zip(before.lag, after.lag, strict=True)]
    return Interval(
        after.at,
        after.accepted - before.accepted,
        after.facts - before.facts,
        dict(after.refused - before.refused),
        quantile(accept_bounds, accepting, 0.99),
        quantile(lag_bounds, lag, 0.5),
        quantile(lag_bounds, lag, 0.99),
        None if after.waiting is None else after.waiting.messages,
    )


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """The value below which that share lies, assuming an even spread within its bucket; None if nothing was counted.

    Beyond the last bound, that bound.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    low, passed = 0.0, 0
    for bound, count in zip(bounds, counts, strict=False):
        if count and passed + count >= wanted:
            return low + (bound - low) * (wanted - passed) / count
        low, passed = bound, passed + count
    return low
