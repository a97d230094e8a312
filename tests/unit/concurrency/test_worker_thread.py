"""A thread that makes calls: in order, with what they come to, and as long as it is needed."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Any, cast

import pytest

from bq_server.concurrency import worker_thread
from bq_server.concurrency.worker_thread import Calls, make_calls
from bq_server.processing.game_thread import GameThread

pytestmark = pytest.mark.anyio

LAST = object()


@contextmanager
def serving() -> Iterator[tuple[Calls, Thread]]:
    calls: Calls = SimpleQueue()
    thread = Thread(target=make_calls, args=(calls, LAST))
    thread.start()
    try:
        yield calls, thread
    finally:
        calls.put((None, lambda: LAST))
        thread.join()


def asked(calls: Calls, call: Callable[[], Any]) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    calls.put((future, call))
    return future


def broken() -> None:
    raise LookupError("as any function may")


async def test_calls_are_made_in_order_and_what_is_raised_is_raised() -> None:
    made: list[int] = []
    with serving() as (calls, _):
        futures = [asked(calls, partial(made.append, number)) for number in range(20)]
        assert await asyncio.gather(*futures) == [None] * 20
        assert made == list(range(20))
        assert await asked(calls, lambda: 1) == 1
        with pytest.raises(LookupError):
            await asked(calls, broken)
        left = asked(calls, lambda: 1)
        left.cancel()
        assert await asked(calls, lambda: 2) == 2


async def test_without_memory_to_tell_what_came_of_a_call_it_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    tries = 0

    class Poor:
        def call_soon_threadsafe(self, *told: Any) -> None:
            nonlocal tries
            tries += 1
            if tries < 3:
                raise MemoryError
            loop.call_soon_threadsafe(*told)

    class Waiting(asyncio.Future[Any]):
        def get_loop(self) -> asyncio.AbstractEventLoop:
            return cast("asyncio.AbstractEventLoop", Poor())

    monkeypatch.setattr(worker_thread, "AGAIN_SECONDS", 0.0)
    with serving() as (calls, thread):
        future = Waiting(loop=loop)
        calls.put((future, lambda: 5))
        async with asyncio.timeout(20):
            while not future.done():
                await asyncio.sleep(0.001)
        assert (future.result(), tries) == (5, 3)
        assert thread.is_alive()


async def test_nobody_is_told_whose_loop_is_closed() -> None:
    closed = asyncio.new_event_loop()
    future = closed.create_future()
    closed.close()
    with serving() as (calls, thread):
        calls.put((future, lambda: 1))
        assert await asked(calls, lambda: 2) == 2
        assert thread.is_alive()
    assert not thread.is_alive()


async def test_the_game_has_one_thread() -> None:
    thread = GameThread()
    names = {await thread.run(lambda: current_thread().name) for _ in range(3)}
    assert names == {"fold"}
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    assert await thread.run(lambda: "on it goes") == "on it goes"
