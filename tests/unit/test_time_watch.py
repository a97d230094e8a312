"""A watch that is cancelled ends, also where what it waits for happens in the same turn."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from bq_server.processing.time_watch import watch
from bq_server.store.database import Database

pytestmark = pytest.mark.anyio


async def test_a_watch_that_is_cancelled_as_a_commit_wakes_it_ends() -> None:
    beat = asyncio.get_running_loop().create_future()
    looked = asyncio.Event()

    async def look() -> float:
        looked.set()
        return 3600.0

    database = cast("Database", SimpleNamespace(outbox=SimpleNamespace(next=lambda _: beat)))
    watching = asyncio.create_task(watch(database, "any", look))
    await looked.wait()
    await asyncio.sleep(0)
    beat.set_result(None)
    await asyncio.sleep(0)
    watching.cancel()
    await asyncio.wait({watching}, timeout=0.2)
    ended = watching.cancelled()
    watching.cancel()
    assert ended
