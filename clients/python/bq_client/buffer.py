"""The contents of a batch, and when to send which part: the decisions, without any waiting."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from bq_client.answers import BatchResult, Rejection
from bq_client.errors import BqError, Refused, Unsent
from bq_client.events import Event
from bq_client.retries import is_temporary

log = logging.getLogger("bq_client")

SIZE = 100
"""Events in one request: the default limit of a server."""

SECONDS = 1.0
"""Longest that an event waits for others."""

CAPACITY = 10_000
"""Events held before adding one more waits."""

PAUSE_SECONDS = 5.0
"""Seconds between two rounds of tries, if the server doesn't say how long to wait."""

CLOSE_SECONDS = 30.0
"""How long closing tries to send what is left."""

OnRejected = Callable[[Event, Rejection], None]
"""Called with an event that the server will never accept, and the reason."""


def log_rejected(event: Event, rejection: Rejection) -> None:
    """Log a warning about a rejected event, to the logger `bq_client`."""
    log.warning("event %s was rejected: %s", event.idempotency_key, rejection)


class Buffer:
    """Events in order; those being sent stay until their outcome is known. Times are in seconds."""

    def __init__(self, size: int, seconds: float, capacity: int, on_rejected: OnRejected) -> None:
        if size < 1 or capacity < size or seconds < 0:
            raise ValueError("size must be at least 1, capacity at least size, and seconds not negative")
        self._size = size
        self._seconds = seconds
        self._capacity = capacity
        self._on_rejected = on_rejected
        self._events: deque[Event] = deque()
        self._most = size
        """Events in one request, once the server has found `size` of them too many."""
        self._due = 0.0
        self._wanted = 0
        self.added = 0
        self.done = 0
        """How many of those added were accepted or rejected."""
        self.closing = False
        self.failure: Exception | None = None
        """Why no event can be sent any more."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to send."""
        return not self._events

    @property
    def is_full(self) -> bool:
        """Whether another one has to wait."""
        return len(self._events) >= self._capacity

    def check(self) -> None:
        """Raise `Unsent` after a failure, and `RuntimeError` if the batch is closed."""
        if self.failure is not None:
            raise self.unsent() from self.failure
        if self.closing:
            raise RuntimeError("the batch is closed")

    def add(self, event: Event, now: float) -> None:
        """Add an event."""
        if self.is_empty:
            self._due = now + self._seconds
        self._events.append(event)
        self.added += 1

    def want_all(self) -> int:
        """Let everything be sent without waiting for more; returns the value of `done` after that."""
        self._wanted = self.added
        return self._wanted

    def wait(self, now: float) -> float | None:
        """Seconds until something must be sent: 0 for at once, None for not before the next change."""
        if self.is_empty:
            return None
        if len(self._events) >= self._size or self.closing or self.done < self._wanted:
            return 0.0
        return max(0.0, self._due - now)

    def next(self) -> list[Event]:
        """The events of the next request."""
        return list(islice(self._events, self._most))

    def report(self, sent: Sequence[Event], result: BatchResult) -> None:
        """Report those that were rejected."""
        for rejection in result.errors:
            try:
                self._on_rejected(sent[rejection.index], rejection)
            except Exception:
                log.exception("on_rejected failed")

    def settle(self, sent: Sequence[Event], now: float) -> None:
        """Remove the events of a request, each of which was accepted or rejected."""
        for _ in sent:
            self._events.popleft()
        self.done += len(sent)
        self._due = now + self._seconds

    def fail(self, sent: Sequence[Event], error: Exception) -> float:
        """Keep the events of a failed request. Returns the seconds to wait before the next one."""
        if isinstance(error, BqError) and is_temporary(error):
            asked = error.retry_after if isinstance(error, Refused) else None
            return PAUSE_SECONDS if asked is None else asked
        if _is_too_much(error):
            self._most = len(sent) // 2
        else:
            self.failure = error
        return 0.0

    def unsent(self) -> Unsent:
        """What to raise for the events that are left."""
        return Unsent(self._events)


def rejection_of(sent: Sequence[Event], error: Exception) -> BatchResult | None:
    """The result of a request whose only event the server will never accept; None for any other failure."""
    if len(sent) > 1 or not isinstance(error, Refused) or not _is_too_much(error):
        return None
    return BatchResult(0, 1, (), (Rejection(0, "", error.code, error.detail),))


def _is_too_much(error: Exception) -> bool:
    """Whether a request failed because of its contents."""
    return isinstance(error, Refused) and error.status in (413, 422)
