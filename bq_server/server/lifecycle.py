"""Background tasks: started and stopped with the server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress

import structlog
from msgspec import Struct, field

from bq_server.concurrency.supervision import keep_running
from bq_server.ingest.stream_account import StreamAccount
from bq_server.processing.share_worker import ShareWorker
from bq_server.runtime.data_directory import DataDirectory
from bq_server.stream.backlog import Backlog
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.consumer import Consumer

log = structlog.get_logger("bq_server")


Work = Callable[[], AbstractAsyncContextManager[object]]
"""What goes on for as long as the context lasts."""


class SoleWork(Struct):
    """What one process at a time does."""

    stack: AsyncExitStack
    alone: bool
    """Whether there is only this process."""
    works: list[Work] = field(default_factory=list)
    """What is not begun yet, because it is done only while this process leads."""

    async def start(self, work: Work) -> None:
        """Begin it now or, among several processes, whenever this one begins to lead."""
        if self.alone:
            await self.stack.enter_async_context(work())
        else:
            self.works.append(work)


@asynccontextmanager
async def accounting(account: StreamAccount, *, owned: bool, alone: bool) -> AsyncIterator[None]:
    """Account for what was accepted: before it is consumed, and once more after that."""
    await account.start(owned=owned, alone=alone)
    try:
        yield
    finally:
        await account.finish()


@asynccontextmanager
async def consuming(consumer: Consumer) -> AsyncIterator[None]:
    """Run the consumer; on exit let it finish its batch."""
    consumer.renew()
    async with working(consumer, "consumer"):
        yield


@asynccontextmanager
async def working(worker: Consumer | ShareWorker, name: str) -> AsyncIterator[None]:
    """Run it in a task of that name; on exit let it finish what it has."""
    task = asyncio.create_task(worker.run(), name=name)
    try:
        yield
    finally:
        worker.stop()
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
