"""The breaker: one failure opens it, an answered PING closes it, and one task asks."""

import asyncio
from typing import Any, cast

import pytest
import redis.asyncio as redis
from redis.exceptions import ConnectionError as Disconnected

from bq_server.stream import guarded_pipe
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.guarded_pipe import Breaker
from bq_server.stream.replicas import NotReplicated, Replicas

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_pipe, "PROBE_SECONDS", 0.001)


class StreamServer:
    """Answers PING when it is up; counts how many ask at once."""

    def __init__(self) -> None:
        self.up = False
        self.pings = 0
        self.asking = 0
        self.most_asking = 0

    async def ping(self) -> bool:
        self.pings += 1
        self.asking += 1
        self.most_asking = max(self.most_asking, self.asking)
        await asyncio.sleep(0)
        self.asking -= 1
        if not self.up:
            raise Disconnected("refused")
        return True


def breaker_of(server: StreamServer) -> Breaker:
    return Breaker(cast("redis.Redis", server))


def asking() -> bool:
    return any(task.get_name() == "breaker-probe" for task in asyncio.all_tasks())


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


def is_open(breaker: Breaker) -> bool:
    try:
        breaker.check()
    except StreamUnavailable:
        return True
    return False


async def test_it_is_closed_until_something_fails_and_then_gives_the_reason() -> None:
    breaker = breaker_of(StreamServer())
    breaker.check()
    raised = breaker.trip(Disconnected("no route to host"))
    assert str(raised) == "no route to host"
    with pytest.raises(StreamUnavailable, match="does not answer: no route to host"):
        breaker.check()
    await breaker.close()


async def test_a_ping_that_fails_leaves_it_open_and_one_that_is_answered_closes_it() -> None:
    server = StreamServer()
    breaker = breaker_of(server)
    breaker.trip(Disconnected("gone"))
    await until(lambda: server.pings >= 3)
    assert is_open(breaker)
    server.up = True
    await until(lambda: not is_open(breaker))
    await until(lambda: not asking())
    await breaker.close()


async def test_however_often_it_trips_one_task_asks() -> None:
    server = StreamServer()
    breaker = breaker_of(server)
    for number in range(5):
        breaker.trip(Disconnected(f"failure {number}"))
    await until(lambda: server.pings >= 5)
    assert server.most_asking == 1
    with pytest.raises(StreamUnavailable, match="failure 4"):
        breaker.check()
    await breaker.close()


async def test_it_opens_again_after_it_was_back() -> None:
    server = StreamServer()
    server.up = True
    breaker = breaker_of(server)
    for reason in ("first", "second"):
        breaker.trip(Disconnected(reason))
        assert is_open(breaker)
        await until(lambda: not is_open(breaker))
    await breaker.close()


async def test_closing_ends_the_asking() -> None:
    server = StreamServer()
    breaker = breaker_of(server)
    breaker.trip(Disconnected("gone"))
    await until(lambda: server.pings >= 1)
    await breaker.close()
    assert not asking()


async def test_whoever_asks_is_begun_anew_when_there_was_no_memory_to_ask_with() -> None:
    server = StreamServer()
    breaker = breaker_of(server)
    ping = server.ping

    async def without_memory() -> bool:
        server.ping = ping  # type: ignore[method-assign]
        raise MemoryError

    server.ping = without_memory  # type: ignore[method-assign]
    server.up = True
    breaker.trip(Disconnected("gone"))
    await until(lambda: server.ping == ping)
    await until(lambda: not is_open(breaker))
    await breaker.close()


class SlowReplicas:
    """Keep up when they are told to; the stream server answers all the time."""

    def __init__(self) -> None:
        self.checks = 0
        self.keep_up = False

    async def check(self) -> None:
        self.checks += 1
        if not self.keep_up:
            raise NotReplicated


async def test_where_a_replica_must_keep_up_an_answer_is_not_enough() -> None:
    server, replicas = StreamServer(), SlowReplicas()
    server.up = True
    breaker = Breaker(cast("redis.Redis", server), cast("Replicas", replicas))
    breaker.trip(NotReplicated())
    await until(lambda: replicas.checks >= 3)
    assert is_open(breaker)
    replicas.keep_up = True
    await until(lambda: not is_open(breaker))
    await breaker.close()
