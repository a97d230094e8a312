"""Giving way: long work on the event loop pauses every few milliseconds, so that requests needn't wait for its end."""

import asyncio

SLICE_SECONDS = 0.002


class TimeSlices:
    """Made at the start of some work; call `give_way` between its steps."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + SLICE_SECONDS

    async def give_way(self) -> None:
        """Let others run if this work has used up its slice of time."""
        if self._loop.time() >= self._until:
            await asyncio.sleep(0)
            self._until = self._loop.time() + SLICE_SECONDS
