"""The consumer against a real Valkey: takeover, suspects, and a store that is away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis

from bq_server.clock import system_clock
from bq_server.stream import consumer as consumer_module
from bq_server.stream.connection import connect
from bq_server.stream.consumer import Consumer, Entry
from bq_server.stream.embedded import EmbeddedValkey
from bq_server.stream.keys import GROUP, StreamKeys
from bq_server.stream.lookup import MessageLookup

pytestmark = pytest.mark.anyio
KEYS = StreamKeys("bq")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[redis.Redis]:
    valkey = EmbeddedValkey(tmp_path / "stream")
    await valkey.start()
    async with connect(valkey.url) as connected:
        yield connected
    await valkey.stop()


class Handler:
    """Settles everything but what it is told not to, and counts."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.failures = 0

    async def __call__(self, entries: Sequence[Entry]) -> list[str | None]:
        self.batches.append([entry.payload for entry in entries])
        if self.failures:
            self.failures -= 1
            raise OSError("the disk is full")
        return [None] * len(entries)

    @property
    def payloads(self) -> list[bytes]:
        return [payload for batch in self.batches for payload in batch]


async def drained(client: Any) -> None:
    async with asyncio.timeout(20):
        while await client.xlen(KEYS.events):
            await asyncio.sleep(0.005)


async def add(client: Any, *payloads: bytes) -> None:
    for payload in payloads:
        await client.xadd(KEYS.events, {"e": payload})


async def run_until_drained(client: Any, handler: Handler, name: str = "c") -> Consumer:
    consumer = Consumer(client, KEYS, handler, name=name, clock=system_clock)
    task = asyncio.create_task(consumer.run())
    await drained(client)
    consumer.stop()
    await task
    return consumer


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
    consumer = Consumer(client, KEYS, handler, name="c", clock=system_clock)
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
