"""What asks the stream server ends when it is cancelled, at whatever moment that is."""

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bq_server.stream.connection import connect
from tests.support.valkey import PASSWORD, valkey

pytestmark = pytest.mark.anyio

TURNS = 80
"""Turns of the event loop, in which a connection is opened and asked something."""


async def ended(client: Redis, turns: int) -> bool:
    """Whether a task that asks for ever, cancelled after so many turns, has ended as one that is cancelled."""

    async def ask() -> None:
        while True:
            await client.ping()
            await asyncio.sleep(3600)

    asking = asyncio.create_task(ask())
    for _ in range(turns):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking}, timeout=0.5)
    if asking.cancelled():
        return True
    asking.cancel()
    await asyncio.wait({asking})
    return False


@pytest.mark.parametrize("way", ["tcp", "unix"])
async def test_a_task_that_is_cancelled_while_it_sends_ends(tmp_path: Path, way: str) -> None:
    place = tmp_path / "v.sock"
    with valkey(tmp_path / "v", "--unixsocket", str(place)) as server:
        url = server.url if way == "tcp" else f"unix://default:{PASSWORD}@{place}"
        for turns in range(TURNS):
            async with connect(url) as client:
                assert await ended(client, turns), f"cancelled after {turns} turns"
                # The connections that are left answer what they are asked.
                assert await client.echo("still") == b"still"
