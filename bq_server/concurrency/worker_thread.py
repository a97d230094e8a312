"""A thread that makes calls for tasks of the event loop, one after the other, and survives a lack of memory.

The threads of `concurrent.futures` and of aiosqlite end when they can't tell what a call came to, and all who wait for
them, and who come later, then wait for ever.
"""

import asyncio
import time
from _thread import start_new_thread
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

Calls = SimpleQueue[tuple[asyncio.Future[Any] | None, Callable[[], Any]]]
"""Functions to call, and the futures of what they return."""

AGAIN_SECONDS = 0.01
"""After which a future is told again, where there was no memory to tell it with."""


class WorkerThread:
    """One thread, on which functions are called, one after the other, so that they hold up no request."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: Calls = SimpleQueue()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start it now, while there is memory: Python waits for a thread that found none, and without an end."""
        if self._thread is None:
            thread = Thread(target=make_calls, args=(self._calls,), name=self._name, daemon=True)
            thread.start()
            self._thread = thread

    async def run(self, work: Callable[[], T]) -> T:
        """Call a function there; returns what it returns, raises what it raises."""
        self.start()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((done, work))
        return await done


def begin_thread(work: Callable[[], object]) -> None:
    """Call a function on a new thread, without waiting for the thread, which doesn't keep the process alive.

    `Thread.start` waits until the thread has begun, for ever if there is no memory for it: nothing for the event loop.
    Raises `RuntimeError` if no thread is to be had; one that ended as it began says nothing, so have it report.
    """
    start_new_thread(work, ())


def make_calls(calls: Calls, last: object = None) -> None:
    """Make calls as they come, and tell their futures; until one returns `last`, if that is given."""
    while True:
        future, call = calls.get()
        if _make(future, call) is last is not None:
            return


def _make(future: asyncio.Future[Any] | None, call: Callable[[], Any]) -> Any:
    result: Any = None
    error: BaseException | None = None
    try:
        result = call()
    except BaseException as raised:  # noqa: BLE001 - whoever waits raises it
        error = raised
    try:
        while future is not None:
            try:
                future.get_loop().call_soon_threadsafe(_tell, future, result, error)
            except MemoryError:
                time.sleep(AGAIN_SECONDS)
            except RuntimeError:
                break  # the loop is closed: nobody waits
            else:
                break
        return result
    finally:
        error = None  # which else would hold this frame, and the frame it


def _tell(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
