"""Names that are new to the catalogue, made to be found by those that are close to them, beside all else."""

import asyncio

import structlog

from bq_server.store import catalog
from bq_server.store.database import Database, StoreUnavailable

log = structlog.get_logger("bq_server.processing")

LOOK_SECONDS = 1.0
NAMES = 250
"""Names indexed in one transaction: some ten milliseconds, on the connection's own thread."""


class CatalogIndexJob:
    """Indexes names. The path of an event pays nothing for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Index what is new, until cancelled."""
        while True:
            found = await self.look()
            await asyncio.sleep(0 if found == NAMES else LOOK_SECONDS)

    async def look(self) -> int:
        """Index some names that are not yet, and answer how many; 0 also while the store can't be written."""
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
