"""What a batch holds, and when which part of it is to be sent: the decisions, without any waiting."""

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
"""Events in one request: as many as a server takes that was not told otherwise."""

SECONDS = 1.0
"""Longest that an event waits for others."""

CAPACITY = 10_000
"""Events held before adding one more waits."""

PAUSE_SECONDS = 5.0
"""Between two rounds of tries, for a server that doesn't say how long it needs."""

CLOSE_SECONDS = 30.0
"""Longest that closing tries to send what is left."""

OnRejected = Callable[[Event, Rejection], None]
"""Called for an event that the server will never take, and the reason."""


def log_rejected(event: Event, rejection: Rejection) -> None:
    """Warn of a rejected event in the log `bq_client`."""
    log.warning("event %s was rejected: %s", event.idempotency_key, rejection)


class Buffer:
    """Events in their order; those being sent stay until it is known what became of them. Times in seconds."""

    def __init__(self, size: int, seconds: float, capacity: int, on_rejected: OnRejected) -> None:
        if size < 1 or capacity < size or seconds < 0:
            raise ValueError("size must be at least 1, capacity at least size, and seconds not negative")
        self._size = size
        self._seconds = seconds
        self._capacity = capacity
        self._on_rejected = on_rejected
        self._events: deque[Event] = deque()
        self._most = size
        """Events in one request, once the server found `size` of them too many."""
        self._due = 0.0
        self._wanted = 0
        self.added = 0
        self.done = 0
        """Of those added, so many were accepted or rejected."""
        self.closing = False
        self.failure: Exception | None = None
        """Why no event can be sent any more."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to be sent."""
        return not self._events

    @property
    def is_full(self) -> bool:
        """Whether one more has to wait."""
        return len(self._events) >= self._capacity

    def check(self) -> None:
        """Raise `Unsent` after a failure, and `RuntimeError` when the batch is closed."""
        if self.failure is not None:
            raise self.unsent() from self.failure
        if self.closing:
            raise RuntimeError("the batch is closed")

    def add(self, event: Event, now: float) -> None:
        """Take an event in."""
        if self.is_empty:
            self._due = now + self._seconds
        self._events.append(event)
        self.added += 1

    def want_all(self) -> int:
        """Let all there is be sent without waiting for more; `done` will be this when it has been."""
        self._wanted = self.added
        return self._wanted

    def wait(self, now: float) -> float | None:
        """Seconds until something is to be sent: 0 at once, None until the next change."""
        if self.is_empty:
            return None
        if len(self._events) >= self._size or self.closing or self.done < self._wanted:
            return 0.0
        return max(0.0, self._due - now)

    def next(self) -> list[Event]:
        """The events of the next request."""
        return list(islice(self._events, self._most))

    def report(self, sent: Sequence[Event], result: BatchResult) -> None:
        """Tell of those that were rejected."""
        for rejection in result.errors:
            try:
                self._on_rejected(sent[rejection.index], rejection)
            except Exception:
                log.exception("on_rejected failed")

    def settle(self, sent: Sequence[Event], now: float) -> None:
        """Let go of the events of a request, each of which was accepted or rejected."""
        for _ in sent:
            self._events.popleft()
        self.done += len(sent)
        self._due = now + self._seconds

    def fail(self, sent: Sequence[Event], error: Exception) -> float:
        """Keep the events of a request that failed. Seconds to wait before the next."""
        if isinstance(error, BqError) and is_temporary(error):
            asked = error.retry_after if isinstance(error, Refused) else None
            return PAUSE_SECONDS if asked is None else asked
        if _is_too_much(error):
            self._most = len(sent) // 2
        else:
            self.failure = error
        return 0.0

    def unsent(self) -> Unsent:
        """What is raised for the events that are left."""
        return Unsent(self._events)


def rejection_of(sent: Sequence[Event], error: Exception) -> BatchResult | None:
    """The result of a request whose only event the server will never take; None for any other failure."""
    if len(sent) > 1 or not isinstance(error, Refused) or not _is_too_much(error):
        return None
    return BatchResult(0, 1, (), (Rejection(0, "", error.code, error.detail),))


def _is_too_much(error: Exception) -> bool:
    """Whether a request failed because of what it holds."""
    return isinstance(error, Refused) and error.status in (413, 422)
