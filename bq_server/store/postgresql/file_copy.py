"""A store on PostgreSQL as one file, as of one moment, while a server writes to it; and a file as a new store there.

For commands: whoever calls this has nothing else to do meanwhile.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bq_server.store.backend import Backend, backend_of
from bq_server.store.database import Database
from bq_server.store.migrations import available
from bq_server.store.move_marks import require_in_use
from bq_server.store.queries import load
from bq_server.store.sqlite_file import PATIENCE_SECONDS
from bq_server.store.unavailable import StoreUnavailable
from bq_server.store.whole_tables import continue_numbering, tables_of

_copying = load("copying", "sqlite3")

_TABLES = """SELECT quote_ident(tablename) FROM pg_tables
WHERE schemaname = current_schema() AND tablename NOT IN ('schema_migrations', 'last_given') ORDER BY tablename"""
"""Those that are empty to begin with."""


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
            require_in_use(reading, ours.name)
            writing.execute("BEGIN IMMEDIATE")
            for table in tables_of(writing):
                insert = table.inserting(writing)
                for rows, _ in table.portions(reading):
                    insert(rows)
            continue_numbering(reading, writing)
            writing.execute("COMMIT")
            reading.execute("ROLLBACK")
    except (ours.error, theirs.error) as error:
        raise _unavailable(ours, theirs, error) from error


async def require_unused(url: str) -> None:
    """Create the tables there, and check that nobody serves from them and nothing is in them.

    Raises `StoreUnavailable`, and `SchemaTooNew`.
    """
    async with Database.open(url) as database:
        await database.hold()
        async with database.read_for_intake() as connection:
            await connection.run(partial(_require_empty, name=database.name))


@contextmanager
def filled_from_file(source: Path, url: str) -> Iterator[None]:
    """Fill an unused store with everything in a file of SQLite: it is there when the block has ended, or nothing is.

    Both have the newest schema. Raises `StoreUnavailable`.
    """
    ours, theirs = backend_of(source), backend_of(url)
    try:
        with closing(ours.connect(PATIENCE_SECONDS)) as reading, closing(theirs.connect(PATIENCE_SECONDS)) as writing:
            theirs.hold(writing)
            writing.execute("BEGIN IMMEDIATE")
            _require_empty(writing, theirs.name)
            for table in tables_of(reading):
                insert = table.inserting(writing)
                for rows, _ in table.portions(reading):
                    insert(rows)
            continue_numbering(reading, writing)
            yield
            writing.execute("COMMIT")
    except (ours.error, theirs.error) as error:
        raise _unavailable(ours, theirs, error) from error


def _require_empty(connection: Any, name: str) -> None:
    for (table,) in connection.execute(_TABLES).fetchall():
        if connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None:  # noqa: S608 - as PostgreSQL says
            raise StoreUnavailable(f"{name} is not empty ({table}): name a database that is")


def _unavailable(ours: Backend, theirs: Backend, error: Exception) -> StoreUnavailable:
    failed = ours if isinstance(error, ours.error) else theirs
    return failed.unavailable(error, for_commands=True)


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
