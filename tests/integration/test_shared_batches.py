"""A leader and another worker over one PostgreSQL and one stream server: who processes what, and what isn't twice."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from bq_server.processing import available_workers, share_worker, shared_batch
from bq_server.processing.partitions import partition_of
from bq_server.processing.permits import Permits
from bq_server.processing.share_worker import ShareWorker
from bq_server.server.peers import LEASE
from bq_server.store import processes
from bq_server.store.database import StoreUnavailable
from bq_server.stream.entries import NotNow, StreamEntry
from bq_server.stream.shares import Part, PartAnswer
from tests.support.store import asked
from tests.support.worker_pair import SCOPE, Pair, entries_of, entry, worker_pair

pytestmark = pytest.mark.anyio
LARGE = 40
SAME, OTHER = f"{1:032x}", f"{2:032x}"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_batch, "FEWEST", LARGE)
    monkeypatch.setattr(shared_batch, "ANSWER_SECONDS", 20.0)
    monkeypatch.setattr(available_workers, "REST_SECONDS", (0.0,))


@pytest.fixture
async def pair(migrated_url: str, client: Any) -> AsyncIterator[Pair]:
    async with worker_pair(migrated_url, client) as made:
        yield made


async def test_each_worker_processes_a_part_and_each_result_is_at_its_place(pair: Pair) -> None:
    keyed = [entry(number, idempotency_key=f"k{number}", fingerprint=SAME) for number in range(1, 41)]
    conflicting = [entry(number, idempotency_key=f"k{number - 40}", fingerprint=OTHER) for number in range(41, 81)]
    batch = [*keyed, *conflicting, StreamEntry("81-0", b"unreadable")]
    random.Random(1).shuffle(batch)
    async with pair.helper.working():
        results = dict(zip([each.message_id for each in batch], await pair.process(batch), strict=True))
    assert "it can't be read" in str(results.pop("81-0"))
    for first, second in zip(keyed, conflicting, strict=True):
        one, other = results[first.message_id], results[second.message_id]
        assert {one is None, other is None} == {True, False}, "whichever came first"
        assert "belongs to another event" in str(one or other)
    assert pair.facts == 40
    (own,), (others,) = pair.leader.processor.beside, pair.helper.processor.beside
    assert not own & others
    assert (pair.leader.processor.counts.facts, pair.helper.processor.counts.facts) == (len(own) / 2, len(others) / 2)
    assert pair.note.height == asked(pair.store_url, "SELECT height()")[0][0]


def in_partition(number: int) -> str:
    """A participant."""
    return next(who for who in map(str, itertools.count()) if partition_of(SCOPE, who) == number)


def divided(first: int, leaders: Mapping[str, str], helpers: Mapping[str, str]) -> list[StreamEntry]:
    """Messages of two participants: the leader processes those of the one who has sent more."""
    most = LARGE // 2 + 1
    own = [entry(first + number, participant_id=in_partition(0), **leaders) for number in range(most)]
    return own + [entry(first + number, participant_id=in_partition(1), **helpers) for number in range(most, LARGE)]


async def test_the_stream_is_told_how_far_the_store_is_where_others_make_the_newest_facts(pair: Pair) -> None:
    pair.helper.processor.gate = asyncio.Event()
    async with pair.helper.working(), asyncio.timeout(20):
        processing = asyncio.create_task(pair.process(divided(0, {}, {})))
        while not pair.leader.processor.counts.facts:
            await asyncio.sleep(0.005)
        pair.helper.processor.gate.set()
        assert await processing == [None] * LARGE
    assert pair.note.height == asked(pair.store_url, "SELECT height()")[0][0]


async def test_each_has_about_as_much_however_much_one_participant_has_sent(pair: Pair) -> None:
    busy = entries_of(range(LARGE // 2), participant_id=in_partition(1))
    others = [entry(number, participant_id=in_partition(number % 16)) for number in range(LARGE // 2, LARGE)]
    async with pair.helper.working():
        assert await pair.process(busy + others) == [None] * LARGE
    shares = [sum(map(len, each.processor.beside)) for each in (pair.leader, pair.helper)]
    assert max(shares) - min(shares) <= 4


async def test_a_small_batch_is_not_shared(pair: Pair) -> None:
    async with pair.helper.working():
        assert await pair.process(entries_of(range(LARGE - 1))) == [None] * (LARGE - 1)
    assert (pair.facts, pair.leader.processor.beside) == (LARGE - 1, [])


async def test_without_another_worker_all_is_as_it_was(pair: Pair) -> None:
    assert pair.messages.workers == 1
    assert await pair.messages.process(entries_of(range(LARGE))) == [None] * LARGE
    assert (pair.facts, pair.leader.processor.beside) == (LARGE, [])


async def test_a_part_that_was_taken_back_can_make_no_fact_any_more(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = await pair.lose(entries_of(range(LARGE)), monkeypatch)
    assert pair.facts == LARGE
    async with pair.leader.processor._database.transaction() as connection:
        await connection.execute("DELETE FROM facts")  # as after a reset
    answer = await pair.helper.works._processed(part)
    assert "has taken the work back" in str(answer.failure)
    assert pair.facts == 0


async def test_nor_can_one_of_a_leader_that_lost_its_lease_and_has_it_again(pair: Pair) -> None:
    pair.hear()
    processing = asyncio.create_task(pair.messages.process(entries_of(range(LARGE))))
    part = await pair.helper.shares.next_part()
    assert part is not None
    give_up = {"name": LEASE, "holder": pair.leader.peers.process_id}
    await pair.leader.peers._apart.run(lambda connection: processes.give_up_lease(connection, **give_up))
    assert "doesn't lead any more" in str((await pair.helper.works._processed(part)).failure)
    assert await pair.helper.peers._take() is not None
    await Permits(pair.helper.peers._apart, pair.helper.peers.process_id, LEASE).begin()
    give_up["holder"] = pair.helper.peers.process_id
    await pair.helper.peers._apart.run(lambda connection: processes.give_up_lease(connection, **give_up))
    assert await pair.leader.peers._take() is not None
    answer = await pair.helper.works._processed(part)
    assert "has taken the work back" in str(answer.failure)
    await pair.helper.shares.answer(part, answer)
    assert await processing == [None] * LARGE, "it processed that itself"
    assert pair.facts == LARGE


async def test_a_late_answer_is_not_taken_for_one_of_the_next_batch(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = await pair.lose(entries_of(range(LARGE)), monkeypatch)
    await pair.helper.shares.answer(late, PartAnswer(late.number, [None] * len(late.messages), 10**9))
    async with pair.helper.working():
        assert await pair.process(entries_of(range(LARGE, 2 * LARGE))) == [None] * LARGE
    assert pair.facts == 2 * LARGE
    assert pair.helper.processor.beside, "it was heard of again"
    assert pair.note.height < 10**9


async def test_one_that_is_silent_is_given_nothing_until_it_is_heard_of_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pair.lose(entries_of(range(LARGE)), monkeypatch)
    assert pair.messages.workers == 1
    pair.hear()
    assert pair.messages.workers == 2


async def test_one_that_has_left_is_not_waited_for(pair: Pair) -> None:
    pair.hear()
    processing = asyncio.create_task(pair.messages.process(entries_of(range(LARGE))))
    assert await pair.helper.shares.next_part() is not None
    pair.heard.clear()
    async with asyncio.timeout(shared_batch.ANSWER_SECONDS / 2):
        assert await processing == [None] * LARGE
    assert pair.facts == LARGE


@pytest.mark.parametrize("share", [0, 1])
async def test_whoever_finds_that_something_concerns_others(pair: Pair, share: int) -> None:
    async with pair.helper.working():
        for first in (0, LARGE):
            batch = divided(first, *[{"voids": "k"} if each == share else {} for each in (0, 1)])
            assert await pair.process(batch) == [None] * LARGE
    assert [len(each.processor.beside) for each in (pair.leader, pair.helper)] == [1, 1]


async def test_what_concerns_others_is_processed_alone_and_its_environment_not_shared_for_a_while(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair.helper.working():
        voiding = [entry(number, voids=f"k{number}") for number in range(LARGE)]
        assert await pair.process(voiding) == [None] * LARGE
        tried = len(pair.leader.processor.beside) + len(pair.helper.processor.beside)
        assert tried == 2
        assert await pair.process(entries_of(range(LARGE, 2 * LARGE))) == [None] * LARGE
        assert (len(pair.leader.processor.beside), len(pair.helper.processor.beside)) == (1, 1)
        monkeypatch.setattr(shared_batch, "ALONE_SECONDS", 0.0)
        pair.messages._keep_alone([SCOPE])
        assert await pair.process(entries_of(range(2 * LARGE, 3 * LARGE))) == [None] * LARGE
        assert (len(pair.leader.processor.beside), len(pair.helper.processor.beside)) == (2, 2)
    assert pair.facts == 3 * LARGE


@pytest.mark.parametrize("where", ["leader", "helper"])
async def test_an_event_at_fault_keeps_no_other_from_being_a_fact(pair: Pair, where: str) -> None:
    batch = entries_of(range(LARGE))
    async with pair.helper.working():
        await pair.process(batch)
        own = pair.leader.processor.beside[0] if where == "leader" else pair.helper.processor.beside[0]
        number = int(min(own).removeprefix("evt_"))
        again = [entry(LARGE + each, "poison" if each == number else "bought") for each in range(LARGE)]
        for each in (pair.leader, pair.helper):
            each.processor.fails_on = "poison"
        results = await pair.process(again)
    put_off = [result for result in results if result is not None]
    assert len(put_off) == 1
    assert isinstance(results[number], NotNow)
    assert pair.facts == 2 * LARGE - 1


async def test_without_the_store_nothing_that_was_handed_out_is_processed_before_it_is_revoked(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("it is away")

    batch = entries_of(range(LARGE))
    with monkeypatch.context() as patch:
        patch.setattr(processes, "revoke_permit", away)
        with pytest.raises(StoreUnavailable):
            await pair.lose(batch, monkeypatch)
        before = pair.facts
        with pytest.raises(StoreUnavailable):
            await pair.process(batch[:1])
        assert pair.facts == before < LARGE
    assert await pair.process(batch[:1]) == [None]
    async with pair.helper.working():
        assert await pair.process(batch) == [None] * LARGE
    assert pair.facts == LARGE


async def test_a_worker_that_is_stopped_finishes_and_answers_what_it_has(pair: Pair) -> None:
    pair.helper.processor.gate = asyncio.Event()
    task = asyncio.create_task(pair.helper.works.run())
    processing = asyncio.create_task(pair.process(entries_of(range(LARGE))))
    async with asyncio.timeout(20):
        while not pair.helper.processor.beside:
            await asyncio.sleep(0.005)
        pair.helper.works.stop()
        pair.helper.processor.gate.set()
        await task
        assert await processing == [None] * LARGE
    assert pair.helper.processor.counts.facts == len(pair.helper.processor.beside[0])


async def test_a_worker_takes_nothing_while_it_leads(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_worker, "WHILE_LEADING_SECONDS", 0.0)
    looks: asyncio.Queue[None] = asyncio.Queue()

    def leads() -> bool:
        looks.put_nowait(None)
        return True

    works = ShareWorker(pair.helper.processor, pair.helper.shares, pair.note, leads)
    task = asyncio.create_task(works.run())
    await pair.leader.shares.hand_out(pair.helper.peers.process_id, Part(1, ("one", "share/x", 1), []))
    for _ in range(3):
        await looks.get()
    works.stop()
    await task
    assert await pair.helper.shares.next_part() is not None


async def test_no_transaction_of_a_part_is_large_however_much_one_participant_has_sent(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_batch, "MOST_OF_A_PART", 10)
    async with pair.helper.working():
        assert await pair.process(entries_of(range(LARGE), participant_id="busy")) == [None] * LARGE
    (part,) = [*pair.leader.processor.beside, *pair.helper.processor.beside]
    assert part == {f"evt_{number:026}" for number in range(10)}, "the first; what follows is processed after it"
    assert pair.facts == LARGE


async def test_what_was_handed_out_is_taken_back_after_a_mistake_of_ours(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(pair.messages, "_gather", mistaken)
    with pytest.raises(ZeroDivisionError):
        await pair.process(entries_of(range(LARGE)))
    part = await pair.helper.shares.next_part()
    assert part is not None
    assert await pair.permits.revoke() == [pair.helper.peers.process_id]
    answer = await pair.helper.works._processed(part)
    assert "taken the work back" in str(answer.failure)
