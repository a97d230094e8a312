"""A consumer that is told to stop asks the stream for nothing more, and waits for nothing."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from bq_server.stream.consumer_group import ConsumerGroup
from bq_server.stream.entries import StreamEntry
from bq_server.stream.keys import GROUP
from tests.integration.test_consumer import KEYS, Gated, Handler, add, running

pytestmark = pytest.mark.anyio


async def test_one_that_is_stopped_while_it_takes_over_reads_no_more(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it read would be delivered to it, and left pending."""
    read, reads = ConsumerGroup.read, 0

    async def counted(self: ConsumerGroup, *, block: bool) -> list[StreamEntry]:
        nonlocal reads
        reads += 1
        return await read(self, block=block)

    monkeypatch.setattr(ConsumerGroup, "read", counted)
    await add(client, b"1")
    await client.xgroup_create(KEYS.events, GROUP, id="0")
    await client.xreadgroup(GROUP, "dead", {KEYS.events: ">"})
    handler = Gated()
    async with running(client, handler) as consumer:
        async with asyncio.timeout(20):
            while not handler.batches:
                await asyncio.sleep(0.005)
        consumer.stop()
        handler.gate.release()
    assert (handler.payloads, reads) == ([b"1"], 0)


async def test_a_read_that_misses_its_cancellation_holds_no_stop_up(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does that is cancelled while it sends its command."""
    began = asyncio.Event()

    async def read(_: ConsumerGroup, *, block: bool) -> list[StreamEntry]:
        assert block
        began.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(ConsumerGroup, "read", read)
    async with asyncio.timeout(20), running(client, Handler()):
        await began.wait()
