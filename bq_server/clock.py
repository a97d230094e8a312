"""The one clock, and the clocks of test environments that have their own."""

import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from bq_server.events import Scope
from bq_server.moments import format_timestamp

Clock = Callable[[], int]
"""Returns the present moment in microseconds since the epoch, UTC."""


def system_clock() -> int:
    """The operating system's wall clock, in microseconds since the epoch."""
    return time.time_ns() // 1000


class OwnClock(Struct, frozen=True):
    """The clock of a test environment: stopped, or running with the real one at an offset. Microseconds."""

    frozen: bool
    at: int
    """The time it shows if it is stopped, otherwise how far it is ahead of the real clock."""

    def now(self, real: int) -> int:
        """The time it shows."""
        return self.at if self.frozen else real + self.at


class Clocks:
    """What time it is in each environment: the real clock's, unless a test environment was given its own."""

    def __init__(self, real: Clock, own: Mapping[Scope, OwnClock] | None = None) -> None:
        self.real = real
        self._own = dict(own or {})

    def now(self, scope: Scope) -> int:
        """The present moment of the environment, in microseconds since the epoch, UTC."""
        own = self._own.get(scope)
        return self.real() if own is None else own.now(self.real())

    def shown(self, scope: Scope) -> str | None:
        """What `X-Sandbox-Clock` shows: the time in an environment that has a clock of its own."""
        own = self._own.get(scope)
        return None if own is None else format_timestamp(own.now(self.real()))

    def own(self, scope: Scope) -> OwnClock | None:
        """The environment's own clock; None if it is on the real one."""
        return self._own.get(scope)

    def stands_still(self, scope: Scope) -> bool:
        """Whether the environment's clock moves only when it is told to."""
        own = self._own.get(scope)
        return own is not None and own.frozen

    def put(self, scope: Scope, clock: OwnClock | None) -> None:
        """Give the environment its own clock, or with None the real one again."""
        if clock is None:
            self._own.pop(scope, None)
        else:
            self._own[scope] = clock

    def put_all(self, own: Mapping[Scope, OwnClock]) -> None:
        """Give these environments clocks of their own, and all others the real one."""
        self._own = dict(own)
