"""Waking those who wait for something to change, so that nobody needs to poll."""

import asyncio


class Notifier:
    """A signal that several tasks may wait for. Take `next` first, then look, then wait: so no signal is missed."""

    def __init__(self) -> None:
        self._next: asyncio.Future[None] | None = None

    def next(self) -> asyncio.Future[None]:
        """Done with the next signal."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return self._next

    def beat(self) -> None:
        """Wake everyone who waits."""
        if self._next is not None and not self._next.done():
            self._next.set_result(None)
        self._next = None
