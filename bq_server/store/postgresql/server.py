"""The store on a PostgreSQL server."""

import ssl
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from asyncpg.exceptions import ClientConfigurationError

from bq_server.store.migrations import available, due
from bq_server.store.postgresql.connection import PostgresConnection, PostgresRefused
from bq_server.store.sqlite_file import PATIENCE_SECONDS
from bq_server.store.unavailable import StoreConflict, StoreDamaged, StoreUnavailable

if TYPE_CHECKING:
    from bq_server.store.database import Connection

OLDEST = 14
"""The oldest supported release of PostgreSQL."""

_ADVICE = {
    "28000": "see the server's pg_hba.conf for who may connect, and whether it wants TLS (sslmode)",
    "28": "give the right user and password, in the URL, as PGPASSWORD or in a password file",
    "3D": "create the database first",
    "42501": "give the user the right to create tables in its schema",
    "25006": "name the primary, not a standby",
    "53": "see what the server lacks: disk, memory or connections",
    "55P03": "another bq-server is writing, or bringing the schema up to date",
    "XX": "see the server's log, and restore a backup",
}
"""By the start of the SQLSTATE."""

_CONFLICTS = ("40001", "40P01")
"""A serialization failure, and the victim of a deadlock."""
_DAMAGE = ("XX001", "XX002")

_ADVICE_ON_CAUSES: dict[type[BaseException], str | None] = {
    ClientConfigurationError: None,  # it says itself what is wrong with the URL
    ssl.SSLError: "see sslmode and sslrootcert in the URL",
    FileNotFoundError: "see whether the socket and the certificates are there that the URL names",
    BaseException: "see whether it runs, and whether the URL names it",
}
"""For the first of these that it is, where the server has given no code."""

_ASK = """SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding'),
pg_is_in_recovery()"""
_TABLES = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema()"

_CREATE = """CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP
)"""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A database, or a schema in one, that nobody else uses."""

    url: str = field(repr=False)
    error: ClassVar[type[Exception]] = PostgresRefused
    mistakes: ClassVar[tuple[type[Exception], ...]] = ()
    path: ClassVar[None] = None
    outside: ClassVar[bool] = True

    def check(self, *, may_write: bool) -> None:
        """Check that the server is there, new enough and not a standby."""
        try:
            with closing(self.connect(PATIENCE_SECONDS)) as connection:
                version, encoding, standby = connection.execute(_ASK).fetchall()[0]
        except PostgresRefused as error:
            raise self.unavailable(error, for_commands=True) from error
        if version < OLDEST:
            raise StoreUnavailable(f"{self.name}: PostgreSQL {version} is too old: {OLDEST} or newer is needed")
        if encoding != "UTF8":
            raise StoreUnavailable(f"{self.name}: the database's encoding is {encoding}: create one in UTF8")
        if may_write and standby:
            raise StoreUnavailable(f"{self.name}: this is a standby, which can't be written: name the primary")

    def connect(self, patience: float) -> PostgresConnection:
        """A connection for the calling thread."""
        return PostgresConnection(self.url, patience)

    async def prepare(self, writer: "Connection", *, may_migrate: bool) -> None:
        """Bring the schema up to date."""
        await writer.run(partial(_migrate, allowed=may_migrate))

    def hold(self, connection: Any, *, shared: bool = False) -> None:
        """Hold a lock on the server, now and after every reconnection."""
        connection.hold(shared=shared)

    def wait_at_most(self, connection: Any, seconds: float) -> None:
        """Wait that long for other writers."""
        connection.wait_at_most(seconds)

    def compact(self) -> None:
        """Rewrite every table, and the statistics, which quote common values.

        What the server's own log still contains is gone once the log is reused.
        """
        with closing(self.connect(PATIENCE_SECONDS)) as connection:
            for (table,) in connection.execute(_TABLES).fetchall():
                connection.executescript(f"VACUUM (FULL, ANALYZE) {table}", seconds=None)
            connection.executescript("VACUUM (FULL) pg_catalog.pg_statistic", seconds=None)

    @property
    def name(self) -> str:
        """The URL without a user and a password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def unavailable(self, error: Exception, *, for_commands: bool) -> StoreUnavailable:
        """What an error of the server, or its absence, means."""
        code = getattr(error, "sqlstate", None) or ""
        if not for_commands:
            return _kind_of(code)(str(error))
        cause = error.__cause__
        if not code and cause is not None:
            found = next(advice for kind, advice in _ADVICE_ON_CAUSES.items() if isinstance(cause, kind))
            return StoreUnavailable(f"{self.name}: {error}" + ("" if found is None else f" ({cause}): {found}"))
        advice = next((f": {each}" for start, each in _ADVICE.items() if code.startswith(start)), "")
        return StoreUnavailable(f"{self.name}: {error}{advice}")


def _kind_of(code: str) -> type[StoreUnavailable]:
    if code in _CONFLICTS:
        return StoreConflict
    return StoreDamaged if code in _DAMAGE else StoreUnavailable


def _migrate(connection: PostgresConnection, *, allowed: bool) -> None:
    """As `migrations.migrate`: everything that is due in one transaction, one process at a time."""
    known = available(__package__ or "")
    if not due(_had(connection), known, allowed=allowed):
        return
    if not connection.may_hold():
        due(_had(connection), known, allowed=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_CREATE)
        for version, name, sql in due(_had(connection), known, allowed=allowed):
            connection.executescript(sql, seconds=None)
            connection.execute("INSERT INTO schema_migrations (version, name) VALUES (?, ?)", (version, name))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _had(connection: PostgresConnection) -> set[int]:
    if connection.execute("SELECT to_regclass('schema_migrations')::text").fetchone() == (None,):
        return set()
    return {version for (version,) in connection.execute("SELECT version FROM schema_migrations")}
