"""Waking those who wait for something to change, so that nobody needs to poll."""

import asyncio
from collections.abc import Iterable


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


class NamedNotifiers:
    """Notifiers by name: who waits under one is not woken for another."""

    def __init__(self) -> None:
        self._awaited: dict[str, Notifier] = {}

    def next(self, name: str) -> asyncio.Future[None]:
        """Done with the next beat under this name."""
        return self._awaited.setdefault(name, Notifier()).next()

    def beat(self, names: Iterable[str]) -> None:
        """Wake everyone who waits under one of these names."""
        for name in names:
            if (awaited := self._awaited.pop(name, None)) is not None:
                awaited.beat()

    def beat_all(self) -> None:
        """Wake everyone."""
        self.beat([*self._awaited])
