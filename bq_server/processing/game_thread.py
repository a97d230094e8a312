"""A thread for the game, so that it delays no request, however long it takes."""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from bq_server.concurrency.worker_thread import Calls, make_calls

T = TypeVar("T")


class GameThread:
    """One thread, on which pure functions of the game are called, one after the other."""

    def __init__(self) -> None:
        self._calls: Calls = SimpleQueue()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start it now, while there is memory: Python waits for a thread that found none, and without an end."""
        if self._thread is None:
            thread = Thread(target=make_calls, args=(self._calls,), name="fold", daemon=True)
            thread.start()
            self._thread = thread

    async def run(self, work: Callable[[], T]) -> T:
        """Call a function there; returns what it returns, raises what it raises."""
        self.start()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((done, work))
        return await done
