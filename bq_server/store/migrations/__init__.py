"""The schema's history: numbered SQL files, each run once, in order, in its own transaction."""

from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

from bq_server.store.migrations.conversion import carry_over
from bq_server.store.migrations.filling import fill_checksums

if TYPE_CHECKING:
    from bq_server.store.database import Connection

BEFORE: Mapping[int, Callable[["Connection"], Awaitable[None]]] = {5: carry_over, 11: fill_checksums}
"""What runs before a migration, by its number, because it takes too long for one transaction. It can be resumed."""


class SchemaTooNew(Exception):
    """The database was written by a newer program than this one."""


def available() -> list[tuple[int, str, str]]:
    """Every migration as (number, file name, SQL), lowest number first."""
    scripts = [path for path in files(__name__).iterdir() if path.name.endswith(".sql")]
    return sorted((int(path.name.split("_")[0]), path.name, path.read_text("utf-8")) for path in scripts)


class SchemaTooOld(Exception):
    """The database needs migrations that must not run now."""


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
    known = available()
    newest = known[-1][0]
    if had and max(had) > newest:
        raise SchemaTooNew(
            f"the database has schema version {max(had)}, and this bq-server knows versions up to {newest}: "
            "run the bq-server that wrote it, or a newer one"
        )
    for version, name, sql in known:
        if version in had:
            continue
        if not allowed:
            raise SchemaTooOld(
                "the database is older than this bq-server and in use by another: stop that server and start this one"
            )
        if version in BEFORE:
            await BEFORE[version](connection)
        record = f"INSERT INTO schema_migrations (version, name) VALUES ({version}, '{name}')"  # noqa: S608 - our own file's name
        try:
            await connection.executescript(f"BEGIN IMMEDIATE;\n{sql}\n{record};\nCOMMIT;")
        except BaseException:
            if connection.in_transaction:
                await connection.execute("ROLLBACK")
            raise
