"""Group commit: whatever was asked for while the last group was under way goes together as the next one."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

NEWEST_SHARE = 0.2
"""How much the newest group counts in what a group takes: a single slow one makes nobody turn back."""


class GroupFull(Exception):
    """More is waiting than may wait, or than can be committed soon; nothing was taken."""


class GroupClosed(Exception):
    """The group takes no more items because its owner is stopping."""


class GroupCommit(Generic[T, R]):
    """Takes items from many tasks and commits them a group at a time, in the order they came.

    `commit` gets a group and returns one result for each of its items, in their order; an `Exception` among them is
    raised to that item's waiter, and what it raises itself, to every waiter of the group. `weigh` tells an item's
    weight, for example how many events it holds; a group is closed at `group_weight`, and `submit` raises `GroupFull`
    while `waiting_weight` already waits, or so many groups that, by what the last ones took, an item would wait longer
    than `waiting_seconds`. What can go with the very next group is always taken.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]],
        *,
        group_weight: int,
        waiting_weight: int,
        waiting_seconds: float = math.inf,
        weigh: Callable[[T], int] = lambda _: 1,
    ) -> None:
        self._commit = commit
        self._group_weight = group_weight
        self._waiting_weight = waiting_weight
        self._waiting_seconds = waiting_seconds
        self._weigh = weigh
        self._waiting: deque[tuple[T, int, asyncio.Future[R]]] = deque()
        self._weight = 0
        self._group_seconds = 0.0
        self._group_began = 0.0
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, item: T) -> R:
        """Commit the item with the next group and return its result.

        A caller that is cancelled stops waiting; its item is committed all the same.
        """
        return await self.put(item)

    def put(self, item: T) -> asyncio.Future[R]:
        """As `submit`, for a caller that is no task: the future of the item's result."""
        if self._closed:
            raise GroupClosed
        weight = self._weigh(item)
        if self._weight and (self._weight + weight > self._waiting_weight or self._is_late(self._weight + weight)):
            raise GroupFull
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, weight, future))
        self._weight += weight
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="group-commit")
        return future

    def _is_late(self, weight: int) -> bool:
        """Whether that much could not be committed soon enough: the group under way, and those that wait before it."""
        groups = math.ceil(weight / self._group_weight)
        if groups <= 1:
            return False
        seconds = max(self._group_seconds, time.monotonic() - self._group_began)
        return (groups + 1) * seconds > self._waiting_seconds

    async def close(self) -> None:
        """Take no more items and wait until those already taken are committed."""
        self._closed = True
        if self._worker is not None:
            await asyncio.wait({self._worker})

    async def _work(self) -> None:
        while self._waiting:
            group: list[tuple[T, asyncio.Future[R]]] = []
            try:
                self._fill(group)
                self._group_began = time.monotonic()
                results = await self._commit([item for item, _ in group])
                if len(results) != len(group):
                    raise RuntimeError(f"{len(group)} items were committed and {len(results)} answered")
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                if not group:  # there was no memory to take even one
                    item, weight, future = self._waiting.popleft()
                    self._weight -= weight
                    group = [(item, future)]
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
            else:
                took = time.monotonic() - self._group_began
                self._group_seconds += (took - self._group_seconds) * NEWEST_SHARE
                for (_, future), result in zip(group, results, strict=True):
                    if future.done():
                        continue
                    if isinstance(result, Exception):
                        future.set_exception(result)
                    else:
                        future.set_result(result)

    def _fill(self, group: list[tuple[T, asyncio.Future[R]]]) -> None:
        room = self._group_weight
        while self._waiting and (not group or self._waiting[0][1] <= room):
            item, weight, future = self._waiting[0]
            group.append((item, future))  # before it is taken: without memory it must not be lost between
            del self._waiting[0]
            room -= weight
            self._weight -= weight
