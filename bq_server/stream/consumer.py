"""Reading the stream: batches in order, acknowledged when they are settled, taken over after a crash."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import redis.asyncio as redis
import structlog
from redis.exceptions import ResponseError

from bq_server.clock import Clock
from bq_server.metrics.counts import ConsumerCounts
from bq_server.pulse import Pulse
from bq_server.stream.dead_letters import DeadLetter, DeadLetters
from bq_server.stream.keys import FIELD, GROUP, StreamKeys

log = structlog.get_logger("bq_server.stream.consumer")

BATCH = 500
"""Most messages read at once. A transaction costs the most at its end, so a backlog is taken in large ones; where there
is none, a batch is what came while the last one was processed. A sync event waits for one at most."""

BLOCK_MILLISECONDS = 1000

STALE_SECONDS = 10.0
"""A consumer that neither finished a batch nor an empty read for so long is stuck."""

BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)

SUSPECT_DELIVERIES = 5
"""A message delivered more often than this is processed alone: it may be what ended the process each time."""

MOST_DELIVERIES = 20
"""A message delivered more often than this is given up."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as it was read."""

    message_id: str
    payload: bytes


Handler = Callable[[Sequence[Entry]], Awaitable[Sequence[str | None]]]
"""Settles a batch: for each entry None, or the reason why it can never be processed. What it raises means «not now»."""


@dataclass(slots=True)
class ConsumerStatus:
    """What a health check needs to know. Times are of the event loop's clock, in seconds."""

    started: bool = False
    last_moved: float = 0.0
    trouble: str | None = None

    def problem(self, now: float) -> str | None:
        """Why the consumer is not moving, or None when it is."""
        if not self.started:
            return "the consumer has not started"
        if self.trouble is not None:
            return self.trouble
        if now - self.last_moved > STALE_SECONDS:
            return f"the consumer has not finished a batch for {now - self.last_moved:.0f} s"
        return None


class Consumer:
    """The one reader of a stream. `name` must be new with every start of the server."""

    def __init__(self, client: redis.Redis, keys: StreamKeys, handle: Handler, *, name: str, clock: Clock) -> None:
        self._client = client
        self._keys = keys
        self._handle = handle
        self._name = name
        self._clock = clock
        self._dead_letters = DeadLetters(client, keys)
        self._dying: dict[Entry, str] = {}
        """Messages to be set aside, with the reasons."""
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = ConsumerStatus()
        self.counts = ConsumerCounts()
        self.progress = Pulse()
        """Beats after every batch."""

    async def run(self) -> None:
        """Read and settle until `stop`; whatever fails is tried again, so that this never ends by an exception."""
        failures = 0
        recovered = False
        while not self._stopped.done():
            try:
                if not recovered:
                    await self._prepare_group()
                    await self._recover()
                    recovered = True
                    self._moved()
                await self._settle(await self._read())
                self._moved()
                failures = 0
            except Exception as error:  # noqa: BLE001 - the stream must move again whatever went wrong
                # A reply may have been lost with its messages delivered: take over what is pending before reading on.
                recovered = False
                await self._wait_after(error, failures)
                failures += 1

    def stop(self) -> None:
        """Finish the batch under way, then let `run` return."""
        if not self._stopped.done():
            self._stopped.set_result(None)

    async def _prepare_group(self) -> None:
        try:
            # From 0: a group that vanished must not skip what waits; facts are unique, so reading twice is harmless.
            await self._client.xgroup_create(self._keys.events, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def _recover(self) -> None:
        """Settle what was delivered to a consumer that is gone, or to this one before its connection broke."""
        start = "-"
        while not self._stopped.done():
            pending: Any = await self._client.xpending_range(self._keys.events, GROUP, start, "+", count=BATCH)
            if not pending:
                break
            start = f"({pending[-1]['message_id'].decode()}"
            entries = await self._take_over(pending)
            # Claiming counts a delivery, and only a new process claims: the count tells how many a message outlived.
            deliveries = {item["message_id"].decode(): item["times_delivered"] for item in pending}
            suspects = [entry for entry in entries if deliveries[entry.message_id] > SUSPECT_DELIVERIES]
            await self._settle([entry for entry in entries if entry not in suspects])
            for entry in suspects:
                if deliveries[entry.message_id] > MOST_DELIVERIES:
                    self._dying[entry] = f"the server ended {deliveries[entry.message_id]} times while it had it"
                    await self._bury()
                else:
                    await self._settle([entry])
        await self._forget_dead_consumers()

    async def _take_over(self, pending: Any) -> list[Entry]:
        """The pending messages, now this consumer's; one that is in the stream no more is acknowledged."""
        foreign = [item["message_id"] for item in pending if item["consumer"].decode() != self._name]
        if foreign:
            await self._client.xclaim(self._keys.events, GROUP, self._name, 0, foreign)
        async with self._client.pipeline(transaction=False) as pipe:
            for item in pending:
                pipe.xrange(self._keys.events, item["message_id"], item["message_id"])
            found: Any = await pipe.execute()
        gone = [item["message_id"] for item, entries in zip(pending, found, strict=True) if not entries]
        if gone:
            await self._client.xack(self._keys.events, GROUP, *gone)
        return [self._entry(*entries[0]) for entries in found if entries]

    async def _forget_dead_consumers(self) -> None:
        consumers: Any = await self._client.xinfo_consumers(self._keys.events, GROUP)
        for consumer in consumers:
            name = consumer["name"].decode()
            if name != self._name and consumer["pending"] == 0:
                await self._client.xgroup_delconsumer(self._keys.events, GROUP, name)

    async def _read(self) -> list[Entry]:
        """The next batch; empty when nothing came for a while or the consumer is to stop."""
        read: asyncio.Future[Any] = asyncio.ensure_future(
            self._client.xreadgroup(GROUP, self._name, {self._keys.events: ">"}, count=BATCH, block=BLOCK_MILLISECONDS)
        )
        await asyncio.wait([read, self._stopped], return_when=asyncio.FIRST_COMPLETED)
        if not read.done():
            # It may have been answered all the same: its messages stay pending and are taken over at the next start.
            read.cancel()
            await asyncio.wait({read})
            return []
        reply = read.result()
        return [self._entry(*entry) for entry in reply[0][1]] if reply else []

    async def _settle(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        reasons = await self._handled(entries)
        if reasons is None:
            return
        settled = [entry.message_id for entry, reason in zip(entries, reasons, strict=True) if reason is None]
        if settled:
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.xack(self._keys.events, GROUP, *settled)
                pipe.xdel(self._keys.events, *settled)
                await pipe.execute()
            self.counts.settled(settled, self._clock())
        self._dying |= {entry: reason for entry, reason in zip(entries, reasons, strict=True) if reason is not None}
        await self._bury()

    async def _handled(self, entries: Sequence[Entry]) -> Sequence[str | None] | None:
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

    async def _forgive(self, entries: Sequence[Entry]) -> None:
        """Count their deliveries from nothing: a process that ends while the store is away doesn't end of them."""
        ids: list[Any] = [entry.message_id for entry in entries]
        await self._client.xclaim(self._keys.events, GROUP, self._name, 0, ids, retrycount=0, justid=True)

    async def _bury(self) -> None:
        """Set dying messages aside. A stream server without memory refuses; they are kept, and nothing waits."""
        for entry, reason in list(self._dying.items()):
            letter = DeadLetter(entry.message_id, entry.payload, reason, self._clock())
            try:
                await self._dead_letters.bury(letter)
            except ResponseError as error:
                log.error("message.not_buried", message_id=entry.message_id, reason=str(error))
                return
            log.error("message.dead", message_id=entry.message_id, reason=reason)
            self.counts.dead += 1
            del self._dying[entry]

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
        await asyncio.wait({self._stopped}, timeout=BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])

    @staticmethod
    def _entry(message_id: bytes, fields: dict[bytes, bytes]) -> Entry:
        return Entry(message_id.decode(), fields.get(FIELD, b""))
