"""How fast is sent: events that wait in line come first."""

import time
from dataclasses import dataclass, field

from bq_server.metrics.counts import ProcessingCounts
from bq_server.moments import SECOND

SHARE = 0.05
"""Of a processor core that requests may take while events wait in line. With none in line they take what there is."""

MOST_SECONDS = 1.0
"""Longest pause for it."""

FAILING_SHARE = 0.1
"""An endpoint whose every request fails is left alone for so much of the time that it has failed for."""

FAILING_LEAST, FAILING_MOST = 0.05, 60.0
"""Seconds that it is left alone for at least and at most."""


@dataclass(slots=True)
class Pace:
    """Measures one round."""

    counts: ProcessingCounts
    began: float = field(default_factory=time.monotonic)
    _backlog_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        self._backlog_seconds = self.counts.backlog_seconds

    def pause(self, cpu_seconds: float) -> float:
        """Seconds to wait after a round that took so much of the sending thread."""
        if self.counts.backlog_seconds == self._backlog_seconds:
            return 0.0
        return min(max(0.0, cpu_seconds / SHARE - (time.monotonic() - self.began)), MOST_SECONDS)


def failing_pause(since: int, now: int) -> float:
    """Seconds to leave an endpoint alone that has failed since then; times are microseconds of its environment."""
    return min(max(FAILING_SHARE * (now - since) / SECOND, FAILING_LEAST), FAILING_MOST)
