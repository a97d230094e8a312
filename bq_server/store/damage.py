"""Looking for damage in the database: every page is read after the start and once a day, in quiet moments."""

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
"""A quiet moment: nothing has moved for this long."""

MOST_QUIET_SECONDS = 600.0
"""How long to wait for such a moment."""

_queries = load("damage", "sqlite3")


class Search:
    """One check of every page, table by table: in between, the write-ahead log may be copied back."""

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
        """Interrupt it, from another thread."""
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
        """What is wrong with the database, as far as known."""

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
        except RuntimeError as error:  # no thread for it now: skip it today
            log.warning("store.not_searched", reason=str(error))
        if self.problem is not None:
            log.critical("store.damaged", reason=self.problem)

    async def _quiet(self) -> None:
        """Wait for a quiet moment, but not for ever."""
        loop = asyncio.get_running_loop()
        until = loop.time() + MOST_QUIET_SECONDS
        before = object()
        while (now := self._moved()) != before and loop.time() < until:
            before = now
            await asyncio.sleep(QUIET_SECONDS)
