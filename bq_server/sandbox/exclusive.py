"""One at a time: what changes a test environment as a whole, or must see it whole."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bq_server.events import Scope
from bq_server.refusals import Code, Refusal


class Turns:
    """Lets one caller at a time work on an environment. Events are accepted all the while."""

    def __init__(self) -> None:
        self._locks: defaultdict[Scope, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def take(self, scope: Scope, seconds: float) -> AsyncIterator[None]:
        """Hold the environment. Raises `Refusal` if others still hold it after `seconds`."""
        lock = self._locks[scope]
        try:
            async with asyncio.timeout(seconds):
                await lock.acquire()
        except TimeoutError:
            detail = (
                f"After {seconds:g} s a reset, an import, an export or a change of the clock of this environment is "
                "still under way, and only one runs at a time. Nothing was done: try again."
            )
            raise Refusal(Code.NOT_DRAINED, detail) from None
        try:
            yield
        finally:
            lock.release()
