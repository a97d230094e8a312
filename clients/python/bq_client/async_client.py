"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

import httpx

from bq_client.answers import Accepted, BatchResult, Fact, Message, Rehearsal
from bq_client.async_batch import AsyncBatch
from bq_client.buffer import CAPACITY, SECONDS, SIZE, OnRejected, log_rejected
from bq_client.calls import (
    TIMEOUT_SECONDS,
    Call,
    Json,
    answer_of,
    base_url,
    batch_call,
    event_call,
    facts_call,
    failure_of,
    message_call,
    state_call,
    sync_call,
)
from bq_client.errors import BqError
from bq_client.events import Event
from bq_client.feed import FeedEvent, FeedReading
from bq_client.retries import Retries


class AsyncClient:
    """Requests with one API key, for tasks of one event loop. Every method raises a `BqError` if all tries failed."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        retries: Retries | None = None,
        timeout: float = TIMEOUT_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`url` is the server's, without a path; `timeout` in seconds, for one try; `transport` is httpx's."""
        self.retries = retries or Retries()
        self._http = httpx.AsyncClient(
            base_url=base_url(url), headers={"X-API-Key": key}, timeout=timeout, transport=transport
        )
        self._batches: set[AsyncBatch] = set()

    async def send(self, event: Event, *, wait: bool = False) -> Accepted:
        """Queue an event. `wait` for the fact works in test environments only."""
        return Accepted.of(await self._answer(event_call(event, wait=wait)))

    async def send_sync(self, event: Event) -> Fact:
        """Process an event at once: its fact, and what it caused."""
        return Fact.of(await self._answer(sync_call(event, include="effects")))

    async def dry_run(self, event: Event) -> Rehearsal:
        """What an event would cause, and why. Nothing is written."""
        return Rehearsal.of(await self._answer(sync_call(event, dry_run="true")))

    async def send_batch(self, events: Sequence[Event]) -> BatchResult:
        """Queue several events in one request. Some may be rejected, even all: see `errors` of the result."""
        return BatchResult.of(await self._answer(batch_call(events)))

    def batch(
        self,
        *,
        size: int = SIZE,
        seconds: float = SECONDS,
        capacity: int = CAPACITY,
        on_rejected: OnRejected = log_rejected,
    ) -> AsyncBatch:
        """A batch that fills and sends itself; see `AsyncBatch`."""
        batch = AsyncBatch(self.send_batch, self._batches.discard, size, seconds, capacity, on_rejected)
        self._batches.add(batch)
        return batch

    async def message(self, message_id: str) -> Message:
        """The status of a queued event."""
        return Message.of(await self._answer(message_call(message_id)))

    async def state(self, participant_id: str) -> Json:
        """Everything that a participant's facts add up to."""
        return await self._answer(state_call(participant_id))

    async def facts(self, **filters: str | int | None) -> AsyncIterator[Json]:
        """The facts that match the filters of `GET /facts`, newest first, across all pages."""
        while True:
            page = await self._answer(facts_call(filters))
            for fact in page["facts"]:
                yield fact
            if page["next_cursor"] is None:
                return
            filters["cursor"] = page["next_cursor"]

    async def feed(self, *, after: str | None = None, **filters: str | None) -> AsyncIterator[FeedEvent]:
        """What happens from now on, or after the event with that id (`"0"`: all), with the filters of `GET /feed`.

        It has no end: it reconnects and continues where it was, and raises if that fails too often.
        """
        reading, tries = FeedReading(after, filters), 0
        while True:
            failure = reading.ended()
            try:
                async with self._http.stream(**reading.options) as response:
                    if not response.is_success:
                        await response.aread()
                    reading.require_feed(response)
                    async for line in response.aiter_lines():
                        tries = 0
                        if (event := reading.take(line)) is not None:
                            yield event
            except httpx.TransportError as error:
                failure = failure_of(error)
            except BqError as error:
                failure = error
            tries += 1
            wait = self.retries.wait(tries, failure)
            if wait is None:
                raise failure
            await asyncio.sleep(wait)

    async def aclose(self) -> None:
        """Send what is left in batches, then close the connections. Raises `Unsent`."""
        try:
            for batch in [*self._batches]:
                await batch.aclose()
        finally:
            await self._http.aclose()

    async def _answer(self, call: Call) -> Json:
        tries = 0
        while True:
            tries += 1
            try:
                return await self._try(call)
            except BqError as error:
                wait = self.retries.wait(tries, error)
                if wait is None:
                    raise
            await asyncio.sleep(wait)

    async def _try(self, call: Call) -> Json:
        try:
            response = await self._http.request(**call.options)
        except httpx.TransportError as error:
            raise failure_of(error) from error
        return answer_of(response)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
