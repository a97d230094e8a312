"""Several consumers that take turns: what one that was held up can no longer do, and that a change costs no message."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bq_server.clock import system_clock
from bq_server.stream import consumer as consumer_module
from bq_server.stream import consumer_group
from bq_server.stream.charge import Charge, NotInCharge
from bq_server.stream.consumer import Consumer
from bq_server.stream.consumer_group import ConsumerGroup
from bq_server.stream.counts import Count
from bq_server.stream.dead_letters import DeadLetters
from bq_server.stream.entries import EntryResult, StreamEntry
from bq_server.stream.keys import GROUP, StreamKeys
from bq_server.stream.store_note import StoreNote

pytestmark = pytest.mark.anyio
KEYS = StreamKeys("bq")


class Turn:
    """A consumer of several, and what its handler does."""

    def __init__(self, client: Any, name: str) -> None:
        self.charge = Charge(client, KEYS, name)
        self.group = ConsumerGroup(client, KEYS, name, self.charge)
        letters = DeadLetters(client, KEYS, self.charge)
        self.consumer = Consumer(self.group, letters, self._handle, clock=system_clock)
        self.result: EntryResult = None
        self.fails = False
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.processed: list[bytes] = []

    async def _handle(self, entries: Sequence[StreamEntry]) -> list[EntryResult]:
        self.began.set()
        await self.may_end.wait()
        if self.fails:
            raise OSError("another worker has taken over")
        self.processed += [entry.payload for entry in entries]
        return [self.result for _ in entries]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.consumer.renew()
        task = asyncio.create_task(self.consumer.run())
        yield
        self.consumer.stop()
        await task


async def add(client: Any, *payloads: bytes) -> None:
    for payload in payloads:
        await client.xadd(KEYS.events, {"e": payload})


async def empty(client: Any) -> None:
    async with asyncio.timeout(20):
        while await client.xlen(KEYS.events):
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("result", [None, "it can't be read"])
async def test_one_that_was_held_up_neither_removes_nor_rejects(client: Any, result: EntryResult) -> None:
    await add(client, b"1", b"2")
    old, new = Turn(client, "old"), Turn(client, "new")
    old.result = result
    old.may_end.clear()
    await old.charge.take(1)
    async with old.running():
        await old.began.wait()
        await new.charge.take(2)
        async with new.running():
            await empty(client)
            old.may_end.set()
            async with asyncio.timeout(20):
                while not old.consumer.counts.failures:
                    await asyncio.sleep(0.005)
    assert new.processed == [b"1", b"2"]
    assert await client.hget(KEYS.counts, "settled") == b"2"
    assert await client.hlen(KEYS.dead) == 0


async def test_an_older_term_comes_too_late(client: Any) -> None:
    old, new = Charge(client, KEYS, "old"), Charge(client, KEYS, "new")
    await new.take(2)
    with pytest.raises(NotInCharge):
        await old.take(1)
    with pytest.raises(NotInCharge):
        await old.settle(["1-1"], [])
    await new.take(3)
    assert await new.settle(["1-1"], []) == Count("", 1)
    assert await client.hgetall(KEYS.counts) == {b"settled": b"1"}
    assert await new.settle(["1-2"], ["1-3"], StoreNote("facts:inst_1", "set_back:inst_1", 7)) == Count("", 2)
    assert await client.hget(KEYS.counts, "facts:inst_1") == b"7"


async def test_a_lease_that_moves_is_no_delivery_that_failed(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "BACKOFF_SECONDS", (0.001,))
    await add(client, b"1", b"2")
    for term in range(consumer_module.MOST_DELIVERIES + 5):
        turn = Turn(client, f"c{term}")
        turn.fails = True
        await turn.charge.take(term + 1)
        async with turn.running():
            await turn.began.wait()
    pending = await client.xpending_range(KEYS.events, GROUP, "-", "+", count=10)
    assert max(each["times_delivered"] for each in pending) <= 1
    last = Turn(client, "last")
    await last.charge.take(1000)
    async with last.running():
        await empty(client)
    assert (last.processed, await client.hlen(KEYS.dead)) == ([b"1", b"2"], 0)


async def test_what_came_to_another_after_its_turn_is_taken_over(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "OTHERS_SECONDS", 0.0)
    monkeypatch.setattr(consumer_group, "BLOCK_MILLISECONDS", 10)  # it looks at the others' after each read
    turn = Turn(client, "new")
    await turn.charge.take(2)
    async with turn.running():
        await add(client, b"1")
        await empty(client)
        await client.xgroup_createconsumer(KEYS.events, GROUP, "old")
        # Between its look at the clock and the stream server's answer, a process may be held up for any time.
        await asyncio.gather(add(client, b"2"), client.xreadgroup(GROUP, "old", {KEYS.events: ">"}, block=1000))
        await add(client, b"3")
        await empty(client)
    assert sorted(turn.processed) == [b"1", b"2", b"3"]
    assert await client.hget(KEYS.counts, "settled") == b"3"


async def test_one_that_has_something_is_not_removed(client: Any) -> None:
    await add(client, b"1")
    await client.xgroup_create(KEYS.events, GROUP, id="0")
    await client.xreadgroup(GROUP, "busy", {KEYS.events: ">"})
    await client.xgroup_createconsumer(KEYS.events, GROUP, "idle")
    group = ConsumerGroup(client, KEYS, "own")
    await client.xgroup_createconsumer(KEYS.events, GROUP, "own")
    await group.remove_idle_consumers()
    found = await client.xinfo_consumers(KEYS.events, GROUP)
    assert {each["name"] for each in found} == {b"busy", b"own"}
