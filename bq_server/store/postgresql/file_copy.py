"""A store on PostgreSQL as one file, as of one moment, while a server writes to it.

For commands: whoever calls this has nothing else to do meanwhile.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

from bq_server.store.backend import backend_of
from bq_server.store.database import Database
from bq_server.store.migrations import available
from bq_server.store.queries import load
from bq_server.store.settled import require_settled
from bq_server.store.sqlite_file import PATIENCE_SECONDS
from bq_server.store.unavailable import StoreUnavailable
from bq_server.store.whole_tables import continue_numbering, tables_of

_copying = load("copying", "sqlite3")


async def copy_to_file(url: str, target: Path) -> None:
    """Write everything there to a new file of SQLite. Nobody has to wait. Raises `StoreUnavailable`."""
    async with Database.open(target):
        pass  # it now has the newest schema
    _fill(url, target)


def _fill(url: str, target: Path) -> None:
    ours, theirs = backend_of(url), backend_of(target)
    try:
        with closing(ours.connect(PATIENCE_SECONDS)) as reading, closing(theirs.connect(PATIENCE_SECONDS)) as writing:
            reading.execute("BEGIN")
            _require_newest(reading, ours.name)
            require_settled(reading, ours.name)
            writing.execute("BEGIN IMMEDIATE")
            for table in tables_of(writing):
                insert = table.inserting(writing)
                for rows, _ in table.portions(reading):
                    insert(rows)
            continue_numbering(reading, writing)
            writing.execute("COMMIT")
            reading.execute("ROLLBACK")
    except (ours.error, theirs.error) as error:
        failed = ours if isinstance(error, ours.error) else theirs
        raise failed.unavailable(error, for_commands=True) from error


def _require_newest(connection: Any, name: str) -> None:
    """Check that the file, which has the newest schema, can hold everything."""
    if not _copying.has_table(connection, name="schema_migrations"):
        raise StoreUnavailable(f"{name}: there is no store yet: name the one of the server, or start it once")
    newest, found = available()[-1][0], _copying.schema_version(connection)
    if found != newest:
        raise StoreUnavailable(
            f"{name} has schema version {found}, and this bq-server reads version {newest}: "
            "take the backup with the program that serves from it"
        )
