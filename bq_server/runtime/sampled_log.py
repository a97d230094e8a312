"""Log lines that clients can cause at will: the first of each kind in full, and the count of the rest."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from msgspec import Struct

BURST = 100
"""Lines of one kind that may come at once: somebody trying things out sees all of them."""

LINES_A_SECOND = 5.0
"""Lines per second of one kind in the long run: a thousand wrong keys say no more than five of them and the count."""

TELL_SECONDS = 1.0
"""How often the count of lines held back is logged, while some are."""


class _Allowance(Struct):
    lines: float
    since: float


class SampledLog:
    """Writes to a log, and holds back lines beyond a rate per kind; one line a second says how many.

    A kind is an event with a code: there are only a few, whatever clients do. Belongs to the running event loop.
    """

    def __init__(self, name: str) -> None:
        """`name`: the logger's."""
        self._log = structlog.get_logger(name)
        self._allowances: dict[tuple[str, str | None], _Allowance] = {}
        self._held_back: Counter[tuple[str, str | None]] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def info(self, event: str, *, code: str | None = None, **about: Any) -> None:
        """Write, or hold back, an ordinary line."""
        self._write(self._log.info, event, code, about)

    def warning(self, event: str, *, code: str | None = None, **about: Any) -> None:
        """Write, or hold back, a warning."""
        self._write(self._log.warning, event, code, about)

    def error(self, event: str, *, code: str | None = None, **about: Any) -> None:
        """Write, or hold back, an error."""
        self._write(self._log.error, event, code, about)

    def tell(self) -> None:
        """Log how many lines were held back since the last time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for (event, code), lines in self._held_back.items():
            self._log.warning("log.held_back", of=event, code=code, lines=lines)
        self._held_back.clear()

    def _write(self, write: Callable[..., None], event: str, code: str | None, about: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        if self._may_write((event, code), loop.time()):
            with suppress(MemoryError, SystemError):  # whoever writes has something to end in order
                write(event, code=code, **about)
            return
        self._held_back[event, code] += 1
        if self._timer is None:
            self._timer = loop.call_later(TELL_SECONDS, self.tell)

    def _may_write(self, kind: tuple[str, str | None], now: float) -> bool:
        allowance = self._allowances.setdefault(kind, _Allowance(BURST, now))
        allowance.lines = min(BURST, allowance.lines + (now - allowance.since) * LINES_A_SECOND)
        allowance.since = now
        if allowance.lines < 1:
            return False
        allowance.lines -= 1
        return True
