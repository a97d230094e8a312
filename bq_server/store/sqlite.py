"""Which SQLite is used: pysqlite3's or, where that has no wheel, Python's own if it is a fixed release.

Python's own is often the system's, which is often too old for a database with several connections.
"""

import os
import platform
from contextlib import suppress
from typing import Any

sqlite: Any  # the module's names come from C and have no types
try:
    import pysqlite3.dbapi2

    sqlite = pysqlite3.dbapi2
    ORIGIN = "pysqlite3"
except ImportError:
    import sqlite3

    sqlite = sqlite3
    ORIGIN = f"Python {platform.python_version()}"

FIXED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""The releases that fix the race between connections that write or checkpoint (sqlite.org/wal.html#walresetbug).

Everything after the last is fixed; of the others, only later releases of the same branch.
"""

Connection: type[Any] = sqlite.Connection
Error: type[Exception] = sqlite.Error
MISTAKES: tuple[type[Exception], ...] = (
    sqlite.IntegrityError,
    sqlite.ProgrammingError,
    sqlite.InterfaceError,
    sqlite.DataError,
)
"""Errors about the statement, not about the database: retrying doesn't help."""
VERSION: str = sqlite.sqlite_version
VERSION_INFO: tuple[int, ...] = sqlite.sqlite_version_info


class TooOld(sqlite.Error):  # type: ignore[misc]
    """This SQLite can corrupt a database. The message says what to do."""


# The module binds int, float, str and bytearray as they are. For any other parameter it looks for an adapter, and to
# find none costs more than to insert the row (docs/decisions/0012-which-sqlite-underneath.md): so these have one each,
# written in C, that leaves the value as it is.
for _kind, _adapter in ((type(None), {}.get), (bytes, bytes), (bool, int)):
    sqlite.register_adapter(_kind, _adapter)


def is_fixed(version: tuple[int, ...]) -> bool:
    """Whether that version of SQLite may have several connections to one database in WAL mode."""
    return version >= FIXED[-1] or any(version[:2] == fixed[:2] and version >= fixed for fixed in FIXED)


def problem() -> str | None:
    """Why this SQLite must not be used and what to do, in one sentence; None for a fixed release."""
    if is_fixed(VERSION_INFO):
        return None
    *backports, newest = (".".join(map(str, each)) for each in FIXED)
    return (
        f"SQLite {VERSION} ({ORIGIN}) can corrupt a database that several connections use: install bq-server with a "
        f"Python whose sqlite3.sqlite_version is {newest} or newer (or {' or '.join(backports)} of their branches), "
        "or on a platform for which pysqlite3 has a wheel"
    )


def busy_timeout(seconds: float) -> str:
    """The pragma that sets how long a connection waits for a lock."""
    return f"busy_timeout = {round(seconds * 1000)}"


def connect(path: str, *, patience: float = 2.0, same_thread: bool = True) -> Any:
    """A DB-API connection in autocommit mode, which waits so many seconds for a lock held by another process.

    `same_thread`: whether only the creating thread may use it. Raises `TooOld`, before anything is touched.
    """
    if (reason := problem()) is not None:
        raise TooOld(reason)
    if path != ":memory:":
        _create_private(path)
    connection = sqlite.connect(path, timeout=patience, isolation_level=None, check_same_thread=same_thread)
    for pragma in (busy_timeout(patience), "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _create_private(path: str) -> None:
    """Create the file if there is none, for this user only: SQLite gives its other files the same mode."""
    with suppress(OSError):  # it exists, or SQLite will report why it can't
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
