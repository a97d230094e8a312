"""The client for programs without asyncio."""

import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import httpx

from bq_client.answers import Accepted, BatchResult, Fact, Message, Rehearsal
from bq_client.batch import Batch
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


class Client:
    """Requests with one API key; threads may share it. Every method raises a `BqError` if all tries failed."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        retries: Retries | None = None,
        timeout: float = TIMEOUT_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`url` is the server's, without a path; `timeout` in seconds, for one try; `transport` is httpx's."""
        self.retries = retries or Retries()
        self._http = httpx.Client(
            base_url=base_url(url), headers={"X-API-Key": key}, timeout=timeout, transport=transport
        )
        self._batches: set[Batch] = set()

    def send(self, event: Event, *, wait: bool = False) -> Accepted:
        """Queue an event. `wait` for the fact works in test environments only."""
        return Accepted.of(self._answer(event_call(event, wait=wait)))

    def send_sync(self, event: Event) -> Fact:
        """Process an event at once: its fact, and what it caused."""
        return Fact.of(self._answer(sync_call(event, include="effects")))

    def dry_run(self, event: Event) -> Rehearsal:
        """What an event would cause, and why. Nothing is written."""
        return Rehearsal.of(self._answer(sync_call(event, dry_run="true")))

    def send_batch(self, events: Sequence[Event]) -> BatchResult:
        """Queue several events in one request. Some may be rejected, even all: see `errors` of the result."""
        return BatchResult.of(self._answer(batch_call(events)))

    def batch(
        self,
        *,
        size: int = SIZE,
        seconds: float = SECONDS,
        capacity: int = CAPACITY,
        on_rejected: OnRejected = log_rejected,
    ) -> Batch:
        """A batch that fills and sends itself; see `Batch`."""
        batch = Batch(self.send_batch, self._batches.discard, size, seconds, capacity, on_rejected)
        self._batches.add(batch)
        return batch

    def message(self, message_id: str) -> Message:
        """The status of a queued event."""
        return Message.of(self._answer(message_call(message_id)))

    def state(self, participant_id: str) -> Json:
        """Everything that a participant's facts add up to."""
        return self._answer(state_call(participant_id))

    def facts(self, **filters: str | int | None) -> Iterator[Json]:
        """The facts that match the filters of `GET /facts`, newest first, across all pages."""
        while True:
            page = self._answer(facts_call(filters))
            yield from page["facts"]
            if page["next_cursor"] is None:
                return
            filters["cursor"] = page["next_cursor"]

    def feed(self, *, after: str | None = None, **filters: str | None) -> Iterator[FeedEvent]:
        """What happens from now on, or after the event with that id (`"0"`: all), with the filters of `GET /feed`.

        It has no end: it reconnects and continues where it was, and raises if that fails too often.
        """
        reading, tries = FeedReading(after, filters), 0
        while True:
            failure = reading.ended()
            try:
                with self._http.stream(**reading.options) as response:
                    if not response.is_success:
                        response.read()
                    reading.require_feed(response)
                    for line in response.iter_lines():
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
            time.sleep(wait)

    def close(self) -> None:
        """Send what is left in batches, then close the connections. Raises `Unsent`."""
        try:
            for batch in [*self._batches]:
                batch.close()
        finally:
            self._http.close()

    def _answer(self, call: Call) -> Json:
        tries = 0
        while True:
            tries += 1
            try:
                return self._try(call)
            except BqError as error:
                wait = self.retries.wait(tries, error)
                if wait is None:
                    raise
            time.sleep(wait)

    def _try(self, call: Call) -> Json:
        try:
            response = self._http.request(**call.options)
        except httpx.TransportError as error:
            raise failure_of(error) from error
        if self._http.is_closed and (connection := response.extensions.get("network_stream")):
            connection.close()  # a batch was connecting when the others were closed
        return answer_of(response)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
