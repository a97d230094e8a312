"""What differs between the kinds of stores: everything below the statements."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bq_server.store.sqlite_file import SqliteFile
from bq_server.store.unavailable import StoreUnavailable

if TYPE_CHECKING:
    from bq_server.store.database import Connection

StoreAddress = Path | str
"""A file, or the URL of a PostgreSQL server."""


class Backend(Protocol):
    """Where a store is, and how to talk to it."""

    @property
    def error(self) -> type[Exception]:
        """What is raised there."""

    @property
    def mistakes(self) -> tuple[type[Exception], ...]:
        """Those of them that are about a statement, not the store: trying again doesn't help."""

    @property
    def name(self) -> str:
        """What messages call the store; without a password."""

    @property
    def path(self) -> Path | None:
        """The store's own file; None where it is elsewhere."""

    @property
    def outside(self) -> bool:
        """Whether its work is done by another process: this one can do its own meanwhile."""

    def check(self, *, may_write: bool) -> None:
        """Check that the store can be used at all. Raises `StoreUnavailable` with advice."""

    def connect(self, patience: float) -> Any:
        """A connection like those of `sqlite3`, for the calling thread; waits that many seconds for other writers."""

    async def prepare(self, writer: "Connection", *, may_migrate: bool) -> None:
        """Prepare the writing connection, and upgrade the schema."""

    def hold(self, connection: Any, *, shared: bool = False) -> None:
        """Keep other processes from serving for as long as the connection lasts. On its thread.

        With `shared`, only those that hold it for themselves alone.
        """

    def wait_at_most(self, connection: Any, seconds: float) -> None:
        """From now on the connection waits that long for other processes. On its thread."""

    def compact(self) -> None:
        """Rewrite everything, without a trace of what was removed. Takes long."""

    def unavailable(self, error: Exception, *, for_commands: bool) -> StoreUnavailable:
        """What an `error` means; for commands it names the store and says what to do, which clients needn't know."""


def backend_of(address: StoreAddress) -> Backend:
    """How to talk to the store at that address. The driver for PostgreSQL is loaded on first use."""
    if isinstance(address, Path):
        return SqliteFile(address)
    from bq_server.store.postgresql.server import PostgresServer

    return PostgresServer(address)
