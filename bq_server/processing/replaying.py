"""Replaying: everything that follows from facts is written anew, and awards given before stay."""

from collections.abc import AsyncIterator
from dataclasses import replace

from bq_server.clock import Clock
from bq_server.events import Scope
from bq_server.game.compiled import CompiledGame
from bq_server.game.effects import PointsChanged
from bq_server.game.rebuilding import Rebuilt, Story, rebuild, sound
from bq_server.ids import IdSource
from bq_server.processing.games import Games
from bq_server.processing.verifying import PAGE, Stored, everyone, is_stray, load, rankings
from bq_server.store import participants, state
from bq_server.store.database import Connection, Database
from bq_server.store.state import Entry, Place


class Replaying:
    """Writes state anew, one participant in one transaction, so that it can be stopped and begun again.

    Nobody else may write meanwhile.
    """

    def __init__(self, database: Database, ids: IdSource, clock: Clock) -> None:
        self._database = database
        self._ids = ids
        self._clock = clock
        self._games = Games()

    async def participants(self, scope: Scope) -> AsyncIterator[bool]:
        """Go through every participant of an environment; answer for each whether anything was written.

        Raises `StoreUnavailable`; the participants before stay replayed.
        """
        async for participant_id in everyone(self._database, scope):
            async with self._database.transaction() as connection:
                stored = await load(connection, scope, participant_id, self._games)
                changed = await self._cells(connection, scope, stored)
                changed += await self._total(connection, scope, stored)
            yield changed > 0

    async def strays(self, scope: Scope) -> int:
        """Take the places off the rankings that no cell gives; answer how many. Raises `StoreUnavailable`."""
        place, removed = None, 0
        while True:
            async with self._database.transaction() as connection:
                game = await self._games.of(connection, scope)
                page = await state.places_after(connection, scope, place, PAGE)
                strays = [replace(each, score=None) for each, text in page if is_stray(game, each, text)]
                await state.put_places(connection, scope, strays)
            removed += len(strays)
            if not page:
                return removed
            place = page[-1][0]

    async def _cells(self, connection: Connection, scope: Scope, stored: Stored) -> int:
        cells = sound(stored.game, Story.of(stored.facts), stored.cells)
        rebuilt = rebuild(stored.game, stored.facts, cells, stored.ledger, stored.doubtful)
        changed = {key: cell for key, cell in rebuilt.cells.items() if stored.cells.get(key) != cell}
        changed |= dict.fromkeys(stored.cells.keys() - rebuilt.cells.keys())
        await state.put_cells(connection, scope, {stored.participant_id: changed})
        places = _places(stored.game, stored, rebuilt)
        await state.put_places(connection, scope, places)
        return len(changed) + len(places) + await self._ledger(connection, scope, stored, rebuilt)

    async def _ledger(self, connection: Connection, scope: Scope, stored: Stored, rebuilt: Rebuilt) -> int:
        where = (connection, scope, stored.participant_id)
        entries = {entry.cause: (entry, seq) for entry, seq in stored.entries}
        missing = {effect.cause: effect for effect in rebuilt.missing}
        mended, added, balance = [], [], 0
        for each in rebuilt.ledger:
            balance += each.amount
            if each.cause in missing:
                added.append((stored.participant_id, each.seq, self._entry(missing[each.cause], balance)))
                continue
            entry, seq = entries[each.cause]
            right = replace(entry, amount=each.amount, balance=balance, occurred_at=each.occurred_at)
            if (right, each.seq) != (entry, seq):
                mended.append((right, each.seq))
        unfounded = entries.keys() - {each.cause for each in rebuilt.ledger}
        await state.remove_entries(*where, unfounded)
        await state.mend_entries(*where, mended)
        await state.add_entries(connection, scope, added)
        return len(unfounded) + len(mended) + len(added)

    async def _total(self, connection: Connection, scope: Scope, stored: Stored) -> int:
        known = stored.total_events is not None or not stored.facts
        if known and (stored.total_events or 0) == stored.events:
            return 0
        since = min((fact.received_at for fact in stored.facts), default=self._clock())
        await participants.put_total_events(connection, scope, stored.participant_id, stored.events, since)
        return 1

    def _entry(self, effect: PointsChanged, balance: int) -> Entry:
        return Entry(
            self._ids.new("txn"),
            effect.cause,
            effect.amount,
            balance,
            effect.fact_id,
            effect.occurred_at,
            self._clock(),
        )


def _places(game: CompiledGame, stored: Stored, rebuilt: Rebuilt) -> list[Place]:
    """The places that are not as the rebuilt cells give them."""
    given = rankings(game, stored.participant_id, rebuilt.cells)
    missing = [Place(*ranking, stored.participant_id, None, None) for ranking in stored.places.keys() - given.keys()]
    return missing + [
        Place(*ranking, stored.participant_id, each.score, each.reached_at)
        for ranking, each in given.items()
        if each.score is not None and not _is(stored.places.get(ranking), each.score, each.reached_at)
    ]


def _is(place: Place | None, score: float, reached_at: int | None) -> bool:
    return place is not None and (place.score, place.reached_at) == (score, reached_at)
