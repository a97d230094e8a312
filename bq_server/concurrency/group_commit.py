"""Group commit: whatever was requested while a group was under way goes together as the next one."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

NEWEST_SHARE = 0.2
"""Weight of the newest group in the average duration: a single slow one turns nobody away."""


class GroupFull(Exception):
    """More is waiting than is allowed, or than can be committed soon; nothing was accepted."""


class GroupClosed(Exception):
    """The group accepts no more items because its owner is stopping."""


class GroupCommit(Generic[T, R]):
    """Takes items from many tasks and commits them one group at a time, in the order in which they came.

    `commit` gets a group and returns one result for each of its items, in their order; an `Exception` among them is
    raised to that item's waiter, and what it raises itself, to every waiter of the group. `weigh` returns an item's
    weight, for example how many events it contains; a group is closed at `group_weight`, and `submit` raises
    `GroupFull` while `waiting_weight` is already waiting, or so many groups that, given the duration of the last ones,
    an item would wait longer than `waiting_seconds`. What fits into the very next group is always accepted.

    Up to `at_once` groups are under way; a further one starts once as much waits as is under way already, so that none
    is small under load. The order of their commits is left to `commit`, such as a connection that takes one command
    after the other.

    An error that `concerns_all` is raised, too, to every item that was waiting when the group began: each waits for
    one failing group at most, before its own.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]],
        *,
        group_weight: int,
        waiting_weight: int,
        waiting_seconds: float = math.inf,
        at_once: int = 1,
        weigh: Callable[[T], int] = lambda _: 1,
        concerns_all: Callable[[Exception], bool] = lambda _: False,
    ) -> None:
        self._commit = commit
        self._group_weight = group_weight
        self._waiting_weight = waiting_weight
        self._waiting_seconds = waiting_seconds
        self._at_once = at_once
        self._weigh = weigh
        self._concerns_all = concerns_all
        self._begun = 0
        """How many groups have begun."""
        self._waiting: deque[tuple[T, int, asyncio.Future[R], int]] = deque()
        """Items with their weight, their future, and how many groups had begun when they came."""
        self._weight = 0
        self._group_seconds = 0.0
        """How long a group takes that has no other beside it."""
        self._next: asyncio.Task[None] | None = None
        """Takes a group in the next turn of the loop."""
        self._under_way: dict[asyncio.Task[None], tuple[int, float]] = {}
        """The groups under way, in order: the weight of each, and when it started, in seconds."""
        self._closed = False

    async def submit(self, item: T) -> R:
        """Commit the item with the next group and return its result.

        A cancelled caller stops waiting; its item is committed nevertheless.
        """
        return await self.put(item)

    def put(self, item: T) -> asyncio.Future[R]:
        """As `submit`, for a caller that isn't a task: the future of the item's result."""
        if self._closed:
            raise GroupClosed
        weight = self._weigh(item)
        if self._weight and (self._weight + weight > self._waiting_weight or self._is_late(self._weight + weight)):
            raise GroupFull
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, weight, future, self._begun))
        self._weight += weight
        self._begin()
        return future

    def _is_late(self, weight: int) -> bool:
        """Whether that much could not be committed soon enough, after the group under way and those waiting."""
        groups = math.ceil(weight / self._group_weight)
        if groups <= 1:
            return False
        oldest = next((began for _, began in self._under_way.values()), math.inf)
        seconds = max(self._group_seconds, time.monotonic() - oldest)
        return (groups + len(self._under_way)) * seconds > self._waiting_seconds

    async def close(self) -> None:
        """Accept no more items and wait until those already accepted are committed."""
        self._closed = True
        while tasks := {*self._under_way, *filter(None, [self._next])}:
            await asyncio.wait(tasks)

    def _begin(self) -> None:
        """Take a group in the next turn, with whatever else arrives in this one, unless it should wait."""
        if not self._waiting or self._next is not None or len(self._under_way) == self._at_once:
            return
        if self._weight >= min(sum(weight for weight, _ in self._under_way.values()), self._group_weight):
            self._next = asyncio.create_task(self._work(), name="group-commit")

    async def _work(self) -> None:
        task, self._next = self._next, None
        number = self._begun
        assert task is not None  # noqa: S101 - it is this one
        group: list[tuple[T, asyncio.Future[R]]] = []
        try:
            waiting, began = self._weight, time.monotonic()
            self._fill(group)
            self._begun = number = self._begun + 1
            self._under_way[task] = (waiting - self._weight, began)
            beside = len(self._under_way)
            self._begin()
            results = await self._commit([item for item, _ in group])
            if len(results) != len(group):
                raise RuntimeError(f"{len(group)} items were committed, and {len(results)} results returned")
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            if not group:  # there was no memory to take even one
                group = [self._take()]
            elif self._concerns_all(error):
                while self._waiting and self._waiting[0][3] < number:
                    group.append(self._take())
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
        else:
            took = (time.monotonic() - began) / beside  # it waited for those before it
            self._group_seconds += (took - self._group_seconds) * NEWEST_SHARE
            for (_, future), result in zip(group, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
        finally:
            self._under_way.pop(task, None)  # whatever happened, or no other would be begun
        self._begin()

    def _take(self) -> tuple[T, asyncio.Future[R]]:
        item, weight, future, _ = self._waiting.popleft()
        self._weight -= weight
        return item, future

    def _fill(self, group: list[tuple[T, asyncio.Future[R]]]) -> None:
        room = self._group_weight
        while self._waiting and (not group or self._waiting[0][1] <= room):
            item, weight, future, _ = self._waiting[0]
            group.append((item, future))  # before it is taken: without memory it must not be lost between
            del self._waiting[0]
            room -= weight
            self._weight -= weight
