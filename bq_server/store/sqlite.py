"""Which SQLite this is. The system's own is often one with the WAL-reset corruption race."""

from typing import Any

import pysqlite3.dbapi2

sqlite: Any = pysqlite3.dbapi2  # the module's names come from C and have no types

OLDEST = (3, 51, 3)
"""The first release without the race between connections that write or checkpoint (sqlite.org/wal.html#walresetbug)."""

Error: type[Exception] = sqlite.Error
MISTAKES: tuple[type[Exception], ...] = (
    sqlite.IntegrityError,
    sqlite.ProgrammingError,
    sqlite.InterfaceError,
    sqlite.DataError,
)
"""Errors that say something of the statement, not of the database: trying again doesn't help."""
VERSION: str = sqlite.sqlite_version
VERSION_INFO: tuple[int, ...] = sqlite.sqlite_version_info


def busy_timeout(seconds: float) -> str:
    """The pragma that sets how long a connection waits for a lock."""
    return f"busy_timeout = {round(seconds * 1000)}"


def connect(path: str, *, patience: float = 2.0) -> Any:
    """A DB-API connection in autocommit mode, which waits so many seconds for a lock that another process holds.

    Raises `RuntimeError` when this SQLite is older than `OLDEST`.
    """
    if VERSION_INFO < OLDEST:
        needed = ".".join(map(str, OLDEST))
        raise RuntimeError(f"SQLite {VERSION} can corrupt a database in WAL mode; {needed} or newer is needed")
    connection = sqlite.connect(path, timeout=patience, isolation_level=None)
    for pragma in (busy_timeout(patience), "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
