"""Reading the stream: batches in order, acknowledged when they are settled, taken over after a crash.

A message is settled once it has its final outcome: a fact, a duplicate or a dead letter. While there is a backlog,
the next batch is read while one is processed, and one is acknowledged while the next is processed. No two are processed
at once.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress

import structlog
from msgspec import Struct
from redis.exceptions import ResponseError

from bq_server.clock import Clock
from bq_server.concurrency.interruption import answer_unless
from bq_server.concurrency.notifier import Notifier
from bq_server.concurrency.supervision import pause
from bq_server.metrics.counts import ConsumerCounts
from bq_server.stream.consumer_group import BATCH, ConsumerGroup, PendingEntry
from bq_server.stream.counts import Totals
from bq_server.stream.dead_letters import Announcing, DeadLetter, DeadLetters
from bq_server.stream.deferred_messages import DeferredMessages
from bq_server.stream.entries import EntryResult, Handler, NotNow, StreamEntry

log = structlog.get_logger("bq_server.stream.consumer")

BACKLOG_BATCH = 500
"""Most messages handed over at once while there is a backlog. They are one transaction, processed in groups.

Where several workers process them, there may be so many for each, as long as they are small."""

MOST_BACKLOG = 4_000
"""Most of them, for however many workers: a script of the stream server is given all their ids."""

BACKLOG_BYTES = 8 << 20
"""What they may have in all, where there are more of them than for one worker."""

STALE_SECONDS = 10.0
"""A consumer that has finished neither a batch nor an empty read for this long is stuck."""

BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)

SUSPECT_DELIVERIES = 5
"""A message delivered more often than this is processed alone: it may be what killed the process each time."""

MOST_DELIVERIES = 20
"""A message delivered more often than this becomes a dead letter."""


OTHERS_SECONDS = 2.0
"""How often to look for what was delivered to another consumer: only where there may be one."""

MOST_DEFERRED = 10_000
"""Messages that may wait for a retry while others are read; beyond it, no more are read until some are settled."""


class ConsumerStatus(Struct):
    """What a health check needs to know. Times are of the event loop's clock, in seconds."""

    started: bool = False
    last_progress: float = 0.0
    trouble: str | None = None
    is_behind: bool = False
    """Whether more was waiting than a batch takes, and is being processed."""
    deferred: int = 0
    """Messages that could not be processed, and wait for a retry."""
    deferred_reason: str | None = None
    """Why the last one could not."""

    @property
    def caution(self) -> str | None:
        """What an operator should look into although the consumer is moving, or None."""
        if not self.deferred:
            return None
        waiting = "1 message waits" if self.deferred == 1 else f"{self.deferred} messages wait"
        return f"{waiting} for a retry: {self.deferred_reason}"

    def problem(self, now: float) -> str | None:
        """Why the consumer is not moving, or None when it is."""
        if not self.started:
            return "the consumer has not started"
        if self.trouble is not None:
            return self.trouble
        if now - self.last_progress > STALE_SECONDS:
            return f"the consumer has not finished a batch for {now - self.last_progress:.0f} s"
        if self.deferred >= MOST_DEFERRED:
            return f"the consumer reads no more until some are processed: {self.caution}"
        return None


class Consumer:
    """The one reader of a stream."""

    def __init__(
        self,
        group: ConsumerGroup,
        dead_letters: DeadLetters,
        handle: Handler,
        *,
        clock: Clock,
        totals: Totals | None = None,
        announced: Announcing = lambda _: nullcontext(),
        workers: Callable[[], int] = lambda: 1,
    ) -> None:
        """`announced`: in it messages become dead letters, perhaps only after several times.

        `workers`: how many process a batch at the same time.
        """
        self._group = group
        self._dead_letters = dead_letters
        self._handle = handle
        self._clock = clock
        self._totals = totals or Totals()
        self._announced = announced
        self._workers = workers
        self._rejected: dict[StreamEntry, str] = {}
        """Messages that must become dead letters, with the reasons."""
        self._deferred = DeferredMessages(clock)
        self._fruitless = 0
        """Batches in a row of which no message could be processed."""
        self._recovered = False
        """Whether everything delivered earlier is settled or postponed."""
        self._ahead: asyncio.Future[list[StreamEntry]] | None = None
        """The batch being read while another is processed."""
        self._finishing: asyncio.Future[None] | None = None
        """The acknowledgement of a processed batch."""
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._looked_at_others = 0.0
        """By the event loop's clock."""
        self.status = ConsumerStatus()
        self.counts = ConsumerCounts()
        self.progress = Notifier()
        """Signalled after every batch."""

    async def run(self) -> None:
        """Read and process until `stop`; whatever fails is retried, so that this never ends with an exception."""
        failures = 0
        while not self._stopped.done():
            try:
                if not self._recovered:
                    self._totals.groups_made += await self._group.make()
                    await self._recover()
                    self._recovered = True
                    self._report_progress()
                await self._look_at_others()
                due = await self._due()
                await self._process_batch(due)
                if len(self._deferred) < MOST_DEFERRED:
                    entries = await self._next_batch(block=len(due) < BATCH)
                    self.status.is_behind = len(entries) >= BATCH
                    await self._process_batch(entries)
                elif not due:
                    await self._pause(BACKOFF_SECONDS[-1])
                self._report_progress()
                failures = 0
            except Exception as error:  # noqa: BLE001 - the stream must move again whatever went wrong
                try:
                    await self._start_over(error, failures)
                except Exception:  # noqa: BLE001 - as where there is no memory for that, either
                    await pause(BACKOFF_SECONDS[-1])
                failures += 1
        await self._abandon()

    async def _start_over(self, error: Exception, failures: int) -> None:
        # A reply may have been lost although its messages were delivered: take over what is pending before reading on.
        self._recovered = False
        self._rejected.clear()  # what is still pending is retried, and may be processed then
        await self._abandon()
        await self._wait_after(error, failures)

    def renew(self) -> None:
        """Have `run` begin anew, after it has returned: meanwhile another may have consumed."""
        if self._stopped.done():
            self._stopped = asyncio.get_running_loop().create_future()
        self._recovered = False
        self._rejected.clear()
        self._deferred.clear()
        self.status = ConsumerStatus()

    def stop(self) -> None:
        """Finish the batch under way, then let `run` return."""
        if not self._stopped.done():
            self._stopped.set_result(None)

    async def _look_at_others(self) -> None:
        """Take over, from time to time, what was delivered to another consumer after its turn."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_at_others >= OTHERS_SECONDS:
            self._looked_at_others = now
            if await self._group.others_have_some():
                await self._recover(only_from_others=True)

    async def _recover(self, *, only_from_others: bool = False) -> None:
        """Process what was delivered to a previous consumer, or to this one before its connection broke."""
        after: str | None = None
        while not self._stopped.done():
            pending = await self._group.pending(after)
            if not pending:
                break
            after = pending[-1].message_id
            pending = [each for each in pending if each.message_id not in self._deferred]
            if only_from_others:  # what is this one's own may be read ahead, or just being acknowledged
                pending = [each for each in pending if each.consumer != self._group.name]
            suspects = [each for each in pending if each.deliveries > SUSPECT_DELIVERIES]
            others = [each for each in pending if each.deliveries <= SUSPECT_DELIVERIES]
            await self._process_batch(await self._group.take_over(others))
            for suspect in suspects:
                await self._try_suspect(suspect)
        await self._group.remove_idle_consumers()

    async def _try_suspect(self, suspect: PendingEntry) -> None:
        """Process a message alone, or reject it: it may have killed each process that had it."""
        if suspect.deliveries > MOST_DELIVERIES:
            for entry in await self._group.fetch([suspect.message_id]):
                self._rejected[entry] = f"the server died {suspect.deliveries} times while processing it"
            await self._dead_letter_rejected()
        else:
            # Only now: a delivery counts when the message is really tried, not when an earlier one killed the process.
            await self._process_batch(await self._group.take_over([suspect]))

    async def _due(self) -> list[StreamEntry]:
        """Some of the messages due for a retry."""
        if not self._deferred:
            return []
        ids = self._deferred.due(BATCH)
        entries = await self._group.fetch(ids)
        self._deferred.discard({*ids} - {entry.message_id for entry in entries})
        return entries

    async def _read(self, *, block: bool) -> list[StreamEntry]:
        """The next messages; none if nothing came (with `block`, for a while), or if the consumer must stop."""
        if not block:  # never cancelled: its reply would be left on a connection still in use
            return await self._group.read(block=False)
        if self._stopped.done():  # what it read would only be left pending
            return []
        # It may have been answered nevertheless: its messages stay pending and are taken over at the next start.
        return await answer_unless(self._stopped, self._group.read(block=True)) or []

    async def _next_batch(self, *, block: bool) -> list[StreamEntry]:
        """The batch that was read ahead, otherwise as `_read`."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return await ahead
        await self._finished()
        return await self._read(block=block)

    def _read_ahead(self, entries: Sequence[StreamEntry]) -> None:
        """Read what follows a batch that is about to be processed, if there is likely to be more."""
        if self._recovered and self._ahead is None and len(entries) >= BATCH and not self._deferred:
            self._ahead = asyncio.ensure_future(self._read_backlog())

    async def _read_backlog(self) -> list[StreamEntry]:
        """A larger batch, if there is that much."""
        entries: list[StreamEntry] = []
        most, size = min(BACKLOG_BATCH * self._workers(), MOST_BACKLOG), 0
        while len(entries) < most and not self._stopped.done():
            more = await self._read(block=False)
            entries += more
            size += sum(len(entry.payload) for entry in more)
            if len(more) < BATCH or (size > BACKLOG_BYTES and len(entries) >= BACKLOG_BATCH):
                break
        return entries

    async def _finished(self) -> None:
        """Wait until the previous batch is acknowledged. Raises what that raised."""
        finishing, self._finishing = self._finishing, None
        if finishing is not None:
            await finishing

    async def _abandon(self) -> None:
        """Await what is under way, and drop what was read ahead: it stays pending, and is taken over."""
        ahead, self._ahead = self._ahead, None
        with suppress(Exception):
            await self._finished()
        with suppress(Exception):
            if ahead is not None and (entries := await ahead):
                await self._group.reset_deliveries(entries)

    async def _process_batch(self, entries: Sequence[StreamEntry]) -> None:
        if not entries:
            return
        self._read_ahead(entries)
        results = await self._results_of(entries)
        await self._finished()
        if results is None:
            return
        if self._ahead is None or any(result is not None for result in results):
            await self._finish(entries, results)
        else:
            self._finishing = asyncio.ensure_future(self._finish_beside_next(entries, results))

    async def _results_of(self, entries: Sequence[StreamEntry]) -> Sequence[EntryResult] | None:
        """What the handler returns, however long the store is away; None if the consumer is stopped meanwhile."""
        failures = 0
        while not self._stopped.done() or failures == 0:
            try:
                return await self._handle(entries)
            except Exception as error:  # noqa: BLE001 - of a bad message the handler returns why
                if failures == 0:
                    await self._group.reset_deliveries(entries)
                await self._wait_after(error, failures)
                failures += 1
        return None

    async def _finish_beside_next(self, entries: Sequence[StreamEntry], results: Sequence[EntryResult]) -> None:
        await self._finish(entries, results)
        self._report_progress()

    async def _finish(self, entries: Sequence[StreamEntry], results: Sequence[EntryResult]) -> None:
        """Remove what is settled from the stream; dead-letter or postpone the rest."""
        await self._acknowledge([entry for entry, result in zip(entries, results, strict=True) if result is None])
        if self._deferred:
            self._deferred.discard(entry.message_id for entry in entries)
        for entry, result in zip(entries, results, strict=True):
            if isinstance(result, str):
                self._rejected[entry] = result
        await self._dead_letter_rejected()
        await self._defer([(entry, r) for entry, r in zip(entries, results, strict=True) if isinstance(r, NotNow)])
        self.status.deferred = len(self._deferred)
        if all(isinstance(result, NotNow) for result in results):
            # What is short may be short for all: reading on at once would only postpone more.
            await self._pause(BACKOFF_SECONDS[min(self._fruitless, len(BACKOFF_SECONDS) - 1)])
            self._fruitless += 1
        else:
            self._fruitless = 0

    async def _acknowledge(self, settled: Sequence[StreamEntry]) -> None:
        """Remove settled messages from the stream, so many per step."""
        for start in range(0, len(settled), BATCH):
            some = settled[start : start + BATCH]
            self._totals.saw_settled(await self._group.remove(some))
            self.counts.settled([entry.message_id for entry in some], self._clock())

    async def _defer(self, put_off: Sequence[tuple[StreamEntry, NotNow]]) -> None:
        """Keep messages for a retry."""
        if not put_off:
            return
        await self._group.reset_deliveries([entry for entry, _ in put_off])
        for entry, result in put_off:
            self._deferred.put_off(entry.message_id, result)
        reason = put_off[-1][1].reason
        if self.status.deferred_reason != reason:
            log.warning("messages.put_off", messages=len(put_off), reason=reason)
        self.status.deferred_reason = reason

    async def _dead_letter_rejected(self) -> None:
        """Turn rejected messages into dead letters; those that a stream server without memory refuses wait."""
        rejected = [
            (entry, DeadLetter(entry.known_as, entry.payload, reason, self._clock()))
            for entry, reason in self._rejected.items()
        ]
        if not rejected:
            return
        async with self._announced([letter for _, letter in rejected]):
            for entry, letter in rejected:
                try:
                    self._totals.saw_settled(await self._dead_letters.add(letter, entry.message_id))
                except ResponseError as error:
                    log.error("message.not_dead_lettered", message_id=entry.known_as, reason=str(error))
                    return
                log.error("message.dead", message_id=entry.known_as, reason=letter.reason)
                self.counts.dead += 1
                del self._rejected[entry]

    def _report_progress(self) -> None:
        self.status.started = True
        self.status.trouble = None
        self.status.last_progress = asyncio.get_running_loop().time()
        self.progress.beat()

    async def _wait_after(self, error: Exception, failures: int) -> None:
        """Wait before the next try, longer after every failure; the first one is logged."""
        self.counts.failures += 1
        if failures == 0:
            log.warning("consumer.stalled", reason=str(error), error=type(error).__name__)
        self.status.trouble = f"the consumer waits: {error}"
        self.status.is_behind = False  # whoever gives way to it would do so for nothing
        await self._pause(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond `stop`."""
        await asyncio.wait({self._stopped}, timeout=seconds)
