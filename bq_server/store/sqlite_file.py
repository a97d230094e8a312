"""The store in a file of SQLite."""

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct

from bq_server.store import sqlite
from bq_server.store.migrations import migrate
from bq_server.store.unavailable import StoreDamaged, StoreUnavailable

if TYPE_CHECKING:
    from bq_server.store.database import Connection

PATIENCE_SECONDS = 15.0
"""Longest wait for other processes while starting, and of commands: nobody else waits for these."""

CACHE_KIBIBYTES = 65_536
"""Page cache of the writing connection, in KiB; readers keep SQLite's default of 2 MiB each."""

CHECKPOINT_PAGES = 16_384
"""Pages in the write-ahead log (64 MiB) after which they are copied into the database: a page that many transactions
change is copied once."""

_DAMAGE = ("malformed", "not a database")
"""SQLite's words for it."""

_ADVICE = {
    "readonly": "make it and its directory writable for the user who runs this",
    "not a database": "restore a backup",
    "malformed": "restore a backup",
    "full": "make room on its disk",
    "disk I/O error": "see whether its disk is full or failing",
}


def explained(path: Path, error: Exception) -> StoreUnavailable:
    """What the driver said about the file, which it doesn't name, with what to do about it."""
    advice = next((f": {each}" for word, each in _ADVICE.items() if word in str(error)), "")
    return StoreUnavailable(f"{path}: {error}{advice}")


class SqliteFile(Struct, frozen=True):
    """One file and its write-ahead log."""

    path: Path
    error: ClassVar[type[Exception]] = sqlite.Error
    mistakes: ClassVar[tuple[type[Exception], ...]] = sqlite.MISTAKES
    outside: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def check(self, *, may_write: bool) -> None:
        """Check that the file can be opened, and written if it must be."""
        try:
            self.connect(PATIENCE_SECONDS).close()
        except sqlite.Error as error:
            raise explained(self.path, error) from error
        if may_write and not os.access(self.path, os.W_OK):
            # SQLite opens it nevertheless and fails at the first write, when the file is no longer known.
            raise explained(self.path, PermissionError("attempt to write a readonly database"))

    def connect(self, patience: float) -> Any:
        """A connection for the calling thread."""
        return sqlite.connect(str(self.path), patience=patience)

    async def prepare(self, writer: "Connection", *, may_migrate: bool) -> None:
        """Configure the writing connection, and migrate."""
        for pragma in (f"cache_size = -{CACHE_KIBIBYTES}", f"wal_autocheckpoint = {CHECKPOINT_PAGES}"):
            await writer.execute(f"PRAGMA {pragma}")
        await migrate(writer, allowed=may_migrate)

    def hold(self, connection: Any, *, shared: bool = False) -> None:
        """The lock of the data directory does this."""

    def wait_at_most(self, connection: Any, seconds: float) -> None:
        """Wait that long for locks of other processes."""
        connection.execute(f"PRAGMA {sqlite.busy_timeout(seconds)}")

    def compact(self) -> None:
        """Rewrite the file; nothing is left in its log either."""
        with closing(self.connect(PATIENCE_SECONDS)) as connection:
            connection.execute("VACUUM")
            if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise sqlite.Error("a long read keeps the write-ahead log from being emptied")

    def unavailable(self, error: Exception, *, for_commands: bool) -> StoreUnavailable:
        """What an error of SQLite means."""
        if for_commands:
            return explained(self.path, error)
        damaged = any(word in str(error) for word in _DAMAGE)
        return (StoreDamaged if damaged else StoreUnavailable)(str(error))
