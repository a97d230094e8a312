"""Requests read and not started: a few milliseconds of them per turn of the loop, and no more than can start soon."""

import asyncio
import time
from collections import deque
from typing import Protocol

import structlog

from bq_server.concurrency.byte_budget import ByteBudget, Lease

log = structlog.get_logger("bq_server.lane")

TURN_SECONDS = 0.005
"""How much is started before others have their turn: the stream's answers, the consumer, other connections."""

REST_SHARE = 0.6
"""How long requests rest for the consumer, while it is behind, in proportion to the time their turns took."""

REST_SECONDS = 0.001
"""How long they rest at once: the loop's timers know no less."""

EVENT_SECONDS = 0.04
BATCH_SECONDS = 0.1
"""A request that would wait longer is refused at once. A batch is more work, and may wait longer."""

HEAD_WEIGHT = 512
"""What a request weighs beside the bytes of its body: a small one costs about as much as that many bytes."""

NEWEST_SHARE = 0.2
"""Weight of the newest turn in the average of what a turn achieves."""

LOG_SECONDS = 1.0


class Waiter(Protocol):
    """A request that was read completely."""

    def begin(self, body: bytes) -> None:
        """Start handling it; `body` is all of it."""

    def turn_away(self) -> None:
        """Refuse it because of overload."""


class FactPace(Protocol):
    """Whether making facts keeps up with the events that come."""

    @property
    def is_behind(self) -> bool:
        """Whether more was waiting than a batch takes, and is being processed."""


class FactSource(Protocol):
    """What turns accepted events into facts."""

    @property
    def status(self) -> FactPace:
        """How it keeps up at this moment."""


class Queue:
    """Requests in the order in which they were read.

    While turns leave something over, each shows how fast the queue moves, whatever slows it: the interpreter, the
    consumer, another process. What would wait too long at that pace is refused on arrival, so that what is admitted is
    started in time.

    Facts are made by threads of the same process, and requests without a pause would leave them little of the
    interpreter: turns rest while the consumer is behind.
    """

    def __init__(
        self,
        budget: ByteBudget,
        loop: asyncio.AbstractEventLoop,
        waiting_seconds: float,
        consumer: FactSource | None = None,
    ) -> None:
        """`waiting_seconds`: how long a request may have to wait.

        While turns take more than half of that, so much is read in each that nothing more is let in: an answer takes
        some turns.
        """
        self._waiting_seconds = waiting_seconds
        self._consumer = consumer
        self._rest = 0.0
        """Seconds owed to the consumer."""
        self._budget = budget
        self._lease = Lease(budget)
        self._loop = loop
        self._waiting: deque[tuple[Waiter, bytes]] = deque()
        self._weight = 0
        self._comes = False
        """Whether the next turn will come. It is said anew for each: in want of memory even that can fail."""
        self._turn_began = 0.0
        """When the last turn began, if it left something over; otherwise 0: an empty queue has no pace."""
        self._turn_weight = 1
        self._turn_is_long = False
        self._pace = 0.0
        """Seconds per unit of weight."""
        self._refused = 0
        self._logged = 0.0

    @property
    def is_full(self) -> bool:
        """Whether a request arriving now must be refused, with `note_refused`."""
        late = self._turn_is_long or self._weight * self._pace > self._waiting_seconds
        return self._budget.spent or (self._comes and self._turn_began > 0 and late)

    def put(self, waiter: Waiter, body: bytes) -> None:
        """Let it wait for its turn, which is the next one unless many are waiting."""
        if self.is_full:
            self.note_refused()
            waiter.turn_away()
            return
        self._weight += HEAD_WEIGHT + len(body)
        self._lease.add(len(body))
        self._waiting.append((waiter, body))
        if not self._comes:
            self._come_back()

    def _come_back(self) -> None:
        if self._rest < REST_SECONDS:
            self._loop.call_soon(self._work)
        else:
            self._loop.call_later(REST_SECONDS, self._work)
            self._rest = 0.0
        self._comes = True

    def _work(self) -> None:
        self._comes = False
        try:
            self._take_turn()
        finally:
            if self._waiting:
                self._come_back()

    def _take_turn(self) -> None:
        now = began = time.perf_counter()
        before = self._weight
        while self._waiting and now < began + TURN_SECONDS:
            waiter, body = self._waiting.popleft()
            self._weight -= HEAD_WEIGHT + len(body)
            self._lease.add(-len(body))
            waiter.begin(body)
            now = time.perf_counter()
        if self._consumer is not None and self._consumer.status.is_behind:
            self._rest += (now - began) * REST_SHARE
        if not self._waiting:
            self._turn_began = 0.0
            return
        if self._turn_began:
            # The duration of a turn includes the others' part in it.
            turn = began - self._turn_began
            self._turn_is_long = turn > self._waiting_seconds / 2
            self._pace += (turn / self._turn_weight - self._pace) * NEWEST_SHARE
        self._turn_began, self._turn_weight = began, before - self._weight

    def note_refused(self) -> None:
        """Count a request that was refused because of overload: a log line for each would add to it."""
        self._refused += 1
        now = time.perf_counter()
        if now - self._logged > LOG_SECONDS:
            log.warning("request.shed", refused=self._refused, code="overloaded")
            self._logged, self._refused = now, 0
