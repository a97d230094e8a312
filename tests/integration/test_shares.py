"""Parts on their way to other workers and answers on their way back, in a stream server."""

import asyncio
from typing import Any

import pytest

from bq_server.concurrency.interruption import answer_unless
from bq_server.stream import shares as shares_module
from bq_server.stream.keys import StreamKeys
from bq_server.stream.shares import KEPT_SECONDS, Part, PartAnswer, Shares

pytestmark = pytest.mark.anyio
KEYS = StreamKeys("bq", "{queue}:")


def part(number: int, *payloads: bytes) -> Part:
    return Part(number, ("leader", "share/helper", 1), [(f"{at}-0", each) for at, each in enumerate(payloads, 1)])


@pytest.fixture
def leader(client: Any) -> Shares:
    return Shares(client, KEYS, "leader")


@pytest.fixture
def helper(client: Any, monkeypatch: pytest.MonkeyPatch) -> Shares:
    monkeypatch.setattr(shares_module, "BLOCK_SECONDS", 0.01)
    return Shares(client, KEYS, "helper")


async def test_a_part_comes_as_it_was_handed_out_and_its_answer_goes_to_whoever_did(
    leader: Shares, helper: Shares
) -> None:
    handed = part(7, b"one", b"\xff")
    await leader.hand_out("helper", handed)
    found = await helper.next_part()
    assert found == handed
    assert found is not None
    answer = PartAnswer(7, [None, "it can't be"], 12)
    await helper.answer(found, answer)
    assert await leader.next_answer(1.0) == answer
    assert (await helper.next_part(), await leader.next_answer(0.01)) == (None, None)


async def test_a_part_takes_the_place_of_one_that_was_not_begun(leader: Shares, helper: Shares) -> None:
    await leader.hand_out("helper", part(1))
    await leader.hand_out("helper", part(2))
    found = await helper.next_part()
    assert found is not None
    assert found.number == 2
    assert await helper.next_part() is None


async def test_a_part_can_be_dropped(leader: Shares, helper: Shares) -> None:
    await leader.hand_out("helper", part(1))
    await leader.hand_out("other", part(2))
    await leader.drop("helper")
    assert await helper.next_part() is None


async def test_what_nobody_takes_is_gone_after_a_minute(leader: Shares, helper: Shares, client: Any) -> None:
    await leader.hand_out("helper", part(1))
    await helper.answer(part(1), PartAnswer(1))
    left = [await client.ttl(key) for key in await client.keys("*")]
    assert len(left) == 2
    assert all(0 < each <= KEPT_SECONDS for each in left)


async def test_all_lists_are_in_the_slot_of_the_stream(leader: Shares, helper: Shares, client: Any) -> None:
    await leader.hand_out("helper", part(1))
    await helper.answer(part(1), PartAnswer(1))
    assert all(key.startswith(b"{queue}:bq:") for key in await client.keys("*"))


async def test_what_a_process_of_another_version_left_is_passed_over(
    leader: Shares, helper: Shares, client: Any
) -> None:
    await client.rpush(KEYS.share("helper"), b"\xc1")
    await client.rpush(KEYS.answers("leader"), b"\xc1")
    assert (await helper.next_part(), await leader.next_answer(0.01)) == (None, None)


async def test_a_stop_waits_for_no_part(client: Any) -> None:
    stopped = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(stopped.set_result, None)
    assert await answer_unless(stopped, Shares(client, KEYS, "helper").next_part()) is None
    await client.ping()
