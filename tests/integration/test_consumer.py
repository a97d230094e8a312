"""The consumer against a real Valkey: takeover, suspects, and a store that is away."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bq_server.clock import Clock, system_clock
from bq_server.stream import consumer as consumer_module
from bq_server.stream import consumer_group
from bq_server.stream.charge import Charge
from bq_server.stream.consumer import Consumer
from bq_server.stream.consumer_group import ConsumerGroup
from bq_server.stream.counts import Count
from bq_server.stream.dead_letters import DeadLetters
from bq_server.stream.entries import EntryResult, NotNow, StreamEntry
from bq_server.stream.keys import GROUP, StreamKeys
from bq_server.stream.lookup import MessageLookup
from bq_server.stream.store_note import StoreNote
from tests.support.stepped_clock import SteppedClock

pytestmark = pytest.mark.anyio
KEYS = StreamKeys("bq")


class Handler:
    """Processes everything but what it is told not to, and counts."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.failures = 0
        self.not_now: dict[bytes, NotNow] = {}
        """By payload, what can't be processed."""

    async def __call__(self, entries: Sequence[StreamEntry]) -> list[EntryResult]:
        self.batches.append([entry.payload for entry in entries])
        if self.failures:
            self.failures -= 1
            raise OSError("the disk is full")
        return [self.not_now.get(entry.payload) for entry in entries]

    @property
    def payloads(self) -> list[bytes]:
        return [payload for batch in self.batches for payload in batch]


async def drained(client: Any) -> None:
    async with asyncio.timeout(20):
        while await client.xlen(KEYS.events):
            await asyncio.sleep(0.005)


async def add(client: Any, *payloads: bytes) -> None:
    async with client.pipeline(transaction=False) as pipe:  # hundreds are one write to the disk
        for payload in payloads:
            pipe.xadd(KEYS.events, {"e": payload})
        await pipe.execute()


def consumer_of(client: Any, handler: Handler, name: str = "c", clock: Clock = system_clock) -> Consumer:
    return Consumer(ConsumerGroup(client, KEYS, name), DeadLetters(client, KEYS), handler, clock=clock)


async def run_until_drained(client: Any, handler: Handler, name: str = "c") -> Consumer:
    async with running(client, handler, name=name) as consumer:
        await drained(client)
    return consumer


@asynccontextmanager
async def running(
    client: Any, handler: Handler, *, name: str = "c", clock: Clock = system_clock
) -> AsyncIterator[Consumer]:
    consumer = consumer_of(client, handler, name, clock)
    task = asyncio.create_task(consumer.run())
    yield consumer
    consumer.stop()
    await task


async def beats(consumer: Consumer, condition: Callable[[], bool]) -> None:
    """Wait for a batch after which the condition holds."""
    async with asyncio.timeout(20):
        while True:
            beat = consumer.progress.next()
            if condition():
                return
            await beat


async def test_what_a_dead_consumer_left_is_taken_over_first_and_once(client: Any) -> None:
    await add(client, b"1", b"2", b"3")
    await client.xgroup_create(KEYS.events, GROUP, id="0")
    await client.xreadgroup(GROUP, "dead", {KEYS.events: ">"}, count=2)
    await add(client, b"4")
    handler = Handler()
    await run_until_drained(client, handler)
    assert handler.payloads == [b"1", b"2", b"3", b"4"]
    assert [item["name"] for item in await client.xinfo_consumers(KEYS.events, GROUP)] == [b"c"]


async def test_a_store_that_is_away_costs_time_and_no_message(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "BACKOFF_SECONDS", (0.001,))
    handler = Handler()
    handler.failures = consumer_module.MOST_DELIVERIES + 10
    await add(client, b"1", b"2")
    await run_until_drained(client, handler)
    assert handler.batches[-1] == [b"1", b"2"]
    assert await client.hlen(KEYS.dead) == 0


async def test_a_message_many_processes_died_of_is_tried_alone_then_given_up(client: Any) -> None:
    await add(client, b"good", b"suspect", b"deadly")
    await client.xgroup_create(KEYS.events, GROUP, id="0")
    delivered = await client.xreadgroup(GROUP, "dead", {KEYS.events: ">"})
    ids = [entry[0] for entry in delivered[0][1]]
    for message_id, deliveries in ((ids[1], 10), (ids[2], 30)):
        await client.xclaim(KEYS.events, GROUP, "dead", 0, [message_id], retrycount=deliveries, justid=True)
    handler = Handler()
    await run_until_drained(client, handler)
    assert handler.batches == [[b"good"], [b"suspect"]]
    letter = await MessageLookup(client, KEYS).dead(ids[2].decode())
    assert letter is not None
    assert (letter.payload, "30 times" in letter.reason) == (b"deadly", True)


async def test_a_good_message_behind_a_deadly_one_is_not_given_up_with_it(client: Any) -> None:
    """Processes ended before they came to it: that it was theirs says nothing of it."""
    await add(client, b"deadly", b"good")
    await client.xgroup_create(KEYS.events, GROUP, id="0")
    delivered = await client.xreadgroup(GROUP, "dead", {KEYS.events: ">"})
    ids = [entry[0] for entry in delivered[0][1]]
    await client.xclaim(KEYS.events, GROUP, "dead", 0, ids, retrycount=consumer_module.SUSPECT_DELIVERIES + 1)

    class Ends(Handler):
        async def __call__(self, entries: Sequence[StreamEntry]) -> list[EntryResult]:
            if entries[0].payload == b"deadly":
                raise asyncio.CancelledError  # as abrupt as a process's end: nothing of the consumer's runs any more
            return await super().__call__(entries)

    handler = Ends()
    for number in range(consumer_module.MOST_DELIVERIES):
        consumer = consumer_of(client, handler, f"c{number}")
        task = asyncio.create_task(consumer.run())
        async with asyncio.timeout(20):
            # Not a task that is cancelled: a command that is given up leaves its reply on the connection.
            while not task.done() and await client.xlen(KEYS.events):
                await asyncio.sleep(0.005)
        consumer.stop()
        await asyncio.wait([task])
        if await client.xlen(KEYS.events) == 0:
            break
    assert handler.payloads == [b"good"]
    assert await client.hkeys(KEYS.dead) == [ids[0]]


async def test_what_cannot_be_processed_now_waits_and_stops_no_other(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_group, "BLOCK_MILLISECONDS", 10)  # it looks at the clock after each read
    clock, handler = SteppedClock(), Handler()
    handler.not_now[b"2"] = NotNow("the game can't be read", 60)
    await add(client, b"1", b"2", b"3")
    async with running(client, handler, clock=clock) as consumer:
        await beats(consumer, lambda: consumer.status.deferred == 1)
        assert consumer.status.problem(asyncio.get_running_loop().time()) is None
        assert "the game can't be read" in (consumer.status.caution or "")
        await add(client, b"4")
        await beats(consumer, lambda: handler.payloads == [b"1", b"2", b"3", b"4"])
        clock.advance(59)
        await add(client, b"5")
        await beats(consumer, lambda: handler.payloads[4:] == [b"5"])
        assert await client.xlen(KEYS.events) == 1
        clock.advance(1)
        await beats(consumer, lambda: handler.payloads[5:] == [b"2"])
        handler.not_now.clear()
        clock.advance(-3600)
        await beats(consumer, lambda: handler.payloads[6:] == [b"2"])
        await beats(consumer, lambda: consumer.status.deferred == 0)
        assert consumer.status.caution is None
    assert (await client.xlen(KEYS.events), await client.hlen(KEYS.dead)) == (0, 0)


async def test_one_that_waits_is_not_given_up_for_the_starts_it_waits_through(client: Any) -> None:
    handler = Handler()
    handler.not_now[b"1"] = NotNow("the game can't be read", 60)
    await add(client, b"1")
    await client.xgroup_create(KEYS.events, GROUP, id="0")
    delivered = await client.xreadgroup(GROUP, "dead", {KEYS.events: ">"})
    ids = [entry[0] for entry in delivered[0][1]]
    await client.xclaim(KEYS.events, GROUP, "dead", 0, ids, retrycount=consumer_module.MOST_DELIVERIES, justid=True)
    async with running(client, handler) as consumer:
        await beats(consumer, lambda: consumer.status.deferred == 1)
    (item,) = await client.xpending_range(KEYS.events, GROUP, "-", "+", count=10)
    assert item["times_delivered"] == 0


async def test_past_so_many_that_wait_no_more_is_read(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "MOST_DEFERRED", 2)
    monkeypatch.setattr(consumer_module, "BACKOFF_SECONDS", (0.001,))
    clock, handler = SteppedClock(), Handler()
    handler.not_now = {payload: NotNow("the game can't be read", 60) for payload in (b"1", b"2")}
    await add(client, b"1", b"2")
    async with running(client, handler, clock=clock) as consumer:
        await beats(consumer, lambda: consumer.status.deferred == 2)
        await add(client, b"3")
        for _ in range(3):
            await consumer.progress.next()
        assert handler.payloads == [b"1", b"2"]
        assert "reads no more" in (consumer.status.problem(asyncio.get_running_loop().time()) or "")
        handler.not_now.clear()
        clock.advance(60)
        await drained(client)


async def test_a_message_that_was_deleted_is_not_waited_for(client: Any) -> None:
    await add(client, b"1", b"2")
    await client.xgroup_create(KEYS.events, GROUP, id="0")
    delivered = await client.xreadgroup(GROUP, "dead", {KEYS.events: ">"})
    await client.xdel(KEYS.events, delivered[0][1][0][0])
    handler = Handler()
    await run_until_drained(client, handler)
    assert handler.payloads == [b"2"]
    assert (await client.xpending(KEYS.events, GROUP))["pending"] == 0


async def test_health_tells_what_the_consumer_waits_for(client: Any) -> None:
    handler = Handler()
    handler.failures = 10**9
    consumer = consumer_of(client, handler)
    now = asyncio.get_running_loop().time
    assert consumer.status.problem(now()) == "the consumer has not started"
    await add(client, b"1")
    task = asyncio.create_task(consumer.run())
    async with asyncio.timeout(20):
        while "the disk is full" not in (consumer.status.problem(now()) or ""):
            await asyncio.sleep(0.005)
        handler.failures = 0
        await drained(client)
        while consumer.status.problem(now()) is not None:
            await asyncio.sleep(0.005)
    assert "has not finished a batch" in (consumer.status.problem(now() + 1000) or "")
    consumer.stop()
    await task


class Gated(Handler):
    """Holds each batch until it is let through."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Semaphore(0)

    async def __call__(self, entries: Sequence[StreamEntry]) -> list[EntryResult]:
        results = await super().__call__(entries)
        await self.gate.acquire()
        return results


def numbered(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


async def pending(client: Any, count: int) -> None:
    """Wait until so many messages are delivered and not acknowledged."""
    async with asyncio.timeout(20):
        while (await client.xpending(KEYS.events, GROUP))["pending"] != count:
            await asyncio.sleep(0.005)


async def test_a_backlog_is_read_while_a_batch_is_processed_and_handed_over_in_larger_ones(client: Any) -> None:
    await add(client, *numbered(720))
    await client.xgroup_create(KEYS.events, GROUP, id="0")
    handler = Gated()
    async with running(client, handler):
        await pending(client, 600)
        assert len(handler.batches) == 1, "one is processed, one read, and no more"
        for _ in range(3):
            handler.gate.release()
        await drained(client)
    assert handler.payloads == numbered(720)
    assert [len(batch) for batch in handler.batches] == [100, 500, 120]


async def test_what_was_read_ahead_of_a_stop_is_the_next_ones_and_counts_no_delivery(client: Any) -> None:
    await add(client, *numbered(250))
    await client.xgroup_create(KEYS.events, GROUP, id="0")
    handler = Gated()
    async with running(client, handler) as consumer:
        await pending(client, 250)
        consumer.stop()
        handler.gate.release()
    assert handler.payloads == numbered(100)
    left = await client.xpending_range(KEYS.events, GROUP, "-", "+", count=300)
    assert [item["times_delivered"] for item in left] == [0] * 150
    following = Handler()
    await run_until_drained(client, following, "d")
    assert following.payloads == numbered(250)[100:]


async def test_a_batch_whose_acknowledgement_fails_beside_the_next_is_taken_over(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "BACKOFF_SECONDS", (0.001,))
    await add(client, *numbered(250))
    await client.xgroup_create(KEYS.events, GROUP, id="0")
    remove, failures = ConsumerGroup.remove, [ConnectionError("gone")]

    async def failing(self: ConsumerGroup, entries: Sequence[StreamEntry]) -> Count:
        if failures:
            raise failures.pop()
        return await remove(self, entries)

    monkeypatch.setattr(ConsumerGroup, "remove", failing)
    handler = Handler()
    consumer = await run_until_drained(client, handler)
    assert consumer.counts.failures == 1
    assert list(dict.fromkeys(handler.payloads)) == numbered(250), "some twice, all in their order"
    assert (await client.xpending(KEYS.events, GROUP))["pending"] == 0


async def test_a_read_ahead_that_fails_loses_nothing(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has delivered the messages; their reply never came."""
    monkeypatch.setattr(consumer_module, "BACKOFF_SECONDS", (0.001,))
    await add(client, *numbered(450))
    read, reads = ConsumerGroup.read, 0

    async def lossy(self: ConsumerGroup, *, block: bool) -> list[StreamEntry]:
        nonlocal reads
        reads += 1
        entries = await read(self, block=block)
        if reads == 3:
            raise ConnectionError("the reply is lost")
        return entries

    monkeypatch.setattr(ConsumerGroup, "read", lossy)
    handler = Handler()
    consumer = await run_until_drained(client, handler)
    assert consumer.counts.failures == 1
    assert handler.payloads == numbered(450)


async def test_a_message_put_off_in_a_backlog_stops_no_other(client: Any) -> None:
    await add(client, *numbered(650))
    handler = Handler()
    handler.not_now[b"7"] = NotNow("not today", 0.001)
    async with running(client, handler) as consumer:
        await beats(consumer, lambda: b"649" in handler.payloads)
        handler.not_now.clear()
        await drained(client)
    once = [payload for payload in handler.payloads if payload != b"7"]
    assert once == [payload for payload in numbered(650) if payload != b"7"]


async def test_a_store_that_is_away_keeps_the_order_of_what_was_read_ahead(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "BACKOFF_SECONDS", (0.001,))
    await add(client, *numbered(250))
    handler = Handler()
    handler.failures = 3
    await run_until_drained(client, handler)
    assert handler.batches[:4] == [numbered(100)] * 4
    assert handler.payloads[300:] == numbered(250)


@pytest.mark.parametrize("alone", [True, False])
async def test_what_is_settled_leaves_a_stream_server_that_has_no_memory(client: Any, alone: bool) -> None:
    charge = None if alone else Charge(client, KEYS, "c")
    if charge is not None:
        await charge.take(1)
    group = ConsumerGroup(client, KEYS, "c", charge, StoreNote("noted", "first", 7))
    await group.make()
    await add(client, b"1", b"2")
    entries = await group.read(block=False)
    await client.config_set("maxmemory", "1")
    try:
        assert (await group.remove(entries)).total == 2
    finally:
        await client.config_set("maxmemory", "0")
    assert await client.hget(KEYS.counts, "noted") == b"7"
    assert await client.xlen(KEYS.events) == 0
    assert (await client.xpending(KEYS.events, GROUP))["pending"] == 0
    group.close()
