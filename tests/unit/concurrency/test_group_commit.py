"""Group commit: nothing waits alone, order is kept, and full is said."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from bq_server.concurrency import group_commit
from bq_server.concurrency.group_commit import GroupClosed, GroupCommit, GroupFull

pytestmark = pytest.mark.anyio


class Commits:
    """Records groups, and lets each finish only when told."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gate = asyncio.Semaphore(0)
        self.fail_on: int | None = None

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.groups.append(list(items))
        await self.gate.acquire()
        if self.fail_on in items:
            raise ValueError(f"{self.fail_on}")
        return [item * 10 for item in items]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_comes_while_a_group_is_under_way_goes_as_the_next_in_order() -> None:
    commits = Commits()
    group = GroupCommit(commits, group_weight=3, waiting_weight=100)
    first = asyncio.create_task(group.submit(0))
    await turns()
    rest = [asyncio.create_task(group.submit(number)) for number in range(1, 6)]
    await turns()
    for _ in range(3):
        commits.gate.release()
    assert await asyncio.gather(first, *rest) == [0, 10, 20, 30, 40, 50]
    assert commits.groups == [[0], [1, 2, 3], [4, 5]]


async def test_a_second_group_goes_beside_the_first_when_as_much_waits() -> None:
    commits = Commits()
    group = GroupCommit(commits, group_weight=3, waiting_weight=100, at_once=2)
    tasks = [asyncio.create_task(group.submit(number)) for number in (0, 1)]
    await turns()
    tasks.append(asyncio.create_task(group.submit(2)))
    await turns()
    assert commits.groups == [[0, 1]]
    tasks += [asyncio.create_task(group.submit(number)) for number in (3, 4, 5)]
    await turns()
    assert commits.groups == [[0, 1], [2, 3, 4]]
    tasks += [asyncio.create_task(group.submit(number)) for number in (6, 7, 8)]
    await turns()
    assert len(commits.groups) == 2
    closing = asyncio.create_task(group.close())
    for _ in range(4):
        commits.gate.release()
    assert await asyncio.gather(*tasks) == [number * 10 for number in range(9)]
    await closing
    assert commits.groups == [[0, 1], [2, 3, 4], [5, 6, 7], [8]]


async def test_a_failure_reaches_those_of_its_group_and_no_others() -> None:
    commits = Commits()
    commits.fail_on = 1
    group = GroupCommit(commits, group_weight=2, waiting_weight=100)
    tasks = [asyncio.create_task(group.submit(number)) for number in range(4)]
    await turns()
    commits.gate.release()
    commits.gate.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, ValueError) for result in results] == [True, True, False, False]


async def test_full_is_said_and_takes_nothing_but_one_large_item_always_fits() -> None:
    commits = Commits()
    group: GroupCommit[int, int] = GroupCommit(commits, group_weight=10, waiting_weight=10, weigh=lambda item: item)
    large = asyncio.create_task(group.submit(50))
    await turns()
    waiting = asyncio.create_task(group.submit(9))
    await turns()
    with pytest.raises(GroupFull):
        await group.submit(2)
    commits.gate.release()
    commits.gate.release()
    assert [await large, await waiting] == [500, 90]
    assert commits.groups == [[50], [9]]


async def test_closing_finishes_what_was_taken_also_for_a_waiter_that_left() -> None:
    commits = Commits()
    group = GroupCommit(commits, group_weight=2, waiting_weight=100)
    left = asyncio.create_task(group.submit(1))
    stayed = asyncio.create_task(group.submit(2))
    await turns()
    left.cancel()
    closing = asyncio.create_task(group.close())
    await turns()
    with pytest.raises(GroupClosed):
        await group.submit(3)
    commits.gate.release()
    await closing
    assert await stayed == 20
    assert commits.groups == [[1, 2]]


async def test_an_exception_among_the_results_reaches_its_own_waiter_alone() -> None:
    async def commit(items: Sequence[int]) -> list[int | Exception]:
        return [ValueError("odd") if item % 2 else item for item in items]

    group: GroupCommit[int, int] = GroupCommit(commit, group_weight=10, waiting_weight=10)
    found = await asyncio.gather(*[group.submit(number) for number in range(4)], return_exceptions=True)
    assert [each if isinstance(each, int) else str(each) for each in found] == [0, "odd", 2, "odd"]


async def test_a_commit_that_answers_for_others_than_it_got_fails_the_whole_group() -> None:
    async def short(items: Sequence[int]) -> list[int]:
        return list(items[1:])

    group: GroupCommit[int, int] = GroupCommit(short, group_weight=10, waiting_weight=10)
    found = await asyncio.gather(group.submit(1), group.submit(2), return_exceptions=True)
    assert ["2 items were committed, and 1 results returned" in str(each) for each in found] == [True, True]


async def test_what_would_wait_too_long_is_turned_away_but_never_the_very_next_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(group_commit, "time", SimpleNamespace(monotonic=lambda: now))
    commits = Commits()
    group = GroupCommit(commits, group_weight=2, waiting_weight=100, waiting_seconds=1.0)
    slow = asyncio.create_task(group.submit(0))
    await turns()
    now = 0.4  # the group under way takes so long already: three of them are more than a second
    taken = [asyncio.create_task(group.submit(number)) for number in (1, 2)]
    await turns()
    with pytest.raises(GroupFull):
        await group.submit(3)
    for _ in range(2):
        commits.gate.release()
    assert await asyncio.gather(slow, *taken) == [0, 10, 20]
    assert commits.groups == [[0], [1, 2]]


async def test_without_memory_to_make_a_group_its_first_fails_and_the_next_are_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commits = Commits()
    group = GroupCommit(commits, group_weight=2, waiting_weight=100)
    with monkeypatch.context() as patch:
        patch.setattr(GroupCommit, "_fill", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            await group.submit(1)
    commits.gate.release()
    assert await group.submit(2) == 20


async def test_a_worker_that_ended_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    commits = Commits()
    group = GroupCommit(commits, group_weight=2, waiting_weight=100)
    with monkeypatch.context() as patch:
        patch.setattr(group, "_commit", lambda _: (_ for _ in ()).throw(asyncio.CancelledError))
        lost = group.put(1)
        await turns()
    commits.gate.release()
    assert await group.submit(2) == 20
    assert not lost.done()
    await group.close()
