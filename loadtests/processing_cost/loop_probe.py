"""How long the event loop is held: a callback that is due every millisecond notes how late it comes."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

INTERVAL_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Hold:
    """How long the loop was held during some work, in milliseconds."""

    longest: float
    own: float
    """The longest that the processor time of this process, all threads, accounts for: what is beyond it in `longest`
    was a disk, or others who held the machine."""
    p99: float
    """Of all holds."""


class LoopProbe:
    """Watches the running loop between `start` and `stop`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._holds: list[tuple[float, float]] = []
        self._handle: asyncio.TimerHandle | None = None
        self._due = self._used = 0.0

    @classmethod
    @contextmanager
    def watching(cls) -> Iterator["LoopProbe"]:
        """Watch meanwhile."""
        probe = cls()
        probe._ask()
        try:
            yield probe
        finally:
            probe._note()
            if probe._handle is not None:
                probe._handle.cancel()

    def found(self) -> Hold:
        """What was seen."""
        ordered = sorted(held for held, _ in self._holds)
        own = max(min(held, used) for held, used in self._holds)
        return Hold(ordered[-1] * 1000, own * 1000, ordered[int(len(ordered) * 0.99)] * 1000)

    def _ask(self) -> None:
        self._used = time.process_time()
        self._due = time.perf_counter() + INTERVAL_SECONDS
        self._handle = self._loop.call_later(INTERVAL_SECONDS, self._tick)

    def _tick(self) -> None:
        self._note()
        self._ask()

    def _note(self) -> None:
        held, used = time.perf_counter() - self._due, time.process_time() - self._used
        self._holds.append((max(0.0, held), used))
