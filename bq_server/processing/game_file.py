"""A game file that is applied at the start and again whenever it changes (`bq-server serve --game FILE`)."""

import asyncio
from pathlib import Path

import structlog

from bq_server.clock import Clock
from bq_server.events import Scope
from bq_server.game.document.check import check
from bq_server.processing.game_changes import DefaultMoved, GameChanges
from bq_server.store.audit_log import Act, Actor

log = structlog.get_logger("bq_server.game")

POLL_SECONDS = 0.5


class GameFile:
    """Keeps an environment's game in sync with a file."""

    def __init__(self, path: Path, scope: Scope, game_changes: GameChanges, clock: Clock) -> None:
        self._clock = clock
        self._path = path
        self._scope = scope
        self._game_changes = game_changes
        self._seen: bytes | None = None

    async def apply(self) -> bool:
        """Apply the file if it changed since the last time; returns whether the game now matches the file.

        Mistakes are logged, with their lines, and leave the game as it was.
        """
        try:
            text = await asyncio.to_thread(self._path.read_bytes)
        except OSError as error:
            log.error("game.unreadable", file=str(self._path), reason=error.strerror)
            self._seen = None
            return False
        if text == self._seen:
            return True
        self._seen = text
        checked = await asyncio.to_thread(check, text)
        for mistake in checked.mistakes:
            write = log.error if mistake.severity == "error" else log.warning
            write("game.mistake", file=str(self._path), mistake=str(mistake))
        if checked.game is None:
            return False
        act = Act("game_applied", self._scope, Actor(command="serve"), self._clock)
        try:
            plan = await self._game_changes.apply(self._scope, checked.game, act=act)
        except DefaultMoved as moved:
            log.error("game.mistake", file=str(self._path), mistake=f"currencies: {moved}")
            return False
        log.info(
            "game.applied",
            file=str(self._path),
            version=plan.version,
            added=len(plan.added),
            changed=len(plan.changed),
            removed=len(plan.removed),
        )
        return True

    async def watch(self) -> None:
        """Apply the file whenever it changes, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.apply()
