"""A thread that makes calls for tasks of the event loop, one after the other, and outlives a want of memory.

The threads of `concurrent.futures` and of aiosqlite end when they can't tell what a call came to, and all who wait for
them, and who come later, then wait for ever.
"""

import asyncio
import time
from _thread import start_new_thread
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Calls = SimpleQueue[tuple[asyncio.Future[Any] | None, Callable[[], Any]]]
"""Functions to call, and the futures of what they return."""

AGAIN_SECONDS = 0.01
"""After which a future is told again, where there was no memory to tell it with."""


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
