"""What was read and not begun yet: a few milliseconds of it in each turn of the loop, and none of it late."""

import asyncio
import math
import time
from collections import deque
from typing import Protocol

import structlog

from bq_server.budget import Budget, Lease

log = structlog.get_logger("bq_server.lane")

TURN_SECONDS = 0.005
"""How much is begun before others have their turn: the stream's answers, the consumer, other connections."""

LATE_SECONDS = 0.05
"""A request that waited longer is refused, unless it is among the first that a turn finds: those wait for no others."""

LOG_SECONDS = 1.0


class Waiter(Protocol):
    """A request that was read whole."""

    def begin(self, body: bytes) -> None:
        """Begin with it."""

    def turn_away(self) -> None:
        """Refuse it: it came at a time when there is too much."""


class Queue:
    """Requests in the order in which they were read.

    Past the knee the oldest wait longest, so how long they have waited tells when to refuse; what a request costs, and
    whether it is the interpreter, the consumer or another process that is slow, need not be known.
    """

    def __init__(self, budget: Budget, loop: asyncio.AbstractEventLoop) -> None:
        self._budget = budget
        self._lease = Lease(budget)
        self._loop = loop
        self._waiting: deque[tuple[Waiter, bytes, float]] = deque()
        self._standing = False
        """Whether the turn before left something: a process that was only stopped for a while has nobody to refuse."""
        self._refused = 0
        self._logged = 0.0

    def put(self, waiter: Waiter, body: bytes) -> None:
        """Let it wait for its turn, which is the next one unless there is much."""
        if self._budget.spent:
            self._turn_away(waiter)
            return
        if not self._waiting:
            self._loop.call_soon(self._work)
        self._lease.add(len(body))
        self._waiting.append((waiter, body, time.perf_counter()))

    def _work(self) -> None:
        now = time.perf_counter()
        until = now + TURN_SECONDS
        late = now - LATE_SECONDS if self._standing else -math.inf
        waiting = self._waiting
        while waiting and now < until:
            waiter, body, since = waiting.popleft()
            self._lease.add(-len(body))
            if since < late:
                self._turn_away(waiter)
            else:
                waiter.begin(body)
            now = time.perf_counter()
        self._standing = bool(waiting)
        if waiting:
            self._loop.call_soon(self._work)

    def _turn_away(self, waiter: Waiter) -> None:
        self.note_refused()
        waiter.turn_away()

    def note_refused(self) -> None:
        """Count a request that was refused because there is too much: a line for each would be the next load."""
        self._refused += 1
        now = time.perf_counter()
        if now - self._logged > LOG_SECONDS:
            log.warning("request.shed", refused=self._refused, code="overloaded")
            self._logged, self._refused = now, 0
