"""Waits for clients: each has its time, and all together have so many places."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ClientWait:
    """A client that is being waited for."""

    __slots__ = ("_all", "_timeout", "crowded_out")

    def __init__(self, every: "dict[ClientWait, None]", timeout: asyncio.Timeout) -> None:
        self._all = every
        self._timeout = timeout
        self.crowded_out = False
        """Whether it was given up for others before its time was over."""
        every[self] = None

    def renew(self) -> None:
        """The client did something: it is the last to be given up for others. Its time runs on."""
        if self._all.pop(self, self) is None:
            self._all[self] = None

    def give_up(self) -> None:
        """End it now."""
        del self._all[self]
        if not self._timeout.expired():
            self.crowded_out = True
            self._timeout.reschedule(asyncio.get_running_loop().time())


class ClientWaits:
    """All clients that are waited for. When there are too many, the one is given up that did nothing for longest.

    So clients that keep the server waiting shut out each other, and nobody else: whoever sends and reads is done long
    before it is the oldest.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waits: dict[ClientWait, None] = {}
        """In the order in which they last did something."""

    @property
    def count(self) -> int:
        """How many are waited for."""
        return len(self._waits)

    @asynccontextmanager
    async def bounded(self, seconds: float) -> AsyncIterator[ClientWait]:
        """Wait for a client inside. Raises `TimeoutError` after so many seconds, or sooner to make room for others."""
        async with asyncio.timeout(seconds) as timeout:
            wait = ClientWait(self._waits, timeout)
            try:
                if len(self._waits) > self._most:
                    next(iter(self._waits)).give_up()
                yield wait
            finally:
                self._waits.pop(wait, None)
