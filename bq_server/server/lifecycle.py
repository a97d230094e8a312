"""Background tasks: started and stopped with the server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import structlog

from bq_server.concurrency.supervision import keep_running
from bq_server.runtime.data_directory import DataDirectory
from bq_server.stream.backlog import Backlog
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.consumer import Consumer

log = structlog.get_logger("bq_server")


@asynccontextmanager
async def consuming(consumer: Consumer) -> AsyncIterator[None]:
    """Run the consumer; on exit let it finish its batch."""
    task = asyncio.create_task(consumer.run(), name="consumer")
    try:
        yield
    finally:
        consumer.stop()
        await task


@asynccontextmanager
async def background(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Keep something running that never ends by itself; cancel it on exit."""
    task = asyncio.create_task(keep_running(work))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def whereabouts(directory: DataDirectory, place: str, backlog: Backlog) -> AsyncIterator[list[str]]:
    """Note where events may wait, now and after a stop unless none do; returns what to report about other places."""
    known = directory.whereabouts
    with _noting(place):
        known.add(place)
    yield [directory.waiting_elsewhere(other) for other in known.others(place)]
    with suppress(StreamUnavailable):
        if await backlog.is_empty():
            with _noting(place):
                known.remove(place)


@contextmanager
def _noting(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.warning("stream.not_noted", place=place, file=error.filename, reason=error.strerror)
