"""A store or a stream that doesn't answer is said so soon; a server that was busy itself takes neither for dead."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from redis.exceptions import TimeoutError as TimedOut

from bq_server.events import Event, Scope
from bq_server.ingest.async_intake import AsyncIntake
from bq_server.ingest.known_facts import KnownFacts
from bq_server.metrics.counts import IntakeCounts
from bq_server.refusals import Code, Refusal
from bq_server.store.database import Connection, Database
from bq_server.stream.claims import EventClaims
from bq_server.stream.connection import APPEND_TIMEOUT, connect
from bq_server.stream.embedded import EmbeddedValkey
from bq_server.stream.guarded_pipe import GuardedPipe
from bq_server.stream.keys import StreamKeys
from bq_server.stream.lookup import MessageLookup
from bq_server.stream.script_connection import Pipe
from bq_server.stream.scripts import Script
from bq_server.stream.writer import Writer

pytestmark = pytest.mark.anyio
ECHO = Script("return ARGV[1]", "")


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "stream")
    await server.start()
    yield server
    await server.stop()


class Hanging:
    """A database whose disk doesn't answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    @asynccontextmanager
    async def read_for_intake(self) -> AsyncIterator[Connection]:
        self.asked.set()
        await self.answers.wait()
        yield cast("Connection", None)


async def test_a_store_that_hangs_is_a_503_while_it_still_hangs(valkey: EmbeddedValkey) -> None:
    async with connect(valkey.url) as client:
        keys, store = StreamKeys("bq"), Hanging()
        pipe = GuardedPipe(client)
        writer = Writer(pipe, keys, queue_limit=10, window_hours=24)
        known, claims, lookup = KnownFacts(cast("Database", store)), EventClaims(keys, {}), MessageLookup(client, keys)
        intake = AsyncIntake(known, writer, claims, lookup, IntakeCounts())
        keyed = Event("evt_1", Scope("p", "test"), "e", "u", "{}", 0, 0, "k", "f")
        with pytest.raises(Refusal) as refused:
            await intake.accept([keyed])
        assert refused.value.code is Code.STORE_UNAVAILABLE
        assert store.asked.is_set()
        assert not store.answers.is_set()
        assert await client.xlen(keys.events) == 0
        await writer.close()
        await pipe.close()


async def test_a_stream_server_that_stopped_is_not_waited_for(valkey: EmbeddedValkey) -> None:
    async with connect(valkey.url) as client:
        pipe = Pipe(client)
        assert await pipe.run(ECHO, [], ["1"]) == b"1"
        pid = int((await client.info("server"))["process_id"])
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(TimedOut):
                await pipe.run(ECHO, [], ["2"])
        finally:
            os.kill(pid, signal.SIGCONT)
        await client.ping()  # before which the breaker lets nothing through
        assert await pipe.run(ECHO, [], ["3"]) == b"3", "no answer is taken for that of another command"
        pipe.close()


async def test_a_stream_server_that_accepts_connections_and_is_silent_is_not_waited_for() -> None:
    """As one that stopped: the kernel accepts. The client's own limit is longer, here by far."""
    connections = []
    silent = await asyncio.start_server(lambda *streams: connections.append(streams), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent, connect(f"redis://127.0.0.1:{port}/0", timeout=3600) as client, asyncio.timeout(60):
        pipe = Pipe(client)
        refused = await asyncio.gather(*(pipe.run(ECHO, [], ["1"]) for _ in range(3)), return_exceptions=True)
        assert [str(each) for each in refused] == [f"no connection within {APPEND_TIMEOUT:g} s"] * 3
        assert len(connections) == 1, "they wait together, not one after the other"
        pipe.close()
        for _, writer in connections:
            writer.close()


async def test_a_connection_that_is_opened_late_is_used(valkey: EmbeddedValkey) -> None:
    async with connect(valkey.url) as client:
        pid = int((await client.info("server"))["process_id"])
        pipe = Pipe(client)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(TimedOut):
                await pipe.run(ECHO, [], ["1"])
        finally:
            os.kill(pid, signal.SIGCONT)
        assert await pipe.run(ECHO, [], ["2"]) == b"2"
        assert len(await client.client_list()) == 2
        pipe.close()


async def test_an_answer_that_came_while_the_server_was_busy_is_taken(valkey: EmbeddedValkey) -> None:
    async with connect(valkey.url) as client:
        pipe = Pipe(client)
        await pipe.run(ECHO, [], ["1"])
        asked: Any = asyncio.ensure_future(pipe.run(ECHO, [], ["2"]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(2 * APPEND_TIMEOUT)  # noqa: ASYNC251 - the loop is to be held
        assert await asked == b"2"
        pipe.close()
