"""Spans of events: one for a request's acceptance, one for the processing, linked by what the message carries.

Contexts have the form of the W3C, `traceparent: 00-<trace>-<span>-<flags>`. Spans contain no participant and none of an
event's properties.
"""

import re
from collections import deque
from collections.abc import Mapping, Sequence

from msgspec import Struct

from bq_server.clock import Clock
from bq_server.events import Event
from bq_server.ids import RandomBytes

MOST_SPANS = 10_000
"""Spans that may wait to be sent; beyond it the oldest are dropped."""

MOST_OPEN = 10_000
"""Events between their request and their acceptance."""

SERVER, CONSUMER = 2, 5
"""Kinds of spans, as OTLP numbers them."""

_CONTEXT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1


class Span(Struct, frozen=True):
    """A span. Times are microseconds since the epoch, UTC; ids are lower-case hex."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first of a trace."""
    started: int
    ended: int
    attributes: Mapping[str, str]
    failed: str = ""
    """Why it failed, if it did."""


class Tracer:
    """Creates spans, which wait until the exporter takes them."""

    def __init__(self, clock: Clock, random_bytes: RandomBytes) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._open: dict[str, tuple[str, int]] = {}
        self._spans: deque[Span] = deque(maxlen=MOST_SPANS)

    def begin(self, event: Event, header: str | None) -> Event:
        """The event with its own context, a child of its request's, if the caller wants it traced."""
        found = None if header is None else _CONTEXT.fullmatch(header.strip())
        if found is not None and not int(found[3], 16) & _SAMPLED:
            return event
        trace_id, parent_id = (self._random_bytes(16).hex(), "") if found is None else (found[1], found[2])
        context = f"00-{trace_id}-{self._random_bytes(8).hex()}-01"
        if len(self._open) >= MOST_OPEN:  # those of refused requests
            self._open.clear()
        self._open[context] = (parent_id, self._clock())
        return event._replace(traceparent=context)

    def accepted(self, events: Sequence[Event]) -> None:
        """End the spans of events that were just accepted."""
        for event in events:
            if event.traceparent is None or event.traceparent not in self._open:
                continue
            parent_id, started = self._open.pop(event.traceparent)
            _, trace_id, span_id, _ = event.traceparent.split("-")
            told = _told(event)
            self._spans.append(Span("ingest", SERVER, trace_id, span_id, parent_id, started, self._clock(), told))

    def processed(self, event: Event, started: int, failed: str = "") -> None:
        """Add the span of a message that was processed since then."""
        found = None if event.traceparent is None else _CONTEXT.fullmatch(event.traceparent)
        if found is None:
            return
        own, told = self._random_bytes(8).hex(), _told(event)
        self._spans.append(Span("process", CONSUMER, found[1], own, found[2], started, self._clock(), told, failed))

    def take(self, most: int) -> list[Span]:
        """Removes and returns the oldest spans."""
        return [self._spans.popleft() for _ in range(min(most, len(self._spans)))]


def _told(event: Event) -> Mapping[str, str]:
    told = {"bq.environment": event.scope.environment, "bq.event_id": event.event_id, "bq.event_name": event.event_name}
    return told if event.message_id is None else told | {"messaging.message.id": event.message_id}
