"""The schema's history: numbered SQL files, each run once, in order, in its own transaction."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from importlib.resources import files
from typing import TYPE_CHECKING

from bq_server.store.migrations.conversion import carry_over
from bq_server.store.migrations.older_facts import fill_checksums

if TYPE_CHECKING:
    from bq_server.store.database import Connection

BEFORE: Mapping[int, Callable[["Connection"], Awaitable[None]]] = {5: carry_over, 11: fill_checksums}
"""What runs before a migration, by its number, because it takes too long for one transaction. It can be resumed."""


class SchemaTooNew(Exception):
    """The database was written by a newer program than this one."""


class SchemaTooOld(Exception):
    """The database needs migrations that must not run now."""


Migration = tuple[int, str, str]
"""Number, file name and SQL."""

_FILE = re.compile(r"(\d{4})_\w+\.sql")


def available(package: str = __name__) -> list[Migration]:
    """Every migration among the files of a package, lowest number first."""
    scripts = ((_FILE.fullmatch(path.name), path) for path in files(package).iterdir())
    return sorted((int(found[1]), path.name, path.read_text("utf-8")) for found, path in scripts if found)


def due(had: Set[int], known: Sequence[Migration], *, allowed: bool) -> list[Migration]:
    """Those of the known ones that a database has not had. Raises `SchemaTooNew` and `SchemaTooOld`."""
    newest = known[-1][0]
    if had and max(had) > newest:
        raise SchemaTooNew(
            f"the database has schema version {max(had)}, and this bq-server knows versions up to {newest}: "
            "run the bq-server that wrote it, or a newer one"
        )
    found = [each for each in known if each[0] not in had]
    if found and not allowed:
        raise SchemaTooOld(
            "the database is older than this bq-server and in use by another one: stop that server and start this one"
        )
    return found


async def migrate(connection: "Connection", *, allowed: bool = True) -> None:
    """Run the migrations this database has not had yet.

    Raises, and changes nothing: `SchemaTooNew` when the database has had one that this program does not know,
    `SchemaTooOld` when one is due and not `allowed`.
    """
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)"
    )
    async with connection.execute("SELECT version FROM schema_migrations") as cursor:
        had = {row[0] for row in await cursor.fetchall()}
    for version, name, sql in due(had, available(), allowed=allowed):
        if version in BEFORE:
            await BEFORE[version](connection)
        record = f"INSERT INTO schema_migrations (version, name) VALUES ({version}, '{name}')"  # noqa: S608 - our own file's name
        try:
            await connection.executescript(f"BEGIN IMMEDIATE;\n{sql}\n{record};\nCOMMIT;")
        except BaseException:
            if connection.in_transaction:
                await connection.execute("ROLLBACK")
            raise
