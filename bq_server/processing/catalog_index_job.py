"""Indexing names that are new to the catalogue, in the background, so that similar ones are found."""

import asyncio

import structlog

from bq_server.store import catalog
from bq_server.store.database import Database, StoreUnavailable

log = structlog.get_logger("bq_server.processing")

LOOK_SECONDS = 1.0
NAMES = 250
"""Names indexed per transaction: some ten milliseconds, on the connection's own thread."""


class CatalogIndexJob:
    """Indexes names. It costs nothing on the path of an event."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Index what is new, until cancelled."""
        while True:
            found = await self.look()
            await asyncio.sleep(0 if found == NAMES else LOOK_SECONDS)

    async def look(self) -> int:
        """Index some that are not yet indexed; returns how many, or 0 while the store can't be written."""
        try:
            async with self._database.read() as connection:
                names = await catalog.not_indexed(connection, NAMES)
            if names:
                async with self._database.transaction() as connection:
                    await catalog.index(connection, names)
        except StoreUnavailable as error:
            log.warning("catalog.not_indexed", reason=str(error))
            return 0
        return len(names)
