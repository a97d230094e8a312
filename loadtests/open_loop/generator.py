"""Sends requests when they are due and notes when the answers come.

One thread, raw sockets, one selector: some 30 us of processor time a request, so that on a small machine the
generator takes little from the server. Python's own timers are too coarse (a millisecond), `select` is not: it waits on
the selector's descriptor with the resolution of the clock.
"""

import gc
import select
import selectors
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import cast
from urllib.parse import urlsplit

from loadtests.open_loop.connection import NO_ANSWER, Answered, LoadConnection

GRACE_SECONDS = 30.0
"""How long answers may take after the last request was due; what has none by then is counted as unanswered."""

LONGEST_WAIT = 0.5


@dataclass(slots=True)
class Recording:
    """What was seen. Latencies count from the moment a request was due, in milliseconds."""

    due: int = 0
    latencies: list[float] = field(default_factory=list)
    """Of the requests that were accepted."""
    refused_latencies: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    in_time: int = 0
    """Requests answered before the schedule ended."""
    lateness: list[float] = field(default_factory=list)
    """How long after it was due each request was sent, in milliseconds: the generator's own delay."""
    probes: list[float] = field(default_factory=list)
    """How long each probe waited, in milliseconds."""
    processor_seconds: float = 0.0
    """What the generator itself used."""
    seconds: float = 0.0
    """From the start to the last answer."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A cheap request sent again and again over a connection of its own: how long is the server's loop held?

    The next one is sent at the next tick after the answer, so a pause is seen to within one period.
    """

    request: bytes
    period: float
    """Seconds."""


def generate(
    url: str,
    requests: Iterator[bytes],
    schedule: Sequence[float],
    seconds: float,
    *,
    connections: int,
    probe: Probe | None = None,
    grace: float = GRACE_SECONDS,
) -> Recording:
    """Send a request at each moment of the schedule, which ends after so many seconds.

    An idle connection is taken where there is one; where there is none, the request is sent behind others. Requests
    are made before the first is due. Raises `OSError` where the server can't be reached, `NotHTTP` for what it answers.
    """
    made = [next(requests) for _ in schedule]
    run = _Run(url, connections, probe)
    with run.open(), _without_collector():
        used = time.process_time()
        run.drive(made, schedule, seconds, grace)
        run.recording.processor_seconds = time.process_time() - used
    return run.recording


class _Run:
    def __init__(self, url: str, connections: int, probe: Probe | None) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._count = connections
        self._probe = probe
        self._selector = selectors.DefaultSelector()
        self._connections: list[LoadConnection] = []
        self._idle: list[LoadConnection] = []
        self._prober: LoadConnection | None = None
        self._next_probe = 0.0
        self._start = self._end = 0.0
        self.recording = Recording()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Connect, and close everything at the end."""
        try:
            self._connections = [self._connect() for _ in range(self._count)]
            self._idle = list(self._connections)
            self._prober = self._connect() if self._probe else None
            yield
        finally:
            for each in (*self._connections, *([self._prober] if self._prober else [])):
                each.close()
            self._selector.close()

    def drive(self, requests: Sequence[bytes], schedule: Sequence[float], seconds: float, grace: float) -> None:
        """The loop."""
        start = self._start = self._next_probe = time.perf_counter()
        self._end = start + seconds
        turn = cycle(self._connections)
        sent, total = 0, len(schedule)
        self.recording.due = total
        while True:
            now = time.perf_counter()
            while sent < total and start + schedule[sent] <= now:
                self._send(requests[sent], start + schedule[sent], now, turn)
                sent += 1
            if now >= self._end:
                unanswered = sum(each.waiting for each in self._connections)
                if (sent == total and not unanswered) or now > self._end + grace:
                    self.recording.outcomes["unanswered"] += unanswered + total - sent
                    break
            elif self._prober is not None:
                self._send_probe(now)
            self._wait(start + schedule[sent] if sent < total else max(self._end, now + LONGEST_WAIT))
        self.recording.outcomes = +self.recording.outcomes

    def _send(self, request: bytes, due: float, now: float, turn: Iterator[LoadConnection]) -> None:
        connection = self._idle.pop() if self._idle else next(turn)
        connection.send(request, due)
        self.recording.lateness.append((now - due) * 1000)
        if connection.blocked:
            self._selector.modify(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _send_probe(self, now: float) -> None:
        assert self._probe is not None
        assert self._prober is not None
        if now >= self._next_probe and not self._prober.waiting:
            self._prober.send(self._probe.request, now)
            self._next_probe = now + self._probe.period

    def _wait(self, until: float) -> None:
        if self._prober is not None and not self._prober.waiting:
            until = min(until, self._next_probe)
        left = min(max(0.0, until - time.perf_counter()), LONGEST_WAIT)
        select.select([self._selector], [], [], left)
        for key, events in self._selector.select(0):
            connection = cast("LoadConnection", key.fileobj)
            if events & selectors.EVENT_WRITE:
                connection.flush()
                if not connection.blocked:
                    self._selector.modify(connection, selectors.EVENT_READ)
            if events & selectors.EVENT_READ:
                self._receive(connection)

    def _receive(self, connection: LoadConnection) -> None:
        answers, alive = connection.receive()
        now = time.perf_counter()
        if connection is self._prober:
            self.recording.probes.extend((now - each.due) * 1000 for each in answers)
        else:
            for each in answers:
                self._record(each, now)
            if answers and not connection.waiting:
                self._idle.append(connection)
        if not alive:
            self._selector.unregister(connection)
            connection.reopen()
            self._selector.register(connection, selectors.EVENT_READ)

    def _record(self, answered: Answered, now: float) -> None:
        recording = self.recording
        accepted = answered.outcome == "ok"
        (recording.latencies if accepted else recording.refused_latencies).append((now - answered.due) * 1000)
        recording.outcomes[answered.outcome] += 1
        recording.in_time += now <= self._end and answered.outcome != NO_ANSWER
        recording.seconds = now - self._start

    def _connect(self) -> LoadConnection:
        connection = LoadConnection(self._address)
        self._selector.register(connection, selectors.EVENT_READ)
        return connection


@contextmanager
def _without_collector() -> Iterator[None]:
    # A collection over all those requests would hold the generator for longer than an answer takes.
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
