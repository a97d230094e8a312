"""Processing batches of stream messages. A message is given up only for a fault of its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from bq_server.clock import Clock
from bq_server.concurrency.time_slices import TimeSlices
from bq_server.events import Event
from bq_server.moments import SECOND
from bq_server.processing.faults import is_passing
from bq_server.processing.processor import Conflict, Outcome, Processor
from bq_server.stream.entries import EntryResult, NotNow, StreamEntry

if TYPE_CHECKING:
    from bq_server.tracing.tracer import Tracer

log = structlog.get_logger("bq_server.processing.message_batch")

FAILURES = 3
"""How often a message must have failed, alone and in its own transaction, before it is given up."""

TRIAL_SECONDS = 120.0
"""Least time between the first and the last of those failures: minutes may cure what a moment broke."""

RETRY_SECONDS = 60.0
"""Time between two tries of a message that may be at fault."""

PASSING_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Time between two tries of a message that is not at fault, after the first, the second, ... try."""


class _Trial(Struct):
    """What is known about a message that has failed. Times are microseconds since the epoch, UTC."""

    passing: int = 0
    """How many times in a row something else was at fault."""
    failures: int = 0
    first_failed_at: int = 0


class MessageBatch(Struct):
    """Messages that were read together."""

    entries: Sequence[StreamEntry]
    results: list[EntryResult]
    """What became of each."""
    events: dict[int, Event]
    """Those that can be read, by position."""
    began: int
    """When, in microseconds since the epoch, UTC."""


def verdict_on(outcome: Outcome) -> str | None:
    """Why a message that was processed can't be what its sender wanted; None where it is settled."""
    if isinstance(outcome, Conflict):
        return f"its idempotency key belongs to another event, which is fact {outcome.fact.fact_id}"
    return None


class MessageProcessor:
    """Processes messages, and remembers why the waiting ones have failed."""

    def __init__(self, processor: Processor, clock: Clock, tracer: "Tracer | None" = None) -> None:
        """`tracer`: None if nothing is traced."""
        self._tracer = tracer
        self._processor = processor
        self._clock = clock
        self._trials: dict[str, _Trial] = {}

    workers = 1
    """How many work on a batch."""

    async def process(self, entries: Sequence[StreamEntry]) -> list[EntryResult]:
        """Turn the messages into facts; returns what became of each.

        Raises `StoreUnavailable` if nothing can be processed; whatever was processed takes no effect twice.
        """
        batch = await self.read(entries)
        await self.process_events(batch, list(batch.events))
        return batch.results

    async def read(self, entries: Sequence[StreamEntry]) -> MessageBatch:
        """Read the messages; of one that can't be read, the result is there at once."""
        batch = MessageBatch(entries, [None] * len(entries), {}, self._clock())
        slices = TimeSlices()
        for position, entry in enumerate(entries):
            await slices.give_way()
            try:
                batch.events[position] = Event.from_payload(entry.payload, entry.known_as)
            except (ValueError, TypeError) as error:
                batch.results[position] = f"it can't be read: {error}"
        return batch

    async def process_events(self, batch: MessageBatch, positions: Sequence[int]) -> None:
        """Process the events at these positions, and note what became of each. Raises as `process` does."""
        outcomes = await self._processor.process_many([batch.events[position] for position in positions])
        for position, outcome in zip(positions, outcomes, strict=True):
            self._note(batch, position, self._result(batch.entries[position].known_as, outcome), outcome)

    def settle(self, batch: MessageBatch, positions: Sequence[int], verdicts: Sequence[str | None]) -> None:
        """Note what was found of the events at these positions, which were processed elsewhere."""
        for position, verdict in zip(positions, verdicts, strict=True):
            self._trials.pop(batch.entries[position].known_as, None)
            self._note(batch, position, verdict)

    def _note(self, batch: MessageBatch, position: int, result: EntryResult, outcome: object = None) -> None:
        batch.results[position] = result
        if self._tracer is not None:
            failed = repr(outcome) if isinstance(outcome, Exception) else ""
            self._tracer.processed(batch.events[position], batch.began, failed)

    def _result(self, message_id: str, outcome: Outcome | Exception) -> EntryResult:
        if isinstance(outcome, Exception):
            trial = self._trials.setdefault(message_id, _Trial())
            result = self._after(trial, message_id, outcome)
            if not isinstance(result, NotNow):
                del self._trials[message_id]
            return result
        self._trials.pop(message_id, None)
        return verdict_on(outcome)

    def _after(self, trial: _Trial, message_id: str, error: Exception) -> EntryResult:
        """The result of a failure, given the previous ones."""
        if is_passing(error):
            seconds = PASSING_SECONDS[min(trial.passing, len(PASSING_SECONDS) - 1)]
            trial.passing += 1
            return NotNow(str(error) or type(error).__name__, seconds)
        now = self._clock()
        trial.passing = 0
        if trial.failures == 0 or now < trial.first_failed_at:  # the clock was set back: start counting again
            trial.first_failed_at = now
        trial.failures += 1
        log.error("message.failed", message_id=message_id, failures=trial.failures, exc_info=error)
        if trial.failures >= FAILURES and now - trial.first_failed_at >= TRIAL_SECONDS * SECOND:
            return f"it failed by itself {trial.failures} times: {error!r}"
        return NotNow(f"message {message_id} has failed and will be retried: {error!r}", RETRY_SECONDS)
