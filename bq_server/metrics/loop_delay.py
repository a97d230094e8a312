"""How late the event loop is: what a request waits before anyone looks at it."""

import asyncio

from bq_server.metrics.counts import SECONDS, Histogram

EVERY_SECONDS = 0.1


class LoopDelay:
    """Asks to be called at a time, again and again, and counts how much later that was."""

    def __init__(self) -> None:
        self.seconds = Histogram(SECONDS)

    async def watch(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + EVERY_SECONDS
            await asyncio.sleep(EVERY_SECONDS)
            self.seconds.observe(max(0.0, loop.time() - due))
