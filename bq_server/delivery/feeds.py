"""The open feeds: their limits, and what they read, page by page, from the store."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, TypeVar

from bq_server.clock import Clock
from bq_server.events import Scope
from bq_server.metrics.counts import FeedCounts
from bq_server.moments import SECOND
from bq_server.processing.announcements import forget_unheard
from bq_server.store import feed, feed_wishes
from bq_server.store.database import Database
from bq_server.store.feed import Happened, Position

T = TypeVar("T")

PAGE = 100
"""Facts and notices read at a time."""

PAGES_KEPT = 8
"""Most feeds are at the end, and need what another one has just read."""

PAGE_SECONDS = 1.0
"""How long it is kept: any longer, and an erased participant would still be sent."""

WISH_SECONDS = 600
"""How long a wish lasts: who connects again soon has missed nothing."""

RENEWED_SECONDS = 60
"""How long ago a wish may have been written that counts as written now."""


class TooManyFeeds(Exception):
    """No more feeds may be opened. The message says why."""


class Feeds(Generic[T]):
    """Counts feeds, and reads what happened for them, one at a time: other readers of the store come first."""

    def __init__(
        self,
        database: Database,
        told: Callable[[Happened], T],
        resets: Mapping[Scope, int],
        clock: Clock,
        *,
        most: int,
        most_per_key: int,
    ) -> None:
        """`told` serializes what happened; all feeds share it. `resets`: how often each environment was reset."""
        self._database = database
        self._resets = resets
        self._clock = clock
        self._told = told
        self._most = most
        self._most_per_key = most_per_key
        self._by_key: Counter[str] = Counter()
        self.counts = FeedCounts()
        self._pages: OrderedDict[tuple[Scope, int, Position], tuple[float, Sequence[T]]] = OrderedDict()
        self._turn = asyncio.Lock()
        self.ended = False
        """Whether all feeds must end, because the server is stopping."""

    def require_room(self, key_id: str) -> None:
        """Raises `TooManyFeeds` if none may be opened with this key."""
        if self.counts.open >= self._most:
            raise TooManyFeeds(f"{self._most} feeds are open, which is the limit")
        if self._by_key[key_id] >= self._most_per_key:
            raise TooManyFeeds(f"{self._most_per_key} feeds are open with this key, which is the limit")

    @contextmanager
    def seat(self, key_id: str) -> Iterator[None]:
        """Count a feed for as long as it is open."""
        self._by_key[key_id] += 1
        self.counts.open += 1
        self.counts.opened += 1
        try:
            yield
        finally:
            self.counts.open -= 1
            self._by_key[key_id] -= 1
            if not self._by_key[key_id]:
                del self._by_key[key_id]

    def end(self) -> None:
        """End all feeds, including future ones."""
        self.ended = True
        self._database.commits.beat()

    def moved(self) -> "asyncio.Future[None]":
        """Done when something may have happened. Take it before reading."""
        return self._database.commits.next()

    async def wish(self, scope: Scope, event_types: Collection[str]) -> None:
        """Have worked out for the feed what nobody else may need, for `WISH_SECONDS`. Raises `StoreUnavailable`.

        What another has wished for a moment ago is not written again: a feed may be opened with a key that only reads.
        """
        until = self._clock() + WISH_SECONDS * SECOND

        def put(writing: Any) -> None:
            forget_unheard(writing, scope)
            feed_wishes.put(writing, scope, event_types, until)

        if not event_types:
            return
        async with self._database.read() as connection:
            known = await connection.run(partial(feed_wishes.last_until, scope=scope, event_types=event_types))
        if known < until - RENEWED_SECONDS * SECOND:
            async with self._database.transaction() as connection:
                await connection.run(put)

    async def head(self) -> Position:
        """The position after everything that has happened. Raises `StoreUnavailable`."""
        async with self._database.read() as connection:
            return await feed.head(connection)

    async def page(self, scope: Scope, after: Position) -> Sequence[T]:
        """What comes next in an environment; empty if nothing does. Raises `StoreUnavailable`."""
        key = scope, self._resets.get(scope, 0), after
        async with self._turn:
            now = asyncio.get_running_loop().time()
            while self._pages and next(iter(self._pages.values()))[0] < now:
                self._pages.popitem(last=False)
            if key in self._pages:
                return self._pages[key][1]
            async with self._database.read() as connection:
                found = await feed.page(connection, scope, after, PAGE)
            page = [self._told(each) for each in found]
            if page:  # until a reset, what comes after a position never changes, unless nothing has come yet
                self._pages[key] = now + PAGE_SECONDS, page
                if len(self._pages) > PAGES_KEPT:
                    self._pages.popitem(last=False)
        return page
