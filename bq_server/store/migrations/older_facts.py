"""Between two migrations: older facts get what newer ones are written with.

In portions, each in its own transaction, so that a killed process continues where it was.
"""

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog

from bq_server.store import checksums
from bq_server.store.migrations.conversion import PORTION, TELL_SECONDS, transaction

if TYPE_CHECKING:
    from bq_server.store.database import Connection

log = structlog.get_logger("bq_server.store.migrations")


async def fill_checksums(connection: "Connection") -> None:
    """Give every fact a checksum. Raises the database's own errors; then it may be called again."""
    done, told = 0, monotonic()
    while count := await connection.run(partial(_portion, limit=PORTION)):
        done += count
        if monotonic() - told >= TELL_SECONDS:
            told = monotonic()
            log.info("migration.filling", what="checksums", done=done)


def _portion(connection: Any, limit: int) -> int:
    with transaction(connection):
        return checksums.fill(connection, limit)
