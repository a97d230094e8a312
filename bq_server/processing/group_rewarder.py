"""Challenges that groups share: when a group has come to a step, a fact for each member who took part."""

from collections.abc import Sequence
from fractions import Fraction
from functools import partial

from bq_server.events import Event, Scope
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import SHARED_CHALLENGE_REACHED
from bq_server.game.mechanics.shared_challenges import SharedChallengeRule
from bq_server.processing.faults import GameUnreadable
from bq_server.processing.time_watch import LOOK_SECONDS, FactMaker, watch
from bq_server.store import group_dues, state
from bq_server.store.database import Connection
from bq_server.store.group_dues import GroupDue

PAGE = 50
"""Members in one transaction."""

Told = tuple[GroupDue, Fraction]
"""A member, and how far the group has come, as a fraction of the whole."""


class GroupRewarder(FactMaker):
    """Tells members how far their groups have come, each step once.

    Whoever is due is in the store, and what is told is a fact in the transaction that removes it there; whether it was
    told before, the participant's own state says. So each is told exactly once, however often a server is killed.
    """

    async def run(self) -> None:
        """Work until cancelled."""
        await watch(self._database, group_dues.NAME, self._look_everywhere)

    async def look(self, scope: Scope) -> None:
        """Tell everybody in the environment who is due. Raises `StoreUnavailable`."""
        while await self._look(scope):
            pass

    async def _look_everywhere(self) -> float:
        """Tell some members of each environment; returns the seconds until there is more to do."""
        async with self._database.read() as connection:
            scopes = await connection.run(group_dues.scopes)
        more = [scope for scope in scopes if await self._look(scope)]
        return 0.0 if more else LOOK_SECONDS

    async def _look(self, scope: Scope) -> bool:
        """Look at some members who are due; returns whether there may be more."""
        async with self._database.read() as connection:
            if not await connection.run(partial(group_dues.due, scope=scope, limit=1)):
                return False
        async with self._database.transaction() as connection:
            try:
                game = await self._games.of(connection, scope)
            except GameUnreadable:
                return False
            if any(isinstance(game.rules.get(key), SharedChallengeRule) for key in game.pending):
                return False  # what the members add up to is still being counted; the end of that wakes us
            page = await connection.run(partial(group_dues.due, scope=scope, limit=PAGE))
            await connection.run(partial(group_dues.remove, some=page))
            events = [
                await self._event(connection, scope, each, at)
                for each, at in await _steps(connection, scope, game, page)
            ]
            if events:
                await self._processor.process_within(connection, events)
        return bool(page)

    async def _event(self, connection: Connection, scope: Scope, due: GroupDue, at: Fraction) -> Event:
        """What a member is told, as of the newest event that added something."""
        now = self._clocks.now(scope)
        newest = await connection.run(partial(group_dues.newest, due=due))
        return Event.of_system(
            self._ids.new("evt"),
            scope,
            SHARED_CHALLENGE_REACHED,
            due.participant_id,
            {"challenge_code": due.challenge_code, "group": due.group, "at": float(at)},
            occurred_at=now if newest is None else newest,
            received_at=now,
        )


async def _steps(connection: Connection, scope: Scope, game: CompiledGame, page: Sequence[GroupDue]) -> list[Told]:
    """Who of those who are due is to be told what: of several groups, the one that has come furthest."""
    found: dict[tuple[str, str], Told] = {}
    for due in page:
        rule = game.rules.get(f"challenge/{due.challenge_code}")
        if not isinstance(rule, SharedChallengeRule):
            continue
        at = rule.reached(due.total)
        # Whoever took part earlier is looked at as well, once.
        await connection.run(
            partial(group_dues.come_to, due=due, revision=rule.revision, reached=None if at is None else str(at))
        )
        if at is None or not await connection.run(partial(group_dues.took_part, due=due)):
            continue
        cells = await state.cells(connection, scope, due.participant_id)
        key = due.participant_id, due.challenge_code
        if rule.lacks(at, cells.get(rule.cell)) and (key not in found or found[key][1] < at):
            found[key] = due, at
    return list(found.values())
