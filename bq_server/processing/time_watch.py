"""Watching for what the passing of time alone causes: streaks that break, points that expire."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from bq_server.clock import Clocks
from bq_server.events import Scope
from bq_server.ids import IdSource
from bq_server.moments import SECOND
from bq_server.processing.compiled_games import Games
from bq_server.processing.processor import Processor
from bq_server.store.database import Database, StoreUnavailable

log = structlog.get_logger("bq_server.processing.time_watch")

REST_SECONDS = 0.2
"""Pause between two transactions: new facts come first."""

LOOK_SECONDS = 60.0
"""Longest wait before looking again, in case no signal says that there is something to watch."""


class FactMaker:
    """Makes facts of what no event announces, by the environments' clocks."""

    def __init__(self, database: Database, games: Games, clocks: Clocks, processor: Processor, ids: IdSource) -> None:
        self._database = database
        self._games = games
        self._clocks = clocks
        self._processor = processor
        self._ids = ids


def seconds_until(due: int | None, clocks: Clocks, scope: Scope) -> float:
    """How long until a moment by an environment's clock, but not beyond the next look.

    A clock that stands still doesn't get there.
    """
    if due is None or clocks.stands_still(scope):
        return LOOK_SECONDS
    return min(LOOK_SECONDS, max((due - clocks.now(scope)) / SECOND, 0.0))


async def watch(database: Database, name: str, look: Callable[[], Awaitable[float]]) -> None:
    """Look until cancelled: when it is time, or when a commit signals `name`.

    `look` returns the seconds until there is more to do.
    """
    while True:
        beat = database.outbox.next(name)
        wait = LOOK_SECONDS
        try:
            wait = await look()
        except StoreUnavailable as error:
            log.warning("watch.stalled", watched=name, reason=str(error))
        except Exception as error:
            log.error("watch.stalled", watched=name, exc_info=error)
        if wait > 0:
            with suppress(TimeoutError):  # not `wait_for`: before Python 3.12 it forgets a cancellation
                async with asyncio.timeout(wait):
                    await asyncio.shield(beat)
        await asyncio.sleep(REST_SECONDS)
