"""The consumer's decisions: what it takes over, processes alone, puts off, dead-letters and acknowledges, and when."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError

from bq_server.stream import consumer as consumer_module
from bq_server.stream.consumer import MOST_DELIVERIES, STALE_SECONDS, SUSPECT_DELIVERIES, Consumer, ConsumerStatus
from bq_server.stream.consumer_group import BATCH, ConsumerGroup
from bq_server.stream.counts import Totals
from bq_server.stream.dead_letters import DeadLetter, DeadLetters
from bq_server.stream.entries import EntryResult, NotNow, StreamEntry
from tests.support.stepped_clock import SteppedClock
from tests.unit.stream.stream_in_memory import EPOCH, Delivery, Letters, StreamInMemory

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "BACKOFF_SECONDS", (0.0,))


class Handler:
    """Processes everything but what it has another result for."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.results: dict[str, EntryResult] = {}
        self.failures: list[Exception] = []
        self.gate: asyncio.Semaphore | None = None

    async def __call__(self, entries: Sequence[StreamEntry]) -> list[EntryResult]:
        self.batches.append([entry.payload.decode() for entry in entries])
        if self.gate is not None:
            await self.gate.acquire()
        if self.failures:
            raise self.failures.pop(0)
        return [self.results.get(entry.payload.decode()) for entry in entries]

    @property
    def processed(self) -> list[str]:
        return [payload for batch in self.batches for payload in batch]


def consumer_of(
    stream: StreamInMemory, handler: Handler, clock: SteppedClock | None = None, totals: Totals | None = None
) -> Consumer:
    group, letters = cast("ConsumerGroup", stream), cast("DeadLetters", Letters(stream))
    return Consumer(group, letters, handler, clock=clock or SteppedClock(), totals=totals)


@asynccontextmanager
async def running(consumer: Consumer) -> AsyncIterator[None]:
    task = asyncio.create_task(consumer.run())
    try:
        async with asyncio.timeout(20):
            yield
            consumer.stop()
            await task
    finally:
        task.cancel()


async def until(consumer: Consumer, condition: Callable[[], bool]) -> None:
    """Wait for a batch after which the condition holds."""
    while True:
        beat = consumer.progress.next()
        if condition():
            return
        await beat


async def test_what_is_processed_leaves_the_stream_and_is_counted() -> None:
    stream, handler, totals = StreamInMemory("1", "2"), Handler(), Totals()
    consumer = consumer_of(stream, handler, totals=totals)
    async with running(consumer):
        await until(consumer, lambda: not stream.entries)
    assert handler.batches == [["1", "2"]]
    assert (totals.settled[EPOCH], totals.groups_made) == (2, 1)
    assert (consumer.status.problem(asyncio.get_running_loop().time()), consumer.counts.failures) == (None, 0)


async def test_what_others_left_comes_first_and_a_suspect_alone_and_last() -> None:
    stream, handler = StreamInMemory("1", "suspect", "3", "new"), Handler()
    stream.deliver("gone", 1, 3)
    stream.deliver("gone", 2, deliveries=SUSPECT_DELIVERIES + 1)
    consumer = consumer_of(stream, handler)
    async with running(consumer):
        await until(consumer, lambda: not stream.entries)
    assert handler.batches == [["1", "3"], ["suspect"], ["new"]]


async def test_what_so_many_processes_ended_of_is_a_dead_letter_untried() -> None:
    stream, handler = StreamInMemory("deadly", "good"), Handler()
    stream.deliver("gone", 1, deliveries=MOST_DELIVERIES + 1)
    consumer = consumer_of(stream, handler)
    async with running(consumer):
        await until(consumer, lambda: not stream.entries)
    assert handler.processed == ["good"]
    assert f"{MOST_DELIVERIES + 1} times" in stream.letters["1-0"].reason
    assert consumer.counts.dead == 1


async def test_a_rejected_message_is_a_dead_letter_and_the_others_of_its_batch_are_settled() -> None:
    stream, handler, totals, clock = StreamInMemory("1", "bad", "3"), Handler(), Totals(), SteppedClock()
    handler.results["bad"] = "it can't be read"
    consumer = consumer_of(stream, handler, clock, totals)
    async with running(consumer):
        await until(consumer, lambda: not stream.entries)
    assert stream.letters == {"2-0": DeadLetter("2-0", b"bad", "it can't be read", clock())}
    assert totals.settled[EPOCH] == 3


async def test_a_dead_letter_that_the_stream_server_refuses_is_kept_and_stops_no_other() -> None:
    stream, handler = StreamInMemory("bad"), Handler()
    handler.results["bad"] = "it can't be read"
    stream.failing["add_letter"] = [ResponseError("OOM command not allowed")]
    consumer = consumer_of(stream, handler)
    async with running(consumer):
        await until(consumer, lambda: handler.processed == ["bad"])
        stream.add("good")
        await until(consumer, lambda: not stream.entries)
        stream.add("next")
        await until(consumer, lambda: not stream.entries)
    assert handler.processed == ["bad", "good", "next"], "it was processed, and rejected, once"
    assert (list(stream.letters), consumer.counts.dead, consumer.counts.failures) == (["1-0"], 1, 0)


async def test_what_was_rejected_and_could_be_processed_after_a_lost_connection_is_no_dead_letter_too() -> None:
    stream, handler, totals = StreamInMemory("odd"), Handler(), Totals()
    handler.results["odd"] = "it failed three times"

    stream.failing["add_letter"] = [Disconnected()]
    consumer = consumer_of(stream, handler, totals=totals)
    rejecting = consumer._dead_letter_rejected

    async def once() -> None:
        try:
            await rejecting()
        except Disconnected:
            handler.results.clear()  # by the next try it can be processed
            raise

    consumer._dead_letter_rejected = once  # type: ignore[method-assign]
    async with running(consumer):
        await until(consumer, lambda: not stream.entries)
    assert handler.processed == ["odd", "odd"]
    assert (stream.letters, consumer.counts.dead, totals.settled[EPOCH]) == ({}, 0, 1)


async def test_what_can_not_be_processed_now_is_tried_when_it_is_due_and_outlives_its_deliveries() -> None:
    stream, handler, clock = StreamInMemory("1", "later"), Handler(), SteppedClock()
    handler.results["later"] = NotNow("the game can't be read", 60)
    consumer = consumer_of(stream, handler, clock)
    async with running(consumer):
        await until(consumer, lambda: consumer.status.deferred == 1)
        assert consumer.status.caution == "1 message waits for a retry: the game can't be read"
        assert stream.pending_now == {"2-0": Delivery("me", 0)}
        clock.advance(60)
        handler.results.clear()
        stream.add("3")
        await until(consumer, lambda: not stream.entries)
        assert consumer.status.deferred == 0
    assert sorted(handler.processed[2:]) == ["3", "later"]


async def test_past_so_many_that_wait_nothing_more_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "MOST_DEFERRED", 1)
    stream, handler, clock = StreamInMemory("later"), Handler(), SteppedClock()
    handler.results["later"] = NotNow("the disk is full", 60)
    consumer = consumer_of(stream, handler, clock)
    async with running(consumer):
        await until(consumer, lambda: consumer.status.deferred == 1)
        stream.add("next")
        for _ in range(3):
            await consumer.progress.next()
        assert handler.processed == ["later"]
        assert "reads no more" in (consumer.status.problem(asyncio.get_running_loop().time()) or "")
        clock.advance(60)
        handler.results.clear()
        await until(consumer, lambda: not stream.entries)


async def test_a_store_that_is_away_is_waited_for_and_counts_as_nobody_s_delivery() -> None:
    stream, handler = StreamInMemory("1"), Handler()
    handler.failures = [OSError("the disk is full")] * 3
    stream.deliver("gone", 1, deliveries=2)
    consumer = consumer_of(stream, handler)
    async with running(consumer):
        await until(consumer, lambda: not stream.entries)
    assert handler.processed == ["1"] * 4
    assert consumer.counts.failures == 3


async def test_a_stop_while_the_store_is_away_leaves_the_batch_to_the_next_start() -> None:
    stream, handler = StreamInMemory("1"), Handler()
    handler.failures, handler.gate = [OSError("the disk is full")] * 1000, asyncio.Semaphore(0)
    consumer = consumer_of(stream, handler)
    task = asyncio.create_task(consumer.run())
    async with asyncio.timeout(20):
        while not handler.batches:
            await asyncio.sleep(0)
        consumer.stop()
        handler.gate.release()
        await task
    assert handler.batches == [["1"]]
    assert stream.pending_now == {"1-0": Delivery("me", 0)}


async def test_a_backlog_is_read_while_a_batch_is_processed() -> None:
    stream, handler = StreamInMemory(*map(str, range(7 * BATCH + 20))), Handler()
    handler.gate = asyncio.Semaphore(0)
    consumer = consumer_of(stream, handler)
    async with running(consumer):
        async with asyncio.timeout(20):
            while len(stream.pending_now) < 6 * BATCH:
                await asyncio.sleep(0)
        assert len(handler.batches) == 1, "one is processed, one is read, and no more"
        for _ in range(3):
            handler.gate.release()
        await until(consumer, lambda: not stream.entries)
    assert [len(batch) for batch in handler.batches] == [BATCH, 5 * BATCH, BATCH + 20]
    assert handler.processed == list(map(str, range(7 * BATCH + 20)))


async def test_it_is_behind_while_it_processes_a_full_batch_and_not_while_it_waits_for_the_store() -> None:
    stream, handler = StreamInMemory(*map(str, range(BATCH + 20))), Handler()
    behind: list[bool] = []

    async def noting(entries: Sequence[StreamEntry]) -> list[EntryResult]:
        behind.append(consumer.status.is_behind)
        return await handler(entries)

    group, letters = cast("ConsumerGroup", stream), cast("DeadLetters", Letters(stream))
    consumer = Consumer(group, letters, noting, clock=SteppedClock())
    handler.failures = [RuntimeError("away")]
    async with running(consumer):
        await until(consumer, lambda: not stream.entries)
    assert behind == [True, False, False], "full; tried again; what was left"


@pytest.mark.parametrize(("workers", "payload", "largest"), [(1, "", 500), (3, "", 1500), (3, "x" * 20_000, 500)])
async def test_where_several_work_on_a_batch_it_is_as_many_times_larger_unless_messages_are_long(
    workers: int, payload: str, largest: int
) -> None:
    stream, handler = StreamInMemory(*[f"{number}{payload}" for number in range(4000)]), Handler()
    group, letters = cast("ConsumerGroup", stream), cast("DeadLetters", Letters(stream))
    consumer = Consumer(group, letters, handler, clock=SteppedClock(), workers=lambda: workers)
    async with running(consumer):
        await until(consumer, lambda: not stream.entries)
    assert max(map(len, handler.batches)) == largest


async def test_what_was_read_ahead_of_a_stop_counts_no_delivery() -> None:
    stream, handler = StreamInMemory(*map(str, range(2 * BATCH + 1))), Handler()
    handler.gate = asyncio.Semaphore(0)
    async with running(consumer_of(stream, handler)):
        async with asyncio.timeout(20):
            while len(stream.pending_now) < 2 * BATCH + 1:
                await asyncio.sleep(0)
        handler.gate.release()
    assert handler.processed == list(map(str, range(BATCH)))
    assert [each.deliveries for each in stream.pending_now.values()] == [0] * (BATCH + 1)


async def test_an_acknowledgement_that_fails_beside_the_next_batch_loses_and_reorders_nothing() -> None:
    names = list(map(str, range(3 * BATCH)))
    stream, handler, totals = StreamInMemory(*names), Handler(), Totals()
    stream.failing["remove"] = [Disconnected("gone")]
    consumer = consumer_of(stream, handler, totals=totals)
    async with running(consumer):
        await until(consumer, lambda: not stream.entries)
    assert list(dict.fromkeys(handler.processed)) == names
    assert (totals.settled[EPOCH], consumer.counts.failures) == (len(names), 1)


async def test_without_memory_to_start_over_it_goes_on_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, handler = StreamInMemory("1"), Handler()
    stream.failing["read"] = [MemoryError()]
    consumer = consumer_of(stream, handler)
    wait_after = consumer._wait_after

    async def without_memory(*_: object) -> None:
        monkeypatch.setattr(consumer, "_wait_after", wait_after)
        raise MemoryError

    monkeypatch.setattr(consumer, "_wait_after", without_memory)
    async with running(consumer):
        await until(consumer, lambda: not stream.entries)
    assert handler.processed == ["1"]


async def test_a_reply_that_is_lost_is_found_among_what_is_pending() -> None:
    stream, handler = StreamInMemory("1", "2"), Handler()
    stream.failing["read"] = [Disconnected("the reply is lost")]
    consumer = consumer_of(stream, handler)
    async with running(consumer):
        await until(consumer, lambda: not stream.entries)
    assert handler.batches == [["1", "2"]]


async def test_a_stop_does_not_wait_for_a_read_that_brings_nothing() -> None:
    stream, handler = StreamInMemory(), Handler()
    consumer = consumer_of(stream, handler)
    async with running(consumer):
        await until(consumer, lambda: consumer.status.started)
    assert handler.batches == []


def test_health_is_told_why_the_consumer_does_not_move() -> None:
    status = ConsumerStatus()
    assert status.problem(0.0) == "the consumer has not started"
    status.started, status.last_progress = True, 100.0
    assert status.problem(100.0 + STALE_SECONDS) is None
    assert (
        status.problem(101.0 + STALE_SECONDS) == f"the consumer has not finished a batch for {STALE_SECONDS + 1:.0f} s"
    )
    status.trouble = "the consumer waits: the disk is full"
    assert status.problem(100.0) == status.trouble
