"""Streaks that break. No event announces it, so each environment is checked by its own clock."""

from functools import partial

from bq_server.clock import Clocks
from bq_server.concurrency.notifier import Notifier
from bq_server.events import Scope
from bq_server.game.streak_states import read_streaks
from bq_server.moments import SECOND
from bq_server.processing.announcements import forget_unheard, tell_broken
from bq_server.processing.compiled_games import Games
from bq_server.processing.faults import GameUnreadable
from bq_server.processing.time_watch import LOOK_SECONDS, watch
from bq_server.store import state, watched_streaks
from bq_server.store.database import Connection, Database
from bq_server.store.watched_streaks import WatchedStreak

PAGE = 50
"""Streaks per transaction."""


class StreakWatch:
    """Finds out when watched streaks break, and announces those that did."""

    def __init__(self, database: Database, games: Games, clocks: Clocks) -> None:
        self._database = database
        self._games = games
        self._clocks = clocks
        self.progress = Notifier()
        """Signalled after every check."""

    async def run(self) -> None:
        """Work until cancelled."""
        await watch(self._database, watched_streaks.NAME, self._checked)

    async def is_due(self, scope: Scope) -> bool:
        """Whether a streak of the environment is due."""
        async with self._database.read() as connection:
            due = await connection.run(partial(watched_streaks.next_due, scope=scope))
        return due is not None and due <= self._clocks.now(scope)

    async def look_at_all(self, scope: Scope) -> None:
        """Check all that are due in the environment, a few per transaction. Raises `StoreUnavailable`."""
        more = await self.is_due(scope)
        while more:
            async with self._database.transaction() as connection:
                more = await self._look(connection, scope)

    async def look(self, connection: Connection, scope: Scope) -> None:
        """Check all that are due in the environment, in a transaction; few are left after `look_at_all`."""
        while await self._look(connection, scope):
            pass

    async def _checked(self) -> float:
        try:
            return await self._look_everywhere()
        finally:
            self.progress.beat()

    async def _look_everywhere(self) -> float:
        """Check some in each environment; returns the seconds until there is more to do."""
        async with self._database.read() as connection:
            scopes = await connection.run(watched_streaks.scopes)
        wait = LOOK_SECONDS
        for scope in scopes:
            if await self.is_due(scope):
                async with self._database.transaction() as connection:
                    await self._look(connection, scope)
            async with self._database.read() as connection:
                due = await connection.run(partial(watched_streaks.next_due, scope=scope))
            left = LOOK_SECONDS if due is None else max((due - self._clocks.now(scope)) / SECOND, 0.0)
            if left == 0 or not self._clocks.stands_still(scope):
                wait = min(wait, left)
        return wait

    async def _look(self, connection: Connection, scope: Scope) -> bool:
        """Check some that are due; returns whether there may be more."""
        now = self._clocks.now(scope)
        due = await connection.run(partial(watched_streaks.due, scope=scope, now=now, limit=PAGE))
        if not due or await connection.run(partial(forget_unheard, scope=scope)):
            return False
        try:
            game = await self._games.of(connection, scope)
        except GameUnreadable:
            return False
        states = await state.states(connection, scope, {each.participant_id for each in due})
        moments: list[tuple[WatchedStreak, int | None]] = []
        broken: list[WatchedStreak] = []
        gone: list[WatchedStreak] = []
        for each in due:
            cells = states.get(each.participant_id, {}).get("cells", {})
            found = next((own for own in read_streaks(game, cells, now) if own.code == each.code), None)
            if f"streak/{each.code}" in game.pending:
                continue  # its state under the new definition is still being computed
            if found is None:
                gone.append(each)
            elif found.expires_at is not None:
                moments.append((each, max(found.expires_at, now + 1)))
            else:
                moments.append((each, None))
                if not each.told:
                    broken.append(each)
        await connection.run(partial(watched_streaks.put_when, scope=scope, moments=moments))
        await connection.run(partial(watched_streaks.remove, scope=scope, streaks=gone))
        if broken:
            connection.wakes |= await connection.run(partial(tell_broken, scope=scope, streaks=broken, now=now))
        return len(due) == PAGE and bool(moments or gone)
