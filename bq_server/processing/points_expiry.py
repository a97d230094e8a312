"""Expiring points. No event announces them, so each environment is checked by its own clock, and facts are made."""

from functools import partial

from bq_server.events import Event, Scope
from bq_server.game.facts import POINTS_EXPIRED
from bq_server.game.mechanics.account import by_currency
from bq_server.game.mechanics.expiry import NEVER, expired, left
from bq_server.processing.faults import GameUnreadable
from bq_server.processing.hooks import Look
from bq_server.processing.participant_cells import stored_ledger
from bq_server.processing.time_watch import LOOK_SECONDS, FactMaker, seconds_until, watch
from bq_server.store import expiring_points, participants
from bq_server.store.aliases import story_of
from bq_server.store.database import Connection

PAGE = 20
"""Participants in one transaction."""


class PointsExpirer(FactMaker):
    """Turns expiring points into facts."""

    async def run(self) -> None:
        """Work until cancelled."""
        await watch(self._database, expiring_points.NAME, self._look_everywhere)

    async def look(self, scope: Scope) -> None:
        """Let everything that is due in the environment expire. Raises `StoreUnavailable`."""
        while await self._look(scope):
            pass

    def before_spending(self, scope: Scope, participant_id: str) -> Look:
        """Expires what is due before points are spent: the background job may not have got to it yet."""

        async def look(connection: Connection) -> None:
            await self.expire(connection, scope, participant_id)

        return look

    async def expire(self, connection: Connection, scope: Scope, participant_id: str) -> None:
        """Let a participant's due points expire, in a transaction; the result can then be read in it."""
        game = await self._games.of(connection, scope)
        expiring = game.treasury.expiries
        if not expiring:
            return
        participant_id = await story_of(connection, scope, participant_id)
        reference = await participants.reference(connection, scope, participant_id)
        if reference is None:
            return
        now = self._clocks.now(scope)
        ledger = by_currency(await stored_ledger(connection, reference))
        events = [
            Event.of_system(
                self._ids.new("evt"),
                scope,
                POINTS_EXPIRED,
                participant_id,
                _told(each.amount, currency),
                occurred_at=each.expires_at,
                received_at=now,
            )
            for currency, expiry in expiring.items()
            for each in expired(expiry, ledger.get(currency, ()), now)
        ]
        if events:
            await self._processor.process_within(connection, events)
        kept = [each for currency, expiry in expiring.items() for each in left(expiry, ledger.get(currency, ()))]
        due = min((each.expires_at for each in kept if each.expires_at > now), default=NEVER)
        if due != NEVER:
            await connection.run(partial(expiring_points.watch, scope=scope, moments={participant_id: due}))

    async def _look_everywhere(self) -> float:
        """Look at some participants of each environment; returns the seconds until there is more to do."""
        async with self._database.read() as connection:
            scopes = await connection.run(expiring_points.scopes)
        wait = LOOK_SECONDS
        for scope in scopes:
            if await self._look(scope):
                return 0.0
            async with self._database.read() as connection:
                due = await connection.run(partial(expiring_points.next_due, scope=scope))
            wait = min(wait, seconds_until(due, self._clocks, scope))
        return wait

    async def _look(self, scope: Scope) -> bool:
        """Look at some participants who are due; returns whether there may be more."""
        now = self._clocks.now(scope)
        async with self._database.read() as connection:
            due = await connection.run(partial(expiring_points.next_due, scope=scope))
        if due is None or due > now:
            return False
        async with self._database.transaction() as connection:
            page = await connection.run(partial(expiring_points.due, scope=scope, now=now, limit=PAGE))
            try:
                for participant_id in page:
                    # If nothing expires any more, there is no next time to look.
                    forget = partial(expiring_points.forget, scope=scope, participant_id=participant_id)
                    await connection.run(forget)
                    await self.expire(connection, scope, participant_id)
            except GameUnreadable:
                return False
        return len(page) == PAGE


def _told(amount: int, currency: str | None) -> dict[str, object]:
    """The properties of the fact."""
    return {"amount": amount} if currency is None else {"amount": amount, "currency": currency}
