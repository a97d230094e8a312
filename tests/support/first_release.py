"""The database that the first release left behind, and what that release answered about it.

Both were made on that release's code by `python -m tests.fixtures.make_first_release` of commit 3f3a97e, the same
bytes each time. That program can't run on other code, so it is in that commit only.
"""

import gzip
import json
from pathlib import Path
from typing import Any

from bq_server.clock import Clocks
from bq_server.ids import IdSource
from bq_server.processing.compiled_games import Games
from bq_server.processing.refold_job import RefoldJob
from bq_server.store import games, sqlite
from bq_server.store.database import Database

FIXTURES = Path(__file__).parent.parent / "fixtures"


def restore(path: Path) -> None:
    """Make the database of the first release at `path`, its schema not yet migrated."""
    connection = sqlite.connect(str(path))
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.executescript(gzip.decompress((FIXTURES / "first_release.sql.gz").read_bytes()).decode())
    connection.close()


def told() -> dict[str, Any]:
    """What was `asked`, and the `answers`; `resumed` are those to the same after the refold that was killed had ended.

    See `tests.support.answers` for their shape.
    """
    found: dict[str, Any] = json.loads(gzip.decompress((FIXTURES / "first_release.json.gz").read_bytes()))
    return found


RESUMED = ("states", "rankings", "definitions", "verify")
"""What is compared after the refold."""


async def resume(path: Path, now: int) -> None:
    """Carry out the refolds that are open, at a moment that stands still."""
    async with Database.open(path) as database:
        clocks = Clocks(lambda: now)
        refold_job = RefoldJob(database, Games(), IdSource(clocks.real), clocks)
        while True:
            async with database.read() as connection:
                found = await games.open_refolds(connection)
            if not found:
                return
            await refold_job._page(found[0])
