"""Counts: plain numbers that each part keeps for itself, on the event loop, and that are read only at a scrape.

Adding to one costs a tenth or two of a microsecond; a metric object with labels and a lock would cost every event ten
times that.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of buckets for short durations; 50 ms, below which the server promises to stay, is one of them."""

LAG_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
OTHER = "other"
"""Stands for an unknown route or an uncommon method: clients choose those words, and there is no end to them."""


class Histogram:
    """How often which size was observed. A bucket counts what is at most its bound; the last one has none."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds`: ascending."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """The sum of everything observed."""

    def observe(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class RouteCounts:
    """The answers of one route."""

    __slots__ = ("seconds", "statuses")

    def __init__(self) -> None:
        self.seconds = Histogram(SECONDS)
        """From a request's head, in the lane from its last byte, to the head of its answer."""
        self.statuses: defaultdict[int, int] = defaultdict(int)

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        self.seconds.observe(seconds)

    def refused_unread(self, status: int) -> None:
        """Count an answer without its duration: it must not make the others look fast."""
        self.statuses[status] += 1


class RequestCounts:
    """The answers of every route, whatever gave them, and the codes of refusals."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], RouteCounts] = {}
        """By method and route."""
        self.refused: Counter[str] = Counter()
        """By code."""

    def of(self, method: str, route: str) -> RouteCounts:
        """Those of a route named as in the API document; `OTHER` for anything else."""
        key = (method if method in METHODS else OTHER, route)
        found = self.routes.get(key)
        if found is None:
            found = self.routes[key] = RouteCounts()
        return found


class IntakeCounts:
    """Events by path, `async` or `sync`, except those that the writer counts without looking at each."""

    def __init__(self) -> None:
        self.accepted = {"async": 0, "sync": 0}
        self.repeated = {"async": 0, "sync": 0}
        """Those among the accepted that repeat one accepted before."""
        self.rejected = 0
        """Events of batches that are not valid."""


class WriterCounts:
    """What was appended to the stream, group by group."""

    def __init__(self) -> None:
        self.seconds = Histogram(SECONDS)
        self.messages = Histogram(SIZES)
        self.appended = 0
        """Includes those represented by an earlier message with the same key."""
        self.repeated = 0
        """Those others."""


class ProcessingCounts:
    """What became of batches of events."""

    def __init__(self) -> None:
        self.facts = 0
        self.duplicates = 0
        """Events that repeat a fact: under its key, or because they were redelivered."""
        self.conflicts = 0
        self.warnings = 0
        self.seconds = Histogram(SECONDS)
        self.backlog_seconds = 0.0
        """Those of full transactions, behind which more were queued."""
        self.events = Histogram(SIZES)


class ConsumerCounts:
    """What became of messages in the stream."""

    def __init__(self) -> None:
        self.lag = Histogram(LAG_SECONDS)
        """From a message's place in the stream to its settlement, in seconds."""
        self.dead = 0
        self.failures = 0
        """How often the consumer had to wait and retry."""

    def settled(self, message_ids: Iterable[str], now: int) -> None:
        """Count messages that are settled; `now` is in microseconds since the epoch."""
        lag, now_milliseconds = self.lag, now // 1000
        for message_id in message_ids:
            lag.observe(max(0, now_milliseconds - milliseconds_of(message_id)) / 1000)


class DeliveryCounts:
    """What became of webhooks."""

    def __init__(self) -> None:
        self.tries = {"delivered": 0, "refused": 0, "no_answer": 0}
        """Requests by result: `refused` is any answer except 2xx."""
        self.set_aside = 0
        """Those given up after all their tries."""


class FeedCounts:
    """Feeds, and why they ended."""

    def __init__(self) -> None:
        self.open = 0
        self.opened = 0
        self.cut = 0
        """Those whose readers were too slow."""


class ConnectionCounts:
    """Connections of clients."""

    def __init__(self) -> None:
        self.open = 0
        self.limit = 0
        """0 if what serves the application doesn't say."""
        self.admitted = 0
        self.turned_away = 0


def milliseconds_of(message_id: str) -> int:
    """When a message was appended, in milliseconds since the epoch by the stream server's clock."""
    return int(message_id.partition("-")[0])
