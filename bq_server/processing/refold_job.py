"""Refolds: a changed definition is recomputed for every participant, in the background, a few at a time."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import structlog

from bq_server.clock import Clocks
from bq_server.concurrency.notifier import Notifier
from bq_server.events import Scope
from bq_server.ids import IdSource
from bq_server.processing.announcement_data import effect_of
from bq_server.processing.compiled_games import Games
from bq_server.processing.event_types import event_type_of
from bq_server.processing.game_runner import GameRunner
from bq_server.processing.game_thread import GameThread
from bq_server.store import feed, games, group_dues, participants
from bq_server.store.batch import Caused
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.feed import RECOMPUTED, NewNotice
from bq_server.store.games import Refold

log = structlog.get_logger("bq_server.processing.refold_job")

PAGE = 20
"""Participants per transaction: a few milliseconds, so that new facts hardly wait."""

RETRY_SECONDS = 1.0

MOST_EFFECTS = 50
"""In one notice: it is an event of the feed, and sent whole."""


class RefoldJob:
    """Carries out pending refolds, oldest first, from where the last process left off."""

    def __init__(self, database: Database, compiled: Games, ids: IdSource, clocks: Clocks) -> None:
        self._database = database
        self._games = compiled
        self._ids = ids
        self._clocks = clocks
        self._game_thread = GameThread()
        self.progress = Notifier()
        """Signalled after every page."""

    async def run(self) -> None:
        """Work until cancelled. A page that fails had no effect: it is retried, after the other refolds."""
        self._game_thread.start()
        while True:
            asked = self._database.outbox.next(games.REFOLDS)
            failed: set[str] = set()
            while (refold := await self._next(failed)) is not None:
                try:
                    await self._page(refold)
                except Exception as error:  # noqa: BLE001 - the store may be back in a moment
                    log.warning("refold.stalled", refold_id=refold.refold_id, reason=repr(error))
                    failed.add(refold.refold_id)
                self.progress.beat()
                await asyncio.sleep(0)
            if failed:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await asyncio.shield(asked)

    async def _next(self, but: Collection[str] = ()) -> Refold | None:
        try:
            async with self._database.read() as connection:
                found = await games.open_refolds(connection)
        except StoreUnavailable as error:
            log.warning("refold.stalled", reason=str(error))
            await asyncio.sleep(RETRY_SECONDS)
            self._database.outbox.beat([games.REFOLDS])
            return None
        return next((refold for refold in found if refold.refold_id not in but), None)

    async def _page(self, refold: Refold) -> None:
        async with self._database.transaction() as connection:
            page = await participants.after(connection, refold.scope, refold.after_participant, PAGE)
            if not page:
                await games.finish(connection, refold, self._clocks.now(refold.scope))
                connection.wakes.add(group_dues.NAME)  # nobody is told by a definition that is still counting
                log.info("refold.finished", refold_id=refold.refold_id, participants=refold.done)
                return
            game = await self._games.of(connection, refold.scope)
            now = self._clocks.now(refold.scope)
            runner = GameRunner(connection, refold.scope, game, self._ids, now, self._game_thread)
            caused = await runner.refold(page, refold.definitions, warn_until=refold.until_seq)
            await feed.add_notices(connection, list(_notices(refold.scope, caused, now)))
            await games.advance(connection, refold, page)


def _notices(scope: Scope, caused: Iterable[Caused], now: int) -> Iterator[NewNotice]:
    """What the feed tells of it: of each participant what webhooks tell, too."""
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for participant_id, fact_id, occurred_at, effects in caused:
        for each in effects:
            if event_type_of(each) is not None:
                told[participant_id].append(
                    effect_of(participant_id, fact_id, occurred_at, each) | {"fact_id": fact_id}
                )
    for participant_id, own in told.items():
        for start in range(0, len(own), MOST_EFFECTS):
            data = {"participant_id": participant_id, "effects": own[start : start + MOST_EFFECTS]}
            yield NewNotice(scope, RECOMPUTED, now, data, participant_id=participant_id)
