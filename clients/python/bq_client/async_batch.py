"""A batch that fills, and sends itself from its own task."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Self

from bq_client.answers import BatchResult
from bq_client.buffer import CLOSE_SECONDS, Buffer, OnRejected, log, rejection_of
from bq_client.events import Event


class AsyncBatch:
    """As `Batch`, for tasks of one event loop. What is left when `asyncio.run` ends the loop is sent too."""

    def __init__(
        self,
        send: Callable[[Sequence[Event]], Awaitable[BatchResult]],
        closed: Callable[["AsyncBatch"], None],
        size: int,
        seconds: float,
        capacity: int,
        on_rejected: OnRejected,
    ) -> None:
        """Made by `AsyncClient.batch`, while the loop runs."""
        self._send = send
        self._closed = closed
        self._buffer = Buffer(size, seconds, capacity, on_rejected)
        self._changed = asyncio.Condition()
        self._ended = False
        self._task = asyncio.create_task(self._run(), name="bq-client-batch")

    async def add(self, event: Event) -> None:
        """Add an event. Raises `Unsent` if earlier ones can't be sent, and has then not added this one."""
        buffer = self._buffer
        async with self._changed:
            await self._changed.wait_for(lambda: not buffer.is_full or buffer.closing or buffer.failure is not None)
            buffer.check()
            buffer.add(event, monotonic())
            self._changed.notify_all()
        # Let the task start: one that is cancelled before that could not even send what is left.
        await asyncio.sleep(0)

    async def flush(self) -> None:
        """Send everything, and wait until it is accepted or rejected. Raises `Unsent`."""
        buffer = self._buffer
        async with self._changed:
            buffer.check()
            wanted = buffer.want_all()
            self._changed.notify_all()
            await self._changed.wait_for(lambda: buffer.done >= wanted or self._ended)
            if buffer.done < wanted:
                raise buffer.unsent() from buffer.failure

    async def aclose(self, timeout: float = CLOSE_SECONDS) -> None:  # noqa: ASYNC109 - how long to try, not to wait
        """Send everything and accept no more; try for so many seconds. Raises `Unsent`."""
        if self._buffer.closing:
            return
        self._buffer.closing = True
        async with self._changed:
            self._changed.notify_all()
        await asyncio.wait([self._task], timeout=timeout)
        self._closed(self)
        if not self._task.done():
            self._ended = True
            self._task.cancel()
            await asyncio.wait([self._task])
        if not self._buffer.is_empty:
            raise self._buffer.unsent() from self._buffer.failure

    async def _run(self) -> None:
        try:
            await self._send_all()
        except asyncio.CancelledError:
            if not self._ended:
                await self._send_the_rest()
            raise
        finally:
            self._ended = True
            async with self._changed:
                self._changed.notify_all()

    async def _send_the_rest(self) -> None:
        """When the loop ends and nobody closed the batch."""
        self._buffer.closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._send_all()
        if not self._buffer.is_empty:
            log.error("the event loop ended: %s", self._buffer.unsent())

    async def _send_all(self) -> None:
        buffer = self._buffer
        while buffer.failure is None and (events := await self._next()):
            outcome = await self._outcome(events)
            pause = 0.0
            if isinstance(outcome, BatchResult):
                buffer.report(events, outcome)
                buffer.settle(events, monotonic())
            else:
                pause = buffer.fail(events, outcome)
            async with self._changed:
                self._changed.notify_all()
            await asyncio.sleep(pause)

    async def _outcome(self, events: Sequence[Event]) -> BatchResult | Exception:
        try:
            return await self._send(events)
        except Exception as error:  # noqa: BLE001 - the task must not end without those who wait for it knowing
            return rejection_of(events, error) or error

    async def _next(self) -> list[Event]:
        """Wait for the events of the next request; none if the batch is closed and empty."""
        async with self._changed:
            while (wait := self._buffer.wait(monotonic())) != 0.0:
                if wait is None and self._buffer.closing:
                    return []
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
            return self._buffer.next()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
