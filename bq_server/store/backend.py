"""What differs between the kinds of stores: everything below the statements themselves."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bq_server.store.sqlite_file import SqliteFile
from bq_server.store.unavailable import StoreUnavailable

if TYPE_CHECKING:
    from bq_server.store.database import Connection

StoreAddress = Path | str
"""A file, or the URL of a PostgreSQL server."""


class Backend(Protocol):
    """Where a store is, and how it is spoken to."""

    @property
    def error(self) -> type[Exception]:
        """What is raised there."""

    @property
    def mistakes(self) -> tuple[type[Exception], ...]:
        """What of it says something of a statement, not of the store: trying again doesn't help."""

    @property
    def name(self) -> str:
        """As messages call the store; no password."""

    @property
    def path(self) -> Path | None:
        """The store's own file; None where it is elsewhere."""

    def check(self, *, may_write: bool) -> None:
        """See whether the store can be used at all. Raises `StoreUnavailable` with advice."""

    def connect(self, patience: float) -> Any:
        """A connection as `sqlite3` has them, for the calling thread, that waits so many seconds for who writes."""

    async def prepare(self, writer: "Connection", *, may_migrate: bool) -> None:
        """Make the writing connection ready, and bring the schema up to date."""

    def hold(self, connection: Any) -> None:
        """Keep other processes that serve away for as long as the connection lasts. On its thread."""

    def wait_at_most(self, connection: Any, seconds: float) -> None:
        """From now on the connection waits so long for other processes. On its thread."""

    def compact(self) -> None:
        """Write everything anew, without a trace of what was removed. Takes long."""

    def unavailable(self, error: Exception, *, for_commands: bool) -> StoreUnavailable:
        """What an `error` means; for commands it names the store and says what to do, which is no client's affair."""


def backend_of(address: StoreAddress) -> Backend:
    """How the store at that address is spoken to. The driver of a PostgreSQL server is loaded by its first use."""
    if isinstance(address, Path):
        return SqliteFile(address)
    from bq_server.store.postgresql.server import PostgresServer

    return PostgresServer(address)
