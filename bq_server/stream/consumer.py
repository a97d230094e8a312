"""Reading the stream: batches in order, acknowledged when they are settled, taken over after a crash.

While there is a backlog, the next batch is read while one is processed, and one is acknowledged while the next is
processed. No two are processed at once.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import redis.asyncio as redis
import structlog
from redis.exceptions import ResponseError

from bq_server.clock import Clock
from bq_server.concurrency.notifier import Notifier
from bq_server.metrics.counts import ConsumerCounts
from bq_server.moments import SECOND
from bq_server.stream.counts import SETTLED, Totals, make_group
from bq_server.stream.dead_letters import DeadLetter, DeadLetters
from bq_server.stream.entries import Handler, NotNow, Result, StreamEntry
from bq_server.stream.keys import FIELD, GROUP, LETTER_FIELD, StreamKeys

log = structlog.get_logger("bq_server.stream.consumer")

BATCH = 100
"""Most messages of one command: what takes the event loop's time stays short."""

BACKLOG_BATCH = 500
"""Most messages handed over at once while there is a backlog. They are one transaction, worked on in groups."""

BLOCK_MILLISECONDS = 1000

STALE_SECONDS = 10.0
"""A consumer that neither finished a batch nor an empty read for so long is stuck."""

BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)

SUSPECT_DELIVERIES = 5
"""A message delivered more often than this is processed alone: it may be what ended the process each time."""

MOST_DELIVERIES = 20
"""A message delivered more often than this is given up."""


MOST_DEFERRED = 10_000
"""Messages that may wait for another try while others are read: past that, no more is read until some have gone."""


class DeadLetterObserver(Protocol):
    """Who is told of messages that are given up."""

    async def dying(self, letter: DeadLetter) -> None:
        """The message is about to become this dead letter; when this raises, later."""

    def buried(self, letter: DeadLetter) -> None:
        """It is one."""


@dataclass(frozen=True, slots=True)
class _Deferred:
    """A message that is to be tried again."""

    due: int
    """Microseconds since the epoch, UTC."""
    put_off_at: int
    reason: str


@dataclass(slots=True)
class ConsumerStatus:
    """What a health check needs to know. Times are of the event loop's clock, in seconds."""

    started: bool = False
    last_moved: float = 0.0
    trouble: str | None = None
    deferred: int = 0
    """Messages that could not be processed when they were tried, and wait for another try."""
    deferred_reason: str | None = None
    """Why the one that was put off last could not."""

    @property
    def caution(self) -> str | None:
        """What an operator should look into though the consumer moves, or None."""
        if not self.deferred:
            return None
        waiting = "1 message waits" if self.deferred == 1 else f"{self.deferred} messages wait"
        return f"{waiting} for another try: {self.deferred_reason}"

    def problem(self, now: float) -> str | None:
        """Why the consumer is not moving, or None when it is."""
        if not self.started:
            return "the consumer has not started"
        if self.trouble is not None:
            return self.trouble
        if now - self.last_moved > STALE_SECONDS:
            return f"the consumer has not finished a batch for {now - self.last_moved:.0f} s"
        if self.deferred >= MOST_DEFERRED:
            return f"the consumer reads no more before some are processed: {self.caution}"
        return None


class Consumer:
    """The one reader of a stream. `name` must be new with every start of the server."""

    def __init__(
        self,
        client: redis.Redis,
        keys: StreamKeys,
        handle: Handler,
        *,
        name: str,
        clock: Clock,
        totals: Totals | None = None,
        observer: DeadLetterObserver | None = None,
    ) -> None:
        """`observer` is told of messages that are given up."""
        self._client = client
        self._keys = keys
        self._handle = handle
        self._name = name
        self._clock = clock
        self._totals = totals or Totals()
        self._observer = observer
        self._dead_letters = DeadLetters(client, keys)
        self._dying: dict[StreamEntry, str] = {}
        """Messages to be set aside, with the reasons."""
        self._deferred: dict[str, _Deferred] = {}
        """By message id; they stay pending in the stream."""
        self._fruitless = 0
        """Batches in a row of which no message could be processed."""
        self._recovered = False
        """Whether all that was delivered before is settled or put off."""
        self._next: asyncio.Future[list[StreamEntry]] | None = None
        """The batch that is read while another is processed."""
        self._ending: asyncio.Future[None] | None = None
        """Of a batch that is processed and being acknowledged."""
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = ConsumerStatus()
        self.counts = ConsumerCounts()
        self.progress = Notifier()
        """Beats after every batch."""

    async def run(self) -> None:
        """Read and settle until `stop`; whatever fails is tried again, so that this never ends by an exception."""
        failures = 0
        while not self._stopped.done():
            try:
                if not self._recovered:
                    self._totals.groups_made += await make_group(self._client, self._keys)
                    await self._recover()
                    self._recovered = True
                    self._moved()
                due = await self._due()
                await self._settle(due)
                if len(self._deferred) < MOST_DEFERRED:
                    await self._settle(await self._following(block=len(due) < BATCH))
                elif not due:
                    await self._pause(BACKOFF_SECONDS[-1])
                self._moved()
                failures = 0
            except Exception as error:  # noqa: BLE001 - the stream must move again whatever went wrong
                # A reply may have been lost with its messages delivered: take over what is pending before reading on.
                self._recovered = False
                await self._let_go()
                await self._wait_after(error, failures)
                failures += 1
        await self._let_go()

    def stop(self) -> None:
        """Finish the batch under way, then let `run` return."""
        if not self._stopped.done():
            self._stopped.set_result(None)

    async def _recover(self) -> None:
        """Settle what was delivered to a consumer that is gone, or to this one before its connection broke."""
        start = "-"
        while not self._stopped.done():
            pending: Any = await self._client.xpending_range(self._keys.events, GROUP, start, "+", count=BATCH)
            if not pending:
                break
            start = f"({pending[-1]['message_id'].decode()}"
            pending = [item for item in pending if item["message_id"].decode() not in self._deferred]
            suspects = [item for item in pending if item["times_delivered"] > SUSPECT_DELIVERIES]
            await self._settle(await self._take_over([item for item in pending if item not in suspects]))
            for item in suspects:
                await self._try_suspect(item)
        await self._forget_dead_consumers()

    async def _try_suspect(self, item: Any) -> None:
        """Process a message alone, or give it up: each process that had it may have ended of it."""
        if item["times_delivered"] > MOST_DELIVERIES:
            for entry in await self._fetch([item["message_id"]]):
                self._dying[entry] = f"the server ended {item['times_delivered']} times while it had it"
            await self._bury()
        else:
            # Only now: a delivery counts when the message is really tried, not when one before it ended the process.
            await self._settle(await self._take_over([item]))

    async def _take_over(self, pending: Any) -> list[StreamEntry]:
        """The pending messages, now this consumer's.

        Claiming counts a delivery, and only a new process claims: the count tells how many a message outlived.
        """
        foreign = [item["message_id"] for item in pending if item["consumer"].decode() != self._name]
        if foreign:
            await self._client.xclaim(self._keys.events, GROUP, self._name, 0, foreign)
        return await self._fetch([item["message_id"] for item in pending])

    async def _fetch(self, message_ids: Sequence[bytes | str]) -> list[StreamEntry]:
        """These messages; one that is in the stream no more is acknowledged."""
        if not message_ids:
            return []
        async with self._client.pipeline(transaction=False) as pipe:
            for message_id in message_ids:
                pipe.xrange(self._keys.events, message_id, message_id)
            found: Any = await pipe.execute()
        gone = [message_id for message_id, entries in zip(message_ids, found, strict=True) if not entries]
        if gone:
            await self._client.xack(self._keys.events, GROUP, *gone)
        return [self._entry(*entries[0]) for entries in found if entries]

    async def _due(self) -> list[StreamEntry]:
        """Some of the messages that are to be tried again by now."""
        if not self._deferred:
            return []
        now = self._clock()
        # A clock that was set back makes nobody wait for it to come round.
        ids = [name for name, each in self._deferred.items() if not each.put_off_at <= now < each.due][:BATCH]
        entries = await self._fetch(ids)
        for message_id in {*ids} - {entry.message_id for entry in entries}:
            del self._deferred[message_id]
        return entries

    async def _forget_dead_consumers(self) -> None:
        consumers: Any = await self._client.xinfo_consumers(self._keys.events, GROUP)
        for consumer in consumers:
            name = consumer["name"].decode()
            if name != self._name and consumer["pending"] == 0:
                await self._client.xgroup_delconsumer(self._keys.events, GROUP, name)

    async def _read(self, *, block: bool) -> list[StreamEntry]:
        """The next batch; empty when nothing came, with `block` for a while, or the consumer is to stop."""
        wait = BLOCK_MILLISECONDS if block else None
        command = self._client.xreadgroup(GROUP, self._name, {self._keys.events: ">"}, count=BATCH, block=wait)
        if not block:  # never given up: its reply would be left on a connection that is still used
            return self._entries(await command)
        read: asyncio.Future[Any] = asyncio.ensure_future(command)
        await asyncio.wait([read, self._stopped], return_when=asyncio.FIRST_COMPLETED)
        if not read.done():
            # It may have been answered all the same: its messages stay pending and are taken over at the next start.
            read.cancel()
            await asyncio.wait({read})
            return []
        return self._entries(read.result())

    async def _following(self, *, block: bool) -> list[StreamEntry]:
        """The batch that was read ahead; otherwise as `_read`."""
        following, self._next = self._next, None
        if following is not None:
            return await following
        await self._ended()
        return await self._read(block=block)

    def _read_ahead(self, entries: Sequence[StreamEntry]) -> None:
        """Read what follows a batch that is about to be processed, if it is likely that there is more."""
        if self._recovered and self._next is None and len(entries) >= BATCH and not self._deferred:
            self._next = asyncio.ensure_future(self._read_backlog())

    async def _read_backlog(self) -> list[StreamEntry]:
        """A larger batch, if there is so much."""
        entries: list[StreamEntry] = []
        while len(entries) < BACKLOG_BATCH and not self._stopped.done():
            more = await self._read(block=False)
            entries += more
            if len(more) < BATCH:
                break
        return entries

    async def _ended(self) -> None:
        """Wait until the batch before is acknowledged. Raises what that has raised."""
        ending, self._ending = self._ending, None
        if ending is not None:
            await ending

    async def _let_go(self) -> None:
        """Await what is under way, and forget what was read ahead: it stays pending, and is taken over."""
        following, self._next = self._next, None
        with suppress(Exception):
            await self._ended()
        with suppress(Exception):
            if following is not None and (entries := await following):
                await self._forgive(entries)

    async def _settle(self, entries: Sequence[StreamEntry]) -> None:
        if not entries:
            return
        self._read_ahead(entries)
        results = await self._handled(entries)
        await self._ended()
        if results is None:
            return
        if self._next is None or any(result is not None for result in results):
            await self._end(entries, results)
        else:
            self._ending = asyncio.ensure_future(self._end_beside(entries, results))

    async def _end_beside(self, entries: Sequence[StreamEntry], results: Sequence[Result]) -> None:
        await self._end(entries, results)
        self._moved()

    async def _end(self, entries: Sequence[StreamEntry], results: Sequence[Result]) -> None:
        """Take what is settled out of the stream, and see to the rest."""
        await self._acknowledge([entry for entry, result in zip(entries, results, strict=True) if result is None])
        if self._deferred:
            for entry in entries:
                self._deferred.pop(entry.message_id, None)
        for entry, result in zip(entries, results, strict=True):
            if isinstance(result, str):
                self._dying[entry] = result
        await self._bury()
        await self._defer([(entry, r) for entry, r in zip(entries, results, strict=True) if isinstance(r, NotNow)])
        self.status.deferred = len(self._deferred)
        if all(isinstance(result, NotNow) for result in results):
            # What is lacking may be lacking for all: reading on at once would only put off more.
            await self._pause(BACKOFF_SECONDS[min(self._fruitless, len(BACKOFF_SECONDS) - 1)])
            self._fruitless += 1
        else:
            self._fruitless = 0

    async def _acknowledge(self, settled: Sequence[StreamEntry]) -> None:
        """Take settled messages out of the stream, so many in one step."""
        for start in range(0, len(settled), BATCH):
            await self._remove(settled[start : start + BATCH])

    async def _remove(self, settled: Sequence[StreamEntry]) -> None:
        ids = [entry.message_id for entry in settled]
        letters = [entry.letter_id for entry in settled if entry.letter_id is not None]
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.xack(self._keys.events, GROUP, *ids)
            pipe.xdel(self._keys.events, *ids)
            if letters:
                pipe.hdel(self._keys.dead, *letters)
            pipe.hincrby(self._keys.counts, SETTLED, len(ids))
            self._count((await pipe.execute())[-1])
        self.counts.settled(ids, self._clock())

    def _count(self, settled: int) -> None:
        self._totals.settled = max(self._totals.settled, settled)

    async def _defer(self, put_off: Sequence[tuple[StreamEntry, NotNow]]) -> None:
        """Keep messages for another try."""
        if not put_off:
            return
        await self._forgive([entry for entry, _ in put_off])
        now = self._clock()
        for entry, result in put_off:
            self._deferred[entry.message_id] = _Deferred(now + round(result.seconds * SECOND), now, result.reason)
        reason = put_off[-1][1].reason
        if self.status.deferred_reason != reason:
            log.warning("messages.put_off", messages=len(put_off), reason=reason)
        self.status.deferred_reason = reason

    async def _handled(self, entries: Sequence[StreamEntry]) -> Sequence[Result] | None:
        """What the handler says, however long the store is away; None when the consumer is stopped meanwhile."""
        failures = 0
        while not self._stopped.done() or failures == 0:
            try:
                return await self._handle(entries)
            except Exception as error:  # noqa: BLE001 - the handler tells a bad message by its answer
                if failures == 0:
                    await self._forgive(entries)
                await self._wait_after(error, failures)
                failures += 1
        return None

    async def _forgive(self, entries: Sequence[StreamEntry]) -> None:
        """Count their deliveries from nothing: a process that ends while they wait doesn't end of them."""
        ids: list[Any] = [entry.message_id for entry in entries]
        await self._client.xclaim(self._keys.events, GROUP, self._name, 0, ids, retrycount=0, justid=True)

    async def _bury(self) -> None:
        """Set dying messages aside. A stream server without memory refuses; they are kept, and nothing waits."""
        for entry, reason in list(self._dying.items()):
            letter = DeadLetter(entry.known_as, entry.payload, reason, self._clock())
            if self._observer is not None:
                await self._observer.dying(letter)
            try:
                self._count(await self._dead_letters.bury(letter, entry.message_id))
            except ResponseError as error:
                log.error("message.not_buried", message_id=entry.known_as, reason=str(error))
                return
            log.error("message.dead", message_id=entry.known_as, reason=reason)
            self.counts.dead += 1
            del self._dying[entry]
            if self._observer is not None:
                self._observer.buried(letter)

    def _moved(self) -> None:
        self.status.started = True
        self.status.trouble = None
        self.status.last_moved = asyncio.get_running_loop().time()
        self.progress.beat()

    async def _wait_after(self, error: Exception, failures: int) -> None:
        """Wait before the next try, longer with every failure; the first one is logged."""
        self.counts.failures += 1
        if failures == 0:
            log.warning("consumer.stalled", reason=str(error), error=type(error).__name__)
        self.status.trouble = f"the consumer waits: {error}"
        await self._pause(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])

    async def _pause(self, seconds: float) -> None:
        """Wait, but not past `stop`."""
        await asyncio.wait({self._stopped}, timeout=seconds)

    def _entries(self, reply: Any) -> list[StreamEntry]:
        return [self._entry(*entry) for entry in reply[0][1]] if reply else []

    @staticmethod
    def _entry(message_id: bytes, fields: dict[bytes, bytes]) -> StreamEntry:
        letter_id = fields.get(LETTER_FIELD)
        return StreamEntry(message_id.decode(), fields.get(FIELD, b""), letter_id.decode() if letter_id else None)
