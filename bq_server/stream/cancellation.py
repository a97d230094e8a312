"""Connections on which a task that is cancelled while it sends stays cancelled.

redis-py sends within `asyncio.wait_for`, which before Python 3.12 returns what was sent and forgets a cancellation that
came in the same turn of the event loop. A task that runs until it is cancelled would then never end.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio.connection import AbstractConnection


class HeedsCancellation(AbstractConnection):
    """Mixed into a class of connections."""

    async def connect(self) -> None:
        """As of any connection, which may have to find its server first."""
        async with self._heeding():
            await super().connect()  # type: ignore[no-untyped-call]

    async def send_packed_command(self, *arguments: Any, **options: Any) -> None:
        """As of any connection."""
        async with self._heeding():
            await super().send_packed_command(*arguments, **options)

    @asynccontextmanager
    async def _heeding(self) -> AsyncIterator[None]:
        """Raises `asyncio.CancelledError` if the task was cancelled meanwhile, also where the library forgot it."""
        task = asyncio.current_task()
        before = 0 if task is None else task.cancelling()
        yield
        if task is not None and task.cancelling() > before:
            await self.disconnect(nowait=True)  # the answer that nobody waits for must not be taken for another's
            raise asyncio.CancelledError


def heeding(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """The same class of connections, heeding cancellations."""
    return type(f"Heeding{kind.__name__}", (HeedsCancellation, kind), {})
