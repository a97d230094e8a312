"""A clock that a test moves."""

from bq_server.moments import SECOND


class SteppedClock:
    """Shows the same moment until it is moved."""

    def __init__(self, now: int = 1_700_000_000 * SECOND) -> None:
        self._now = now

    def __call__(self) -> int:
        """Microseconds since the epoch, UTC."""
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += round(seconds * SECOND)
