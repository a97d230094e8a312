"""The writer: what shares a round trip, what each caller gets, and what is counted."""

import asyncio
import math
from collections.abc import Sequence

import pytest

from bq_server.concurrency.group_commit import GroupClosed
from bq_server.stream.claims import Claim
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.counts import Totals
from bq_server.stream.keys import StreamKeys
from bq_server.stream.writer import (
    GROUP_MESSAGES,
    Appended,
    AppendResult,
    Dead,
    Gone,
    KeyTaken,
    Message,
    StreamFull,
    Writer,
)
from tests.unit.stream.scripted_pipe import ScriptedPipe, turns

pytestmark = pytest.mark.anyio
KEYS = StreamKeys("bq")


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no reason to turn a message away here."""
    monkeypatch.setattr("bq_server.stream.writer.WAITING_SECONDS", math.inf)


def writer_on(pipe: ScriptedPipe, totals: Totals | None = None) -> Writer:
    return Writer(pipe.as_pipe(), KEYS, queue_limit=1000, window_hours=2, totals=totals)


def messages(*payloads: bytes) -> list[Message]:
    return [Message(payload) for payload in payloads]


async def outcome(future: asyncio.Future[Sequence[AppendResult]]) -> Sequence[AppendResult] | Exception:
    try:
        return await future
    except Exception as error:  # noqa: BLE001 - is what is looked at
        return error


async def test_what_comes_during_a_round_trip_shares_the_next_and_each_gets_its_own() -> None:
    pipe = ScriptedPipe()
    writer = writer_on(pipe)
    first = writer.append(messages(b"a") * 4)
    await turns()
    second, third = writer.append(messages(b"b", b"c")), writer.append(messages(b"d"))
    await turns()
    assert [call.args[2:] for call in pipe.calls] == [[4, b"a", b"a", b"a", b"a"]]
    pipe.answer([b"1-0", b"1-1", b"1-2", b"1-3", 4, b"epoch_1"])
    pipe.answer([b"2-0", b"2-1", b"2-2", 7, b"epoch_1"])
    assert await first == [Appended(f"1-{number}", repeated=False) for number in range(4)]
    assert await second == [Appended("2-0", repeated=False), Appended("2-1", repeated=False)]
    assert await third == [Appended("2-2", repeated=False)]
    assert pipe.calls[1].keys == [KEYS.events, KEYS.dead, KEYS.counts]
    assert pipe.calls[1].args == [1000, 2 * 3_600_000, 3, b"b", b"c", b"d"]


async def test_as_much_as_is_under_way_goes_beside_it() -> None:
    pipe = ScriptedPipe()
    writer = writer_on(pipe)
    appended = [writer.append(messages(b"a", b"b"))]
    await turns()
    for payload in (b"c", b"d", b"e"):
        appended.append(writer.append(messages(payload)))
        await turns()
    assert [call.args[3:] for call in pipe.calls] == [[b"a", b"b"], [b"c", b"d"]], "two round trips, and no third"
    for answers in ([b"1-0", b"1-1", 2, b"epoch_1"], [b"2-0", b"2-1", 4, b"epoch_1"], [b"3-0", 5, b"epoch_1"]):
        pipe.answer(list(answers))
    assert [one.message_id for each in appended for one in await each if isinstance(one, Appended)] == [
        "1-0", "1-1", "2-0", "2-1", "3-0",
    ]  # fmt: skip


async def test_a_claim_goes_with_the_number_of_its_message() -> None:
    pipe = ScriptedPipe()
    claim = Claim("bq:k", "f" * 32, "evt_1", 7)
    appended = writer_on(pipe).append([Message(b"a"), Message(b"b", claim), Message(b"c", claim, replaces="0-1")])
    pipe.answer([b"1-0", b"1-1", b"1-2", 3, b"epoch_1"])
    await appended
    (call,) = pipe.calls
    assert call.keys[3:] == ["bq:k", "bq:k"]
    assert call.args[6:] == [2, "f" * 32, "evt_1", 7, "-", 3, "f" * 32, "evt_1", 7, "0-1"]


async def test_every_answer_of_the_script_has_its_result() -> None:
    pipe, totals = ScriptedPipe(), Totals()
    writer = writer_on(pipe, totals)
    appended = writer.append(messages(b"a", b"b", b"c", b"d", b"e"))
    pipe.answer([b"5-0", b"=1-0", b"!", b"?2-0", b"~3-0", 9, b"epoch_1"])
    fresh, repeated, taken, dead, gone = await appended
    assert (fresh, repeated) == (Appended("5-0", repeated=False), Appended("1-0", repeated=True))
    assert isinstance(taken, KeyTaken)
    assert (dead, gone) == (Dead("2-0"), Gone("3-0"))
    assert (writer.counts.appended, writer.counts.repeated) == (2, 1)
    assert totals.appended == {"epoch_1": 9}


async def test_the_newest_message_is_a_fresh_one_and_the_count_never_falls() -> None:
    pipe, totals = ScriptedPipe(), Totals()
    writer = writer_on(pipe, totals)
    for answers in ([b"5-0", 20, b"epoch_1"], [b"=4-0", 20, b"epoch_1"], [b"6-0", 3, b""]):
        pipe.answer(list(answers))
        await writer.append(messages(b"a"))
        assert totals.newest == ("6-0" if answers[0] == b"6-0" else "5-0")
    assert totals.appended == {"epoch_1": 20, "": 3}, "another stream's count must not take its place"


async def test_a_group_that_does_not_fit_is_refused_whole_and_the_next_is_tried() -> None:
    pipe, totals = ScriptedPipe(), Totals()
    writer = writer_on(pipe, totals)
    first, second = writer.append(messages(b"a", b"b")), writer.append(messages(b"c"))
    pipe.answer([])
    assert [type(await outcome(each)) for each in (first, second)] == [StreamFull, StreamFull]
    assert (writer.counts.appended, totals.appended) == (0, {})
    pipe.answer([b"1-0", 1, b"epoch_1"])
    assert await writer.append(messages(b"d")) == [Appended("1-0", repeated=False)]


async def test_a_round_trip_that_fails_fails_those_in_it_and_no_others() -> None:
    pipe = ScriptedPipe()
    writer = writer_on(pipe)
    lost = writer.append(messages(b"a", b"a"))
    await turns()
    later = writer.append(messages(b"b"))
    pipe.answer(StreamUnavailable("no answer within 0.25 s"))
    pipe.answer([b"1-0", 1, b"epoch_1"])
    assert isinstance(await outcome(lost), StreamUnavailable)
    assert await later == [Appended("1-0", repeated=False)]


async def test_while_the_stream_server_is_away_nothing_waits_for_it() -> None:
    pipe = ScriptedPipe()
    pipe.away = True
    writer = writer_on(pipe)
    with pytest.raises(StreamUnavailable):
        writer.append(messages(b"a"))
    await writer.close()
    assert pipe.calls == []


async def test_a_round_trip_is_bounded() -> None:
    pipe = ScriptedPipe()
    writer = writer_on(pipe)
    first = writer.append(messages(b"a"))
    await turns()
    many = [writer.append(messages(*[b"x"] * 200)) for _ in range(4)]
    for size in (1, 400, 400):
        pipe.answer([*[b"1-0"] * size, size, b""])
    await asyncio.gather(first, *many)
    assert [call.args[2] for call in pipe.calls] == [1, 400, 400]
    assert all(int(call.args[2]) <= GROUP_MESSAGES for call in pipe.calls)


async def test_closing_writes_what_was_taken_and_takes_no_more() -> None:
    pipe = ScriptedPipe()
    writer = writer_on(pipe)
    taken = writer.append(messages(b"a"))
    closing = asyncio.create_task(writer.close())
    await turns()
    with pytest.raises(GroupClosed):
        writer.append(messages(b"b"))
    assert not closing.done()
    pipe.answer([b"1-0", 1, b"epoch_1"])
    await closing
    assert taken.result() == [Appended("1-0", repeated=False)]
