"""The facts that already have an idempotency key: the permanent authority on what is a repeat."""

import asyncio
from collections.abc import Sequence

from bq_server.concurrency.group_commit import GroupCommit
from bq_server.events import Event, ScopedKey
from bq_server.store import facts
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.facts import StoredFact

LOOK_SECONDS = 0.25
"""How long an event on its way into the stream waits to learn from the store whether its key is known."""


class KnownFacts:
    """Looks facts up by key. Lookups that arrive while one is under way share the next. Raises `StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lookups: GroupCommit[ScopedKey, StoredFact | None] = GroupCommit(
            self._look_up, group_weight=1_000, waiting_weight=100_000
        )

    async def of(self, events: Sequence[Event]) -> list[StoredFact | None]:
        """For each event the fact that has its idempotency key."""
        keys = [event.scoped_key for event in events]
        keyed = [key for key in keys if key is not None]
        if not keyed:
            return [None] * len(events)
        found = dict(zip(keyed, await asyncio.gather(*[self._lookups.submit(key) for key in keyed]), strict=True))
        return [None if key is None else found[key] for key in keys]

    async def soon(self, events: Sequence[Event]) -> list[StoredFact | None]:
        """As `of`, but raises `StoreUnavailable` if it takes longer than an incoming event may wait."""
        looking = asyncio.ensure_future(self.of(events))
        done, _ = await asyncio.wait([looking], timeout=LOOK_SECONDS)
        if not done:
            looking.cancel()  # the lookup continues, with those of others
            raise StoreUnavailable(f"it does not answer within {LOOK_SECONDS:g} s")
        return looking.result()

    async def close(self) -> None:
        """Take no more lookups and finish those under way."""
        await self._lookups.close()

    async def _look_up(self, keys: Sequence[ScopedKey]) -> list[StoredFact | None]:
        async with self._database.read_for_intake() as connection:
            found = await facts.by_keys(connection, set(keys))
        return [found.get(key) for key in keys]
