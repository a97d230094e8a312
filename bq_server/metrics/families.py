"""Every metric: its name, its meaning, and how it is read. `docs/metrics.md` lists them, which a test checks."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from bq_server.concurrency.byte_budget import ByteBudget
from bq_server.metrics.counts import (
    ConnectionCounts,
    ConsumerCounts,
    DeliveryCounts,
    FeedCounts,
    Histogram,
    IntakeCounts,
    ProcessingCounts,
    RequestCounts,
    WriterCounts,
)
from bq_server.refusals import Code

Value = float | Histogram
Sample = tuple[tuple[str, ...], Value]
"""The values of the labels, and the metric's."""


class Sources(Struct, frozen=True):
    """The counts of every part."""

    requests: RequestCounts
    connections: ConnectionCounts
    budget: ByteBudget
    intake: IntakeCounts
    writer: WriterCounts
    consumer: ConsumerCounts
    processing: ProcessingCounts
    delivery: DeliveryCounts
    feeds: FeedCounts
    loop_delay: Histogram
    database: Path | None
    """The store's own file, if it has one."""
    queue_limit: int
    build: tuple[str, str, str]
    """Versions of this program, of SQLite and of the stream server."""
    processes: Callable[[], Mapping[tuple[str, str], int]] | None = None
    """How many processes share the store, by role and state; None if this one serves alone."""


class QueueDepth(Struct, frozen=True):
    """What is in the stream."""

    messages: int
    oldest_seconds: float
    """Age of the message that has waited longest; 0 if there is none."""
    dead: int


class Scrape(Struct, frozen=True):
    """What is read at one moment: the counts, and what had to be queried."""

    sources: Sources
    waiting: QueueDepth | None
    """None while the stream can't be queried."""
    webhooks_waiting: int | None = None
    """None while the store can't be read."""
    checks: Mapping[str, bool] = field(default_factory=dict)
    """Of `/readyz`."""


class Family(Struct, frozen=True):
    """A metric."""

    name: str
    """As it is exposed; for a histogram, without `_bucket`, `_sum` and `_count`."""
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    read: Callable[[Scrape], Iterable[Sample]]
    labels: tuple[str, ...] = ()

    @property
    def series(self) -> list[str]:
        """The names that a query may use."""
        suffixes = ("_bucket", "_sum", "_count") if self.kind == "histogram" else ("",)
        return [self.name + suffix for suffix in suffixes]


def _one(value: Value | None) -> list[Sample]:
    return [] if value is None else [((), value)]


def _each(values: Mapping[str, float]) -> list[Sample]:
    return [((label,), value) for label, value in values.items()]


def _by_path(counted: Mapping[str, int], written: int) -> list[Sample]:
    return _each({**counted, "async": counted["async"] + written})


def _size(path: Path | None, suffix: str = "") -> list[Sample]:
    if path is None:
        return []
    try:
        return _one(path.with_name(path.name + suffix).stat().st_size)
    except OSError:
        return []


FAMILIES = (
    Family(
        "bq_http_requests_total",
        "counter",
        "Answered requests. The route is named as in the OpenAPI document; `other` is any other path.",
        lambda now: [
            ((*key, str(status)), count)
            for key, route in now.sources.requests.routes.items()
            for status, count in route.statuses.items()
        ],
        ("method", "route", "status"),
    ),
    Family(
        "bq_http_request_duration_seconds",
        "histogram",
        "Seconds from a request's head, in the lane from its last byte, to the head of its answer. "
        "Requests that are refused unread, under overload, are not included.",
        lambda now: [(key, route.seconds) for key, route in now.sources.requests.routes.items()],
        ("method", "route"),
    ),
    Family(
        "bq_requests_refused_total",
        "counter",
        "Refused requests, by the code in docs/errors.md.",
        # Every code from the start: Prometheus sees no increase in a series that begins with its first value.
        lambda now: _each({code.value: now.sources.requests.refused[code] for code in Code}),
        ("code",),
    ),
    Family(
        "bq_events_accepted_total",
        "counter",
        "Accepted events: into the stream (`async`), or made facts at once (`sync`, including manual awards).",
        lambda now: _by_path(now.sources.intake.accepted, now.sources.writer.appended),
        ("path",),
    ),
    Family(
        "bq_events_repeated_total",
        "counter",
        "Accepted events that only repeated an earlier idempotency key.",
        lambda now: _by_path(now.sources.intake.repeated, now.sources.writer.repeated),
        ("path",),
    ),
    Family(
        "bq_batch_events_rejected_total",
        "counter",
        "Invalid events that were rejected in batches.",
        lambda now: _one(now.sources.intake.rejected),
    ),
    Family(
        "bq_facts_total",
        "counter",
        "Facts made.",
        lambda now: _one(now.sources.processing.facts),
    ),
    Family(
        "bq_duplicates_total",
        "counter",
        "Events that were facts already: repeated under a key, or redelivered.",
        lambda now: _one(now.sources.processing.duplicates),
    ),
    Family(
        "bq_conflicts_total",
        "counter",
        "Events whose idempotency key turned out to belong to another fact.",
        lambda now: _one(now.sources.processing.conflicts),
    ),
    Family(
        "bq_rule_warnings_total",
        "counter",
        "Facts for which an expression of the game had no usable value; `GET /gamify/admin/game` lists them.",
        lambda now: _one(now.sources.processing.warnings),
    ),
    Family(
        "bq_batch_duration_seconds",
        "histogram",
        "Seconds for a batch of events to become facts: one transaction, including the wait for it.",
        lambda now: _one(now.sources.processing.seconds),
    ),
    Family(
        "bq_batch_events",
        "histogram",
        "Events in such a batch.",
        lambda now: _one(now.sources.processing.events),
    ),
    Family(
        "bq_accept_to_fact_seconds",
        "histogram",
        "Seconds from a message's entry into the stream until it is settled, by both servers' clocks.",
        lambda now: _one(now.sources.consumer.lag),
    ),
    Family(
        "bq_oldest_unfinished_seconds",
        "gauge",
        "Age of the oldest message that isn't settled; 0 if there is none. Absent while the stream can't be asked.",
        lambda now: _one(now.waiting.oldest_seconds if now.waiting else None),
    ),
    Family(
        "bq_queue_messages",
        "gauge",
        "Accepted messages that are not settled. Absent while the stream can't be asked.",
        lambda now: _one(now.waiting.messages if now.waiting else None),
    ),
    Family(
        "bq_queue_limit_messages",
        "gauge",
        "`--queue-limit`.",
        lambda now: _one(now.sources.queue_limit),
    ),
    Family(
        "bq_dead_letters",
        "gauge",
        "Messages set aside because they can't be processed. Absent while the stream can't be asked.",
        lambda now: _one(now.waiting.dead if now.waiting else None),
    ),
    Family(
        "bq_messages_dead_total",
        "counter",
        "Messages that became dead letters.",
        lambda now: _one(now.sources.consumer.dead),
    ),
    Family(
        "bq_consumer_failures_total",
        "counter",
        "Times that the consumer had to wait and retry, because the stream or the database was unavailable.",
        lambda now: _one(now.sources.consumer.failures),
    ),
    Family(
        "bq_webhook_tries_total",
        "counter",
        "Requests to webhook endpoints: `delivered`, `refused` for any answer but 2xx, or `no_answer`.",
        lambda now: _each(now.sources.delivery.tries),
        ("result",),
    ),
    Family(
        "bq_webhooks_waiting",
        "gauge",
        "Webhooks that wait for an enabled endpoint. Absent while the database can't be read.",
        lambda now: _one(now.webhooks_waiting),
    ),
    Family(
        "bq_webhooks_set_aside_total",
        "counter",
        "Webhooks that are no longer retried, because all their tries failed.",
        lambda now: _one(now.sources.delivery.set_aside),
    ),
    Family(
        "bq_feeds_open",
        "gauge",
        "Open feeds; `--max-feeds` is the limit.",
        lambda now: _one(now.sources.feeds.open),
    ),
    Family(
        "bq_feeds_opened_total",
        "counter",
        "Opened feeds.",
        lambda now: _one(now.sources.feeds.opened),
    ),
    Family(
        "bq_feeds_cut_total",
        "counter",
        "Feeds ended because their reader was too slow.",
        lambda now: _one(now.sources.feeds.cut),
    ),
    Family(
        "bq_stream_write_duration_seconds",
        "histogram",
        "Seconds for a write to the stream, until it is durable.",
        lambda now: _one(now.sources.writer.seconds),
    ),
    Family(
        "bq_stream_write_messages",
        "histogram",
        "Messages in such a write.",
        lambda now: _one(now.sources.writer.messages),
    ),
    Family(
        "bq_loop_delay_seconds",
        "histogram",
        "How late the event loop wakes up, in seconds, measured ten times a second. Every request waits that long.",
        lambda now: _one(now.sources.loop_delay),
    ),
    Family(
        "bq_connections",
        "gauge",
        "Connections open.",
        lambda now: _one(now.sources.connections.open),
    ),
    Family(
        "bq_connections_limit",
        "gauge",
        "Most connections that may be open.",
        lambda now: _one(now.sources.connections.limit),
    ),
    Family(
        "bq_connections_admitted_total",
        "counter",
        "Connections let in.",
        lambda now: _one(now.sources.connections.admitted),
    ),
    Family(
        "bq_connections_turned_away_total",
        "counter",
        "Connections refused, because the limit was reached.",
        lambda now: _one(now.sources.connections.turned_away),
    ),
    Family(
        "bq_inflight_bytes",
        "gauge",
        "Bytes of bodies and answers in flight.",
        lambda now: _one(now.sources.budget.used),
    ),
    Family(
        "bq_inflight_limit_bytes",
        "gauge",
        "`--max-inflight-bytes`.",
        lambda now: _one(now.sources.budget.limit),
    ),
    Family(
        "bq_database_bytes",
        "gauge",
        "Size of the database's file.",
        lambda now: _size(now.sources.database),
    ),
    Family(
        "bq_wal_bytes",
        "gauge",
        "Size of its write-ahead log. It never shrinks, is normally about 64 MiB, and grows during a long read.",
        lambda now: _size(now.sources.database, "-wal"),
    ),
    Family(
        "bq_check_ok",
        "gauge",
        "1 where a check of `/readyz` is content, else 0.",
        lambda now: _each(now.checks),
        ("check",),
    ),
    Family(
        "bq_processes",
        "gauge",
        "Processes that share the store, by role, and `alive` or `missing` for one not heard of for 8 s; "
        "absent where one serves alone.",
        lambda now: [] if now.sources.processes is None else list(now.sources.processes().items()),
        ("role", "state"),
    ),
    Family(
        "bq_build_info",
        "gauge",
        "Always 1; its labels are versions.",
        lambda now: [(now.sources.build, 1)],
        ("version", "sqlite", "stream"),
    ),
)
