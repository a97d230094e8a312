"""The compiled game of each environment, kept until the stored one has another version."""

import asyncio

import structlog
from pydantic import ValidationError

from bq_server.events import Scope
from bq_server.game.compiled_game import CompiledGame, compile_game
from bq_server.game.document.definitions import Game
from bq_server.processing.faults import GameUnreadable, is_passing
from bq_server.refusals import field_errors
from bq_server.store import games, received_facts
from bq_server.store.database import Connection

log = structlog.get_logger("bq_server.processing.compiled_games")

MOST_REASONS = 3
"""Most mistakes listed as the reason why a game can't be read."""


class Games:
    """Compiled games by environment. Safe on any connection: each call uses the version it sees."""

    def __init__(self) -> None:
        self._compiled: dict[Scope, tuple[int, CompiledGame]] = {}
        self.unreadable: dict[Scope, GameUnreadable] = {}
        """Those that could not be compiled when they were last needed."""

    async def of(self, connection: Connection, scope: Scope) -> CompiledGame:
        """The game in force; one without definitions if none was applied. Raises `GameUnreadable`."""
        return await self.at(connection, scope, await games.version(connection, scope))

    async def at(self, connection: Connection, scope: Scope, version: int) -> CompiledGame:
        """The game in force, whose version is this one. Raises `GameUnreadable`."""
        known = self._compiled.get(scope)
        if known is not None and known[0] == version:
            return known[1]
        try:
            compiled = await self._compile(connection, scope)
        except Exception as error:
            if is_passing(error):
                raise
            unreadable = GameUnreadable(scope, _reason(error))
            if scope not in self.unreadable:
                log.error("game.unreadable", project=scope.project, environment=scope.environment, reason=repr(error))
            self.unreadable[scope] = unreadable
            raise unreadable from error
        self.keep(scope, version, compiled)
        return compiled

    def keep(self, scope: Scope, version: int, compiled: CompiledGame) -> None:
        """Know what that version of the environment's game is when it is next needed."""
        self._compiled[scope] = (version, compiled)
        self.unreadable.pop(scope, None)

    async def _compile(self, connection: Connection, scope: Scope) -> CompiledGame:
        found, has_received = await connection.run(
            lambda reading: (games.in_force(reading, scope), received_facts.has_any(reading))
        )

        def compiled() -> CompiledGame:
            document = Game() if found.stored is None else Game.model_validate_json(found.stored.document)
            return compile_game(document, found.applied, found.pending, has_received=has_received)

        # In a thread: thousands of definitions take long enough to delay others.
        return await asyncio.to_thread(compiled)


def _reason(error: Exception) -> str:
    """What the document contains that this program doesn't know, in one line."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{each.field}: {each.detail}" for each in field_errors(error)[:MOST_REASONS])
    return f"{error!r}".partition("\n")[0]
