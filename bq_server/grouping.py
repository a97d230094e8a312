"""Group commit: whatever was asked for while the last group was under way goes together as the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class GroupFull(Exception):
    """More is waiting than may wait; nothing was taken."""


class GroupClosed(Exception):
    """The group takes no more items because its owner is stopping."""


class GroupCommit(Generic[T, R]):
    """Takes items from many tasks and commits them a group at a time, in the order they came.

    `commit` gets a group and answers one result for each of its items, in their order; what it raises, every
    waiter of that group gets. `weigh` tells an item's weight, for example how many events it holds; a group is
    closed at `group_weight`, and `submit` raises `GroupFull` while `waiting_weight` already waits.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        group_weight: int,
        waiting_weight: int,
        weigh: Callable[[T], int] = lambda _: 1,
    ) -> None:
        self._commit = commit
        self._group_weight = group_weight
        self._waiting_weight = waiting_weight
        self._weigh = weigh
        self._waiting: deque[tuple[T, int, asyncio.Future[R]]] = deque()
        self._weight = 0
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, item: T) -> R:
        """Commit the item with the next group and answer its result.

        A caller that is cancelled stops waiting; its item is committed all the same.
        """
        if self._closed:
            raise GroupClosed
        weight = self._weigh(item)
        if self._weight and self._weight + weight > self._waiting_weight:
            raise GroupFull
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, weight, future))
        self._weight += weight
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="group-commit")
        return await future

    async def close(self) -> None:
        """Take no more items and wait until those already taken are committed."""
        self._closed = True
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        while self._waiting:
            group = self._next_group()
            try:
                results = await self._commit([item for item, _ in group])
                if len(results) != len(group):
                    raise RuntimeError(f"{len(group)} items were committed and {len(results)} answered")
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), result in zip(group, results, strict=True):
                    if not future.done():
                        future.set_result(result)
        self._worker = None

    def _next_group(self) -> list[tuple[T, asyncio.Future[R]]]:
        group: list[tuple[T, asyncio.Future[R]]] = []
        room = self._group_weight
        while self._waiting and (not group or self._waiting[0][1] <= room):
            item, weight, future = self._waiting.popleft()
            room -= weight
            self._weight -= weight
            group.append((item, future))
        return group
