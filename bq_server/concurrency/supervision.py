"""Work that must not end: whatever error it fails with, it is restarted."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

log = structlog.get_logger("bq_server")

AGAIN_SECONDS = 1.0


async def keep_running(work: Callable[[], Awaitable[None]], again_seconds: float = AGAIN_SECONDS) -> None:
    """Run something that never ends by itself, until cancelled.

    Any error is unexpected, or a lack of memory: it is logged, and the work is restarted after a while. Otherwise
    the server would look healthy while part of it is missing.
    """
    while True:
        try:
            await work()
        except Exception:
            with suppress(Exception):
                log.exception("work.broke", work=getattr(work, "__qualname__", repr(work)))
        await pause(again_seconds)


async def pause(seconds: float) -> None:
    """Sleep. Without memory even for that, block briefly instead: retrying at once would hold up the loop."""
    try:
        await asyncio.sleep(seconds)
    except MemoryError:
        time.sleep(min(seconds, 0.05))  # noqa: ASYNC251 - it needs no memory, and threads may free some meanwhile
