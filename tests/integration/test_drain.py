"""What a drain asks the stream: whether anything of the environment waits, behind however much of others."""

from typing import Any, cast

import pytest
import redis.asyncio as redis

from bq_server.concurrency.notifier import Notifier
from bq_server.events import Event, Scope
from bq_server.sandbox.drain import Drain
from bq_server.stream.backlog import LATEST, NO_MESSAGE, PAGE, Backlog
from bq_server.stream.keys import FIELD, StreamKeys

pytestmark = pytest.mark.anyio
KEYS = StreamKeys("bq")
OWN, OTHER = Scope("default", "test"), Scope("default", "live")


@pytest.fixture
async def backlog(client: redis.Redis) -> Any:
    """Of a stream with nothing in it."""
    found = Backlog(client, KEYS)
    yield found
    found.close()


async def add(client: Any, *scopes: Scope) -> list[str]:
    ids = []
    for number, scope in enumerate(scopes):
        payload = Event(f"evt_{number}", scope, "e", "ada", "{}", 1, 1).to_payload()
        ids.append((await client.xadd(KEYS.events, {FIELD: payload})).decode())
    return ids


def drain(backlog: Backlog) -> Drain:
    nothing = cast("Any", None)
    return Drain(nothing, backlog, Notifier(), *([nothing] * 7), look_seconds=0.01)


async def test_the_end_of_a_stream_is_a_page_latest_first(client: Any, backlog: Backlog) -> None:
    assert await backlog.tail(LATEST) == await backlog.tail(NO_MESSAGE), "a stream that isn't there has no end"
    ids = await add(client, *[OWN] * (PAGE + 1))
    found = await backlog.tail(LATEST)
    assert [each.message_id for each in found.messages] == ids[:0:-1]
    assert [each.message_id for each in (await backlog.tail(ids[1])).messages] == ids[1::-1]
    assert [each async for each in backlog.queued_latest_first(LATEST)][:PAGE] == found.messages


async def test_it_says_whether_there_are_dead_letters(client: Any, backlog: Backlog) -> None:
    assert not (await backlog.tail(LATEST)).has_dead
    await client.hset(KEYS.dead, "1-0", b"{}")
    assert (await backlog.tail(LATEST)).has_dead


async def test_what_waits_is_found_behind_pages_of_others(client: Any, backlog: Backlog) -> None:
    first, *_ = ids = await add(client, OWN, *[OTHER] * (2 * PAGE))
    assert not await drain(backlog).wait_for(OWN, ids[-1], 0)
    await client.xdel(KEYS.events, first)
    assert await drain(backlog).wait_for(OWN, ids[-1], 0), "what others have waiting is not waited for"
    assert not await drain(backlog).wait_for(OTHER, ids[1], 0)
    await client.xdel(KEYS.events, ids[1])
    assert await drain(backlog).wait_for(OTHER, ids[1], 0), "nor what came after"
