"""Counting anew what participants had received, after its sender was erased."""

from collections.abc import Sequence

from bq_server.clock import Clocks
from bq_server.events import Scope
from bq_server.ids import IdSource
from bq_server.processing.compiled_games import Games
from bq_server.processing.game_runner import GameRunner
from bq_server.processing.game_thread import GameThread
from bq_server.store.database import Connection


class RecipientRefold:
    """Recomputes the definitions that award others for some participants; what was awarded stays."""

    def __init__(self, games: Games, ids: IdSource, clocks: Clocks) -> None:
        self._games = games
        self._ids = ids
        self._clocks = clocks
        self._game_thread = GameThread()

    async def refold(self, connection: Connection, scope: Scope, participant_ids: Sequence[str]) -> None:
        """Do so in a transaction. Raises `GameUnreadable`."""
        game = await self._games.of(connection, scope)
        awarding = [rule.key for rule in game.rules.values() if rule.award_to is not None and not rule.keeps_nothing]
        if awarding:
            runner = GameRunner(connection, scope, game, self._ids, self._clocks.now(scope), self._game_thread)
            await runner.refold(participant_ids, awarding)
