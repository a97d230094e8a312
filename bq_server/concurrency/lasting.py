"""Work that must not end: whatever it fails of, it is begun anew."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

log = structlog.get_logger("bq_server")

AGAIN_SECONDS = 1.0


async def keep_running(work: Callable[[], Awaitable[None]], again_seconds: float = AGAIN_SECONDS) -> None:
    """Run what never ends by itself, until cancelled.

    What it raises was foreseen by nobody, or there was no memory: it is logged, and after a while the work begins anew.
    Without it the server would look well and be less than it says.
    """
    while True:
        try:
            await work()
        except Exception:
            with suppress(Exception):
                log.exception("work.broke", work=getattr(work, "__qualname__", repr(work)))
        await pause(again_seconds)


async def pause(seconds: float) -> None:
    """Wait; also where there is no memory to wait with, and then for less: who goes on at once would hold the loop."""
    try:
        await asyncio.sleep(seconds)
    except MemoryError:
        time.sleep(min(seconds, 0.05))  # noqa: ASYNC251 - it needs no memory, and threads may free some meanwhile
