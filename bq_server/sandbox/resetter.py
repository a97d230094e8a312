"""Emptying a test environment."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any

from pydantic import ValidationError

from bq_server.clock import Clocks, OwnClock
from bq_server.events import Scope
from bq_server.game.document.definitions import Game
from bq_server.ingest.unavailable import unavailable
from bq_server.moments import format_timestamp
from bq_server.processing.contest_freezer import watch_contests
from bq_server.sandbox.drain import Drain
from bq_server.store import contests, environments, feed, games, webhooks
from bq_server.store.audit_log import Act
from bq_server.store.database import Connection, Database
from bq_server.store.feed import NewNotice
from bq_server.stream.backlog import Backlog

_Record = Callable[[Connection], Awaitable[None]]

ROWS = 10_000
"""Removed in one transaction: others wait for the store no longer than they would for a large batch."""


class Resetter:
    """Resets environments. Raises `Refusal` as `Drain` does; then little or nothing was removed."""

    def __init__(
        self,
        database: Database,
        backlog: Backlog,
        drain: Drain,
        clocks: Clocks,
        resets: MutableMapping[Scope, int],
    ) -> None:
        self._database = database
        self._backlog = backlog
        self._drain = drain
        self._clocks = clocks
        self._resets = resets

    async def reset(self, act: Act, scope: Scope, *, game: bool, seconds: float, clock: OwnClock | None = None) -> None:
        """Empty the environment (see `empty`), and give it that clock, or return it to the real one."""
        about: dict[str, Any] = {"game": game}
        if clock is not None:
            about |= {"now": format_timestamp(clock.now(self._clocks.real())), "frozen": clock.frozen}
        await self.empty(act, about, scope, game=game, seconds=seconds, keep_clock=False, clock=clock)

    async def empty(
        self,
        act: Act,
        about: Mapping[str, Any],
        scope: Scope,
        *,
        game: bool,
        seconds: float,
        keep_clock: bool,
        clock: OwnClock | None = None,
    ) -> None:
        """Remove every fact and everything that follows from facts, and with `game` the game.

        `about` is what the audit log records about the act. `seconds` is how long to wait for what was accepted before,
        so that none of it turns up afterwards. Unless its clock is kept, the environment gets `clock`, or the real one.
        """
        drained = await self._drain.wait(scope, seconds)
        with unavailable("The environment can't be reset"):
            dead = await self._drain.dead(scope) if drained.dead else ()
            # With the first that is removed: what follows may be interrupted.
            record: _Record | None = partial(act.keep, **about)
            while not await self._remove(scope, record, game=game, keep_clock=keep_clock, clock=clock):
                record = None
            await self._backlog.remove_dead(dead)

    async def _remove(
        self, scope: Scope, record: _Record | None, *, game: bool, keep_clock: bool, clock: OwnClock | None
    ) -> bool:
        """Remove some of what is there, or the last of it and all the rest; whether nothing is left.

        `record` records the act in the same transaction.
        """
        async with self._database.transaction() as connection:
            if record is not None:
                await record(connection)
            if await environments.remove_oldest_facts(connection, scope, ROWS) == ROWS:
                return False
            if await environments.remove_consequences(connection, scope, ROWS) == ROWS:
                return False
            if await webhooks.remove_of_environment(connection, scope, ROWS) == ROWS:
                return False
            resets = await environments.empty(connection, scope, game=game)
            await self._forget_contests(connection, scope, anew=not game and not keep_clock)
            if not keep_clock:
                await environments.put_clock(connection, scope, clock)
            if game and await games.current(connection, scope) is not None:
                # An empty game instead of none: versions must keep counting, since compiled games are cached by them.
                empty = Game().model_dump_json(exclude_defaults=True)
                await games.put(connection, scope, empty, {}, self._clocks.now(scope))
            else:
                await games.bump_version(connection, scope)
            now = self._clocks.now(scope)
            await feed.add_notices(connection, [NewNotice(scope, "environment.reset", now, {"game_removed": game})])
        if not keep_clock:
            self._clocks.put(scope, clock)
        self._resets[scope] = resets
        return True

    async def _forget_contests(self, connection: Connection, scope: Scope, *, anew: bool) -> None:
        """Forget which results were frozen; freeze them `anew` when it is time, as an import does itself at its end."""
        await contests.remove_all(connection, scope)
        stored = await games.current(connection, scope) if anew else None
        if stored is not None and '"contests"' in stored.document:
            with suppress(ValidationError):  # a game that can't be read: whoever applies another sees to it
                await watch_contests(connection, scope, Game.model_validate_json(stored.document))
