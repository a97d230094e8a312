"""How late the event loop is: how long a request waits before it is looked at."""

import asyncio

from bq_server.metrics.counts import SECONDS, Histogram

EVERY_SECONDS = 0.1


class LoopDelay:
    """Schedules itself repeatedly, and counts how late it was called."""

    def __init__(self) -> None:
        self.seconds = Histogram(SECONDS)

    async def watch(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + EVERY_SECONDS
            await asyncio.sleep(EVERY_SECONDS)
            self.seconds.observe(max(0.0, loop.time() - due))
