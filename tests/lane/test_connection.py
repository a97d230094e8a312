"""A connection of the lane: its limits, its order, its end."""

import asyncio

import pytest

from bq_server.api.replies import Reply
from bq_server.lane.answers import encode
from bq_server.lane.connection import PIPELINED
from bq_server.lane.head import HeadReader, LaneRoute
from tests.lane.bare import KEY, Bare
from tests.lane.corpus import BATCH, encoded
from tests.support.client import event
from tests.support.wire import request

pytestmark = pytest.mark.anyio

GOOD = request(encoded(event()), key=KEY.encode())
ELSEWHERE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def is_paused(bare: Bare) -> bool:
    return bare.transport.paused


def is_closed(bare: Bare) -> bool:
    return bare.transport.closed


def statuses(bare: Bare) -> list[int]:
    return [int(part[:3]) for part in bare.transport.written.split(b"HTTP/1.1 ")[1:]]


async def test_no_more_is_read_than_is_answered() -> None:
    bare = Bare()
    bare.intake.held = []
    bare.connection.data_received(GOOD * (PIPELINED + 5))
    await bare.idle()
    assert len(bare.intake.events) == PIPELINED
    assert is_paused(bare)
    bare.intake.let_go()
    await bare.idle()
    assert not is_paused(bare)
    assert statuses(bare) == [202] * (PIPELINED + 5)


async def test_a_client_that_does_not_read_is_not_read_from() -> None:
    bare = Bare()
    bare.connection.pause_writing()
    assert is_paused(bare)
    bare.connection.data_received(GOOD * 3)
    await bare.idle()
    assert bare.intake.events == []
    bare.connection.resume_writing()
    await bare.idle()
    assert statuses(bare) == [202] * 3
    assert not is_paused(bare)


async def test_answers_go_out_in_the_order_of_the_requests() -> None:
    bare = Bare()
    bare.intake.held = []
    bare.connection.data_received(GOOD + request(b"{", key=KEY.encode()) + GOOD)
    await bare.idle()
    assert bare.transport.written == b""
    bare.intake.let_go()
    await bare.idle()
    assert statuses(bare) == [202, 400, 202]


async def test_a_connection_is_handed_over_when_all_before_is_answered() -> None:
    bare = Bare()
    bare.intake.held = []
    bare.connection.data_received(GOOD + ELSEWHERE + GOOD)
    await bare.idle()
    assert not bare.left
    assert is_paused(bare)
    bare.intake.let_go()
    await bare.idle()
    assert statuses(bare) == [202]
    assert bare.left == ELSEWHERE + GOOD
    assert bare.budget.used == 0


async def test_what_is_slow_is_handed_over_and_what_is_idle_is_closed() -> None:
    slow, idle, busy = Bare(), Bare(), Bare()
    slow.connection.data_received(GOOD[:50])
    busy.intake.held = []
    busy.connection.data_received(GOOD)
    await busy.idle()
    for _ in range(5):
        for bare in (slow, idle, busy):
            if bare.left is None and not bare.transport.closed:
                bare.connection.sweep()
    assert slow.left == GOOD[:50]
    assert is_closed(idle)
    assert not is_closed(busy)


async def test_a_client_that_sends_no_more_gets_its_answers() -> None:
    bare = Bare()
    bare.intake.held = []
    bare.connection.data_received(GOOD * 2 + GOOD[:9])
    await bare.idle()
    assert bare.connection.eof_received()
    bare.intake.let_go()
    await bare.idle()
    assert statuses(bare) == [202, 202]
    assert is_closed(bare)
    assert not Bare().connection.eof_received()


async def test_a_client_that_went_away_is_not_written_to_and_holds_nothing() -> None:
    bare = Bare()
    bare.intake.held = []
    bare.connection.data_received(GOOD + GOOD[:-3])
    await bare.idle()
    bare.transport.closed = True
    bare.connection.connection_lost(None)
    assert bare.released
    bare.intake.let_go()
    await bare.idle()
    assert bare.transport.written == b""
    assert bare.budget.used == 0


async def test_while_the_server_stops_the_answers_are_the_last() -> None:
    bare, idle = Bare(), Bare()
    bare.intake.held = []
    bare.connection.data_received(GOOD * 2)
    await bare.idle()
    bare.stopping = True
    for each in (bare, idle):
        each.connection.stop()
    assert is_closed(idle)
    assert not is_closed(bare)
    bare.intake.let_go()
    await bare.idle()
    assert statuses(bare) == [202]
    assert b"\r\nconnection: close\r\n" in bare.transport.written
    assert is_closed(bare)


async def test_what_is_held_beyond_the_budget_goes_to_those_who_refuse_it() -> None:
    first, second = Bare(inflight_bytes=1 << 20), Bare()
    second.connection._lease._budget = first.budget
    large = request(b" " * (200 << 10), key=KEY.encode(), path=BATCH)
    first.budget.used += first.budget.limit - (150 << 10)
    second.connection.data_received(large[: 100 << 10])
    assert not second.left
    second.connection.data_received(large[100 << 10 : 180 << 10])
    assert second.left == large[: 180 << 10]
    assert first.budget.used == first.budget.limit - (150 << 10)


async def test_when_the_budget_is_spent_the_answer_is_503_and_the_connection_is_kept() -> None:
    bare = Bare()
    bare.budget.used = bare.budget.limit
    bare.connection.data_received(GOOD)
    await bare.idle()
    assert statuses(bare) == [503]
    assert b'"code":"overloaded"' in bare.transport.written
    assert b"\r\nretry-after: 1\r\n" in bare.transport.written
    assert not is_closed(bare)
    assert bare.intake.events == []


def fill(bare: Bare, full: bool) -> None:
    """As a queue is whose turns take too long, or an empty one."""
    line = bare.lane.queues[LaneRoute.EVENT]
    line._comes, line._turn_began, line._turn_is_long = (True, 1.0, True) if full else (False, 0.0, False)


async def test_what_is_refused_unread_ends_where_it_ends() -> None:
    bare = Bare()
    fill(bare, True)
    closing = request(encoded(event()), b"Connection: close", key=KEY.encode())
    bare.connection.data_received(GOOD * 3 + GOOD[:20])
    assert statuses(bare) == [503] * 3
    fill(bare, False)
    bare.connection.data_received(GOOD[20:])
    await bare.idle()
    assert statuses(bare) == [503] * 3 + [202]
    fill(bare, True)
    bare.connection.data_received(closing + GOOD)
    assert statuses(bare) == [503] * 3 + [202, 503]
    assert is_closed(bare), "that one was looked at"
    assert len(bare.intake.events) == 1


async def test_what_is_refused_and_what_is_handed_over_come_in_order() -> None:
    for full in (True, False):
        chunked = request(b"", b"Transfer-Encoding: chunked", length=None, key=KEY.encode()) + b"0\r\n\r\n"
        bare = Bare()
        fill(bare, full)
        bare.connection.data_received(GOOD + chunked)
        await bare.idle()
        assert statuses(bare) == [503 if full else 202]
        assert bare.left == chunked


@pytest.mark.parametrize("status", [202, 503])
def test_a_common_answer_is_the_same_the_short_way(status: int) -> None:
    plain = Reply(status, b'{"a":1}')
    marked = encode(Reply(status, b'{"a":1}', {"Idempotent-Replayed": "true"}), "req_1", b"D")
    assert encode(plain, "req_1", b"D") == marked.replace(b"idempotent-replayed: true\r\n", b"")


def test_a_head_is_remembered_byte_for_byte_and_not_with_a_key_of_its_own() -> None:
    reader, line = HeadReader(), b"POST /api/v1/ingest/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    head = reader.read(line + b"\r\n")
    assert head is not None
    assert reader.read(line + b"\r\n") is head
    assert reader.read(line + b"X-API-Key: k\r\n\r\n") != head
    for own in (b"Idempotency-Key: a\r\n\r\n", b"X-Request-Id: a\r\n\r\n", b"X-Other: %s\r\n\r\n" % (b"o" * 1_024)):
        assert reader.read(line + own) is not reader.read(line + own)


def test_heads_without_end_are_not_kept() -> None:
    reader = HeadReader()
    for number in range(3 * HeadReader.KEPT):
        reader.read(b"POST /api/v1/ingest/events HTTP/1.1\r\nHost: %d\r\nContent-Length: 2\r\n\r\n" % number)
    assert len(reader._known) <= HeadReader.KEPT


async def test_a_large_read_gives_the_loop_back_between_its_requests() -> None:
    bare = Bare()
    fill(bare, True)
    bare.connection.data_received(GOOD * 40 * PIPELINED)  # each is refused at once
    for turns in range(1, 1_000):
        answered = len(statuses(bare))
        assert answered <= turns * PIPELINED
        if answered == 40 * PIPELINED:
            break
        await asyncio.sleep(0)
    else:
        pytest.fail("not all were answered")
    assert not is_paused(bare)
    assert bare.budget.used == 0


async def test_what_is_held_for_a_turn_is_nobodys_when_the_client_goes_away() -> None:
    bare = Bare()
    fill(bare, True)
    bare.connection.data_received(GOOD * 3 * PIPELINED)
    bare.transport.closed = True
    bare.connection.connection_lost(None)
    written = bare.transport.written
    await bare.idle()
    assert bare.transport.written == written
    assert bare.budget.used == 0


async def test_an_answer_that_cannot_be_made_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> bytes:
        raise MemoryError

    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context.get("exception")))
    for body, broken in ((encoded(event()), "encode"), (b"{", "encode")):
        bare = Bare()
        with monkeypatch.context() as patch:
            patch.setattr(type(bare.lane), broken, none)
            bare.connection.data_received(request(body, key=KEY.encode()))
            await bare.idle()
        assert is_closed(bare)
        assert bare.transport.written == b""
    assert [type(each) for each in unhandled] == [MemoryError] * 2

    bare = Bare()
    bare.transport.write = none  # type: ignore[method-assign, assignment]
    bare.connection.data_received(GOOD)
    await bare.idle()
    assert is_closed(bare), "with one answer lost, the next would be taken for it"
