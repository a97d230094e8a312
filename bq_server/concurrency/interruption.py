"""Waiting for an answer that may take long, but not beyond a stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

CANCEL_AGAIN_SECONDS = 0.05


async def answer_unless(stopped: "asyncio.Future[None]", call: Coroutine[Any, Any, T]) -> T | None:
    """What the call returns or raises; None, and the call cancelled, if `stopped` is done before.

    The call may have been answered nevertheless, with an answer that nobody gets.
    """
    task = asyncio.ensure_future(call)
    either: set[asyncio.Future[Any]] = {task, stopped}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        while not task.done():  # `wait_for` of Python 3.11, in the client, may lose one that comes as it sends
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_AGAIN_SECONDS)
        return None
    return task.result()
