"""Looking for damage in the database: every page is read at the start and once a day, when there is little to do."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import structlog

from bq_server.store import sqlite
from bq_server.store.queries import load
from bq_server.store.sqlite_file import explained
from bq_server.store.unavailable import StoreUnavailable

log = structlog.get_logger("bq_server.store.damage")

EVERY_SECONDS = 24 * 3600.0

QUIET_SECONDS = 2.0
"""Little is to do when nothing has moved for so long."""

MOST_QUIET_SECONDS = 600.0
"""How long such a moment is waited for."""

_queries = load("damage", "sqlite3")


class Search:
    """One look at every page, table by table: between two of them the write-ahead log may be copied back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: Any = None
        self._ended = False

    def run(self) -> str | None:
        """The first thing that is wrong, or None. Takes as long as reading the file. Raises `StoreUnavailable`."""
        try:
            with closing(sqlite.connect(str(self._path), same_thread=False)) as connection:
                self._connection = connection
                for (name,) in [*_queries.tables(connection)]:
                    if self._ended:
                        break
                    found: str = _queries.damage_of(connection, name=name)
                    if found != "ok":
                        said = " ".join(found.replace("*** in database main ***", "").split())
                        return f"{self._path}: {said}: restore a backup"
                return None
        except sqlite.Error as error:
            if self._ended:
                return None
            raise explained(self._path, error) from error

    def end(self) -> None:
        """Break it off, from another thread."""
        self._ended = True
        if self._connection is not None:
            self._connection.interrupt()


class DamageWatch:
    """Searches in the background."""

    def __init__(self, path: Path | None, moved: Callable[[], object]) -> None:
        """`moved`: anything that changes with every message. Without a file, its server looks after the pages."""
        self._path = path
        self._moved = moved
        self.problem: str | None = None
        """What is wrong with the database, as far as is known."""

    async def run(self) -> None:
        """Search until cancelled."""
        while self._path is not None:
            await self._quiet()
            await self._search(self._path)
            await asyncio.sleep(EVERY_SECONDS)

    async def _search(self, path: Path) -> None:
        search = Search(path)
        try:
            self.problem = await asyncio.to_thread(search.run)
        except asyncio.CancelledError:
            search.end()
            raise
        except StoreUnavailable as error:
            self.problem = str(error)
        except RuntimeError as error:  # no thread for it now: so not today
            log.warning("store.not_searched", reason=str(error))
        if self.problem is not None:
            log.critical("store.damaged", reason=self.problem)

    async def _quiet(self) -> None:
        """Wait for a moment with little to do, but not for ever."""
        loop = asyncio.get_running_loop()
        until = loop.time() + MOST_QUIET_SECONDS
        before = object()
        while (now := self._moved()) != before and loop.time() < until:
            before = now
            await asyncio.sleep(QUIET_SECONDS)
