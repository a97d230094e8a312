"""The queue of requests: who is refused unread, who begins, and that nothing which breaks stops it."""

import asyncio
from collections.abc import Callable

import pytest

from bq_server.concurrency.byte_budget import ByteBudget
from bq_server.lane import queue
from bq_server.lane.queue import Queue
from bq_server.stream.consumer import ConsumerStatus

pytestmark = pytest.mark.anyio


class Waiter:
    """Notes what became of it."""

    def __init__(self, clock: list[float], takes: float) -> None:
        self._clock = clock
        self._takes = takes
        self.became = ""

    def begin(self, body: bytes) -> None:
        self._clock[0] += self._takes
        self.became = "begun"

    def turn_away(self) -> None:
        self.became = "refused"


class Line:
    """A queue whose clock is the test's; requests that each take a turn of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, takes: float) -> None:
        self.clock = [100.0]
        monkeypatch.setattr(queue, "time", type("Time", (), {"perf_counter": staticmethod(lambda: self.clock[0])}))
        self.budget = ByteBudget(1 << 20)
        self.status = ConsumerStatus()
        self.queue = Queue(self.budget, asyncio.get_running_loop(), queue.EVENT_SECONDS, self)
        self.takes = takes
        self.waiters: list[Waiter] = []

    def put(self, count: int) -> None:
        for _ in range(count):
            self.waiters.append(Waiter(self.clock, self.takes))
            self.queue.put(self.waiters[-1], b"x")

    def count(self, became: str) -> int:
        return sum(waiter.became == became for waiter in self.waiters)


async def test_past_the_knee_what_would_wait_long_is_refused_and_what_is_let_in_is_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line(monkeypatch, takes=queue.TURN_SECONDS)
    soon = int(queue.EVENT_SECONDS / queue.TURN_SECONDS)
    for _ in range(200):
        line.put(2)  # twice as many as a turn can begin
        await asyncio.sleep(0)
    for _ in range(2 * soon):
        await asyncio.sleep(0)
    begun, refused = line.count("begun"), line.count("refused")
    assert begun + refused == 400
    assert begun >= 200, "it does not stop doing what it can"
    assert refused >= 150
    assert line.budget.used == 0


async def test_none_waits_much_longer_than_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, takes=queue.TURN_SECONDS)
    soon = int(queue.EVENT_SECONDS / queue.TURN_SECONDS)
    longest = 0
    for _ in range(200):
        line.put(4)
        await asyncio.sleep(0)
        longest = max(longest, line.count(""))
    assert soon <= longest <= 4 * soon


async def test_a_burst_and_a_process_that_stood_still_refuse_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, takes=queue.TURN_SECONDS / 10)
    for _ in range(5):
        line.put(60)
        line.clock[0] += 10.0
        for _ in range(10):
            await asyncio.sleep(0)
    assert line.count("begun") == 300


async def test_requests_rest_while_the_consumer_is_behind_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, takes=1.01 * queue.REST_SECONDS / queue.REST_SHARE)
    turns: list[tuple[float, Callable[[], None]]] = []

    class ByHand:
        def call_soon(self, turn: Callable[[], None]) -> None:
            turns.append((0.0, turn))

        def call_later(self, seconds: float, turn: Callable[[], None]) -> None:
            turns.append((seconds, turn))

    line.queue._loop = ByHand()  # type: ignore[assignment]
    rests = []
    for line.status.is_behind in (True, True, True, False, False):
        line.put(1)
        rest, turn = turns.pop()
        rests.append(rest)
        turn()
    assert rests == [0.0, *[queue.REST_SECONDS] * 3, 0.0], "what is owed from before is still given"
    assert line.count("begun") == 5


class Breaks(Waiter):
    """As where there is no memory even for a refusal."""

    def begin(self, body: bytes) -> None:
        super().begin(body)
        raise MemoryError


async def test_a_request_that_breaks_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, takes=0.0)
    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context.get("exception")))
    line.waiters.append(Breaks(line.clock, 0.0))
    line.queue.put(line.waiters[0], b"x")
    line.put(2)
    for _ in range(5):
        await asyncio.sleep(0)
    line.put(1)
    await asyncio.sleep(0)
    assert line.count("begun") == 4
    assert [type(each) for each in unhandled] == [MemoryError]
    assert line.budget.used == 0


async def test_a_turn_that_could_not_be_called_is_called_with_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, takes=0.0)
    loop = line.queue._loop

    class NoMemory:
        def call_soon(self, *_: object) -> None:
            raise MemoryError

    line.queue._loop = NoMemory()  # type: ignore[assignment]
    with pytest.raises(MemoryError):
        line.put(1)
    line.queue._loop = loop
    assert not line.queue.is_full
    line.put(1)
    await asyncio.sleep(0)
    assert line.count("begun") == 2
