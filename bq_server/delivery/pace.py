"""How fast webhooks are sent: queued events come first."""

import asyncio
import time

from bq_server.metrics.counts import ProcessingCounts
from bq_server.moments import SECOND

SHARE = 0.05
"""Share of this process's processor time that requests may take while events are queued. With none queued they take
what there is."""

LOOK_SECONDS = 0.1
"""Seconds between two checks whether they still are."""

MOST_SECONDS = 10.0
"""Longest pause for them."""

FAILING_SHARE = 0.1
"""An endpoint whose every request fails is left alone for this share of the time that it has failed for."""

FAILING_LEAST, FAILING_MOST = 0.05, 60.0
"""Least and most seconds for which it is left alone."""


class SendingPace:
    """Measures one round."""

    def __init__(self, counts: ProcessingCounts) -> None:
        self._counts = counts
        self._began = time.process_time()
        self._backlog = counts.backlog_seconds

    async def give_way(self, cpu_seconds: float) -> bool:
        """Wait after a round that took so much of the sending thread; whether events were queued meanwhile."""
        before = self._backlog
        until = self._began + cpu_seconds / SHARE
        most = time.monotonic() + MOST_SECONDS
        while self._counts.backlog_seconds > self._backlog and time.process_time() < until and time.monotonic() < most:
            self._backlog = self._counts.backlog_seconds
            await asyncio.sleep(LOOK_SECONDS)
        return self._counts.backlog_seconds > before


def failing_pause(duration: int) -> float:
    """Seconds to leave an endpoint alone that has failed for so many microseconds."""
    return min(max(FAILING_SHARE * duration / SECOND, FAILING_LEAST), FAILING_MOST)
