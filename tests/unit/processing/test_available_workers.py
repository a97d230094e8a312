"""Which other workers are given something to do, and for how long one that fails is given nothing."""

import asyncio

import pytest

from bq_server.processing.available_workers import FAILED_SECONDS, HEARD_SECONDS, REST_SECONDS, AvailableWorkers
from bq_server.processing.partitions import PARTITIONS

pytestmark = pytest.mark.anyio


class Loop:
    """Only its clock is looked at."""

    now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    made = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: made)
    return made


async def test_those_that_were_just_heard_of_in_one_order(loop: Loop) -> None:
    heard = {"b": loop.now, "a": loop.now - HEARD_SECONDS, "c": loop.now - HEARD_SECONDS - 0.1}
    assert AvailableWorkers(lambda: heard).now() == ["a", "b"]


async def test_no_more_than_there_is_something_to_do_for(loop: Loop) -> None:
    heard = {f"w{number}": loop.now for number in range(2 * PARTITIONS)}
    assert len(AvailableWorkers(lambda: heard).now()) == PARTITIONS - 1


async def test_one_that_was_silent_rests_longer_each_time_and_must_be_heard_of_again(loop: Loop) -> None:
    heard = {"a": loop.now}
    workers = AvailableWorkers(lambda: heard)
    for seconds in (*REST_SECONDS, REST_SECONDS[-1]):
        workers.silent("a")
        loop.now += seconds - 1
        heard["a"] = loop.now
        assert workers.now() == []
        loop.now += 1
        assert workers.now() == ["a"]
        heard["a"] -= seconds
        assert workers.now() == [], "it was not heard of since"
        heard["a"] = loop.now
    workers.answered("a")
    workers.silent("a")
    loop.now = heard["a"] = loop.now + REST_SECONDS[0]
    assert workers.now() == ["a"]


async def test_one_that_failed_rests_for_a_moment(loop: Loop) -> None:
    heard = {"a": loop.now, "b": loop.now}
    workers = AvailableWorkers(lambda: heard)
    workers.failed("a")
    assert workers.now() == ["b"]
    loop.now += FAILED_SECONDS
    assert workers.now() == ["a", "b"]


async def test_one_that_is_gone_is_not_there_and_what_was_known_of_it_is_forgotten(loop: Loop) -> None:
    heard = {"a": loop.now}
    workers = AvailableWorkers(lambda: heard)
    assert workers.is_there("a")
    workers.silent("a")
    heard.clear()
    assert not workers.is_there("a")
    assert workers.now() == []
    heard["a"] = loop.now
    assert workers.now() == ["a"]
