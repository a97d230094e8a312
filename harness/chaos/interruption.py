"""Interruption: a signal that ends the program lets what runs in a loop end in order."""

import asyncio
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def complete(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. A signal cancels it, and reaches its own handler once everything in the loop has ended.

    A `KeyboardInterrupt` in the middle of a task would look like the task's failure, and leave others as they are.
    """
    came: list[int] = []
    task: asyncio.Task[T] | None = None

    def cancel(number: int, _: FrameType | None) -> None:
        came.append(number)
        if task is not None and not task.done():
            task.get_loop().call_soon_threadsafe(task.cancel)

    async def main() -> T:
        nonlocal task
        task = asyncio.create_task(work)
        if came:
            task.cancel()
        return await task

    handlers = {number: handler for number in ENDING if callable(handler := signal.getsignal(number))}
    for number in handlers:
        signal.signal(number, cancel)
    try:
        return asyncio.run(main())
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
