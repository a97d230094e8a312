"""The connections to one SQLite database: one that writes, and a few that read."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from bq_server.concurrency.notifier import NamedNotifiers, Notifier
from bq_server.store import sqlite
from bq_server.store.migrations import migrate
from bq_server.store.references import References

T = TypeVar("T")

READERS = 2

TURN_SECONDS = 3.0
"""Longest wait for earlier writers; SQLite itself then waits for other processes."""

PATIENCE_SECONDS = 15.0
"""Longest wait for other processes during the start, and in commands, which delay nobody else."""

SERVING_SECONDS = 2.0
"""Longest wait for other processes while serving; then the request is refused, and may be retried."""


CACHE_KIBIBYTES = 65_536
"""Cache of the writing connection; readers have SQLite's default of 2 MiB each."""

CHECKPOINT_PAGES = 16_384
"""Pages in the write-ahead log (64 MiB) after which they are copied into the database: a page that many transactions
change is copied once."""


class Connection(aiosqlite.Connection):
    """What the rooms above pass from a transaction to a query, without looking inside."""

    references: References
    """The database's, shared by its connections."""

    def __init__(self, connector: Callable[[], Any], iter_chunk_size: int) -> None:
        super().__init__(connector, iter_chunk_size)
        self.wakes: set[str] = set()
        """Who is to be woken by the commit: see `Database.outbox`."""
        self._deferred: list[asyncio.Future[object]] = []
        self._after_commit: list[Callable[[], None]] = []

    async def run(self, work: Callable[[Any], T]) -> T:
        """Call a function with the DB-API connection on the connection's own thread.

        For work of many statements: each `await` of a statement costs more than most statements.
        """
        found: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]
        return found

    def defer(self, work: Callable[[Any], object]) -> None:
        """As `run`, without waiting: the transaction waits before it commits, and fails if the function does."""
        self._deferred.append(asyncio.ensure_future(self.run(work)))

    def after_commit(self, work: Callable[[], None]) -> None:
        """Call a function once the transaction is committed, and only then."""
        self._after_commit.append(work)

    def ended(self, *, committed: bool) -> None:
        """The transaction is over: call what was registered for that."""
        works, self._after_commit = self._after_commit, []
        if committed:
            for work in works:
                work()

    async def deferred(self, *, failing: bool = False) -> None:
        """Wait for everything deferred. Raises what it raised, unless the transaction is already `failing`."""
        works, self._deferred = self._deferred, []
        for outcome in await asyncio.gather(*works, return_exceptions=True):
            if isinstance(outcome, BaseException) and not failing:
                raise outcome


class StoreUnavailable(Exception):
    """The database can't be read or written: the disk is full or gone, or another process has locked it."""


class StoreDamaged(StoreUnavailable):
    """A page of the database that had to be read is damaged: retrying doesn't help."""


_DAMAGE = ("malformed", "not a database")
"""What SQLite says then."""

_ADVICE = {
    "readonly": "make it and its directory writable for the user who runs this",
    "not a database": "restore a backup",
    "malformed": "restore a backup",
    "full": "make room on its disk",
    "disk I/O error": "check whether its disk is full or failing",
}


def explained(path: Path, error: Exception) -> StoreUnavailable:
    """What the driver reports about the file, which it doesn't name, with what to do about it."""
    advice = next((f": {each}" for word, each in _ADVICE.items() if word in str(error)), "")
    return StoreUnavailable(f"{path}: {error}{advice}")


class Database:
    """One writing connection, used by one transaction at a time, and readers that never wait for it.

    Intake has its own reader, so that a long read by the API never delays an event.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = AsyncExitStack()
        self._write_lock = asyncio.Lock()
        self._readers: asyncio.Queue[Connection] = asyncio.Queue()
        self._writer: Connection
        self._intake: Connection
        self._references = References()
        self._intake_lock = asyncio.Lock()
        self._waiting = 0
        self.commits = Notifier()
        """Signalled after every commit of this process."""
        self.outbox = NamedNotifiers()
        """Wakes who tells outside, when something may be due: by the id of the endpoint, or `watched_streaks.NAME`."""

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, may_migrate: bool = True) -> AsyncIterator["Database"]:
        """Open the database, upgrade its schema, and close it at the end.

        Raises `SchemaTooNew` for a database written by a newer program, `SchemaTooOld` when its schema is out of
        date and it may not migrate, `StoreUnavailable` when it can't be opened.
        """
        database = cls(path)
        with _unavailable(path):
            # aiosqlite's thread outlives a connection that can't be opened, and then complains that the loop is closed.
            await asyncio.to_thread(lambda: sqlite.connect(str(path), patience=PATIENCE_SECONDS).close())
        if may_migrate and not os.access(path, os.W_OK):
            # SQLite opens it nevertheless, and fails at the first write, when nobody knows which file it is about.
            raise explained(path, PermissionError("attempt to write a readonly database"))
        async with database._stack:
            database._writer = await database._connect(PATIENCE_SECONDS)
            with _unavailable(path):
                for pragma in (f"cache_size = -{CACHE_KIBIBYTES}", f"wal_autocheckpoint = {CHECKPOINT_PAGES}"):
                    await database._writer.execute(f"PRAGMA {pragma}")
                await migrate(database._writer, allowed=may_migrate)
            database._intake = await database._connect()
            for _ in range(READERS):
                database._readers.put_nowait(await database._connect())
            yield database

    async def serve(self) -> None:
        """From now on, wait for other processes only as long as a request may."""
        await self._writer.execute(f"PRAGMA {sqlite.busy_timeout(SERVING_SECONDS)}")

    @asynccontextmanager
    async def transaction(self, *, undo: bool = False) -> AsyncIterator[Connection]:
        """A transaction that holds the write lock from its start; commits at the end, rolls back on any exception.

        With `undo` it always rolls back: a rehearsal.

        Raises `StoreUnavailable` if the database refuses; then nothing was written.
        """
        async with self._turn_to_write():
            with _unavailable():
                try:
                    await self._writer.execute("BEGIN IMMEDIATE")
                    yield self._writer
                    await self._writer.deferred()
                    if undo:
                        await self._writer.run(self._roll_back)
                    else:
                        await self._writer.execute("COMMIT")
                        self.commits.beat()
                        self.outbox.beat(self._writer.wakes)
                except BaseException:
                    self._writer.ended(committed=False)
                    await self._writer.deferred(failing=True)
                    await self._writer.run(self._roll_back)
                    raise
                finally:
                    self._writer.wakes.clear()
            self._writer.ended(committed=not undo)

    async def compact(self) -> None:
        """Rewrite the file without any trace of deleted data; nothing is left in its log either.

        Nobody else writes meanwhile, for about as long as copying the file takes, and it needs twice the file's size of
        free space. Raises `StoreUnavailable`.
        """
        async with self._turn_to_write():
            with _unavailable():
                await asyncio.to_thread(_compact, str(self.path))

    @property
    def awaited(self) -> bool:
        """Whether another transaction waits to write."""
        return self._waiting > 0

    def _roll_back(self, connection: Any) -> None:
        # On the connection's own thread, after whatever a cancelled caller has left running there.
        self._references.forget()
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    @asynccontextmanager
    async def _turn_to_write(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._write_lock.acquire()
        except TimeoutError:
            raise StoreUnavailable("earlier writers take too long") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._write_lock.release()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """A reading connection. Raises `StoreUnavailable` when the database can't be read."""
        connection = await self._readers.get()
        try:
            with _unavailable():
                yield connection
        finally:
            self._readers.put_nowait(connection)

    @asynccontextmanager
    async def read_for_intake(self) -> AsyncIterator[Connection]:
        """The reading connection for what must not wait for long reads: incoming events, keys, health."""
        async with self._intake_lock:
            with _unavailable():
                yield self._intake

    async def _connect(self, patience: float = SERVING_SECONDS) -> Connection:
        with _unavailable(self.path):
            connection = Connection(partial(sqlite.connect, str(self.path), patience=patience), iter_chunk_size=64)
            connection.references = self._references
            await self._stack.enter_async_context(connection)
            return connection


def _compact(path: str) -> None:
    with closing(sqlite.connect(path, patience=PATIENCE_SECONDS)) as connection:
        connection.execute("VACUUM")
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise sqlite.Error("a long read keeps the write-ahead log from being emptied")


@contextmanager
def _unavailable(path: Path | None = None) -> Iterator[None]:
    """Turns what the database driver raises into `StoreUnavailable`; a bug of ours stays what it is.

    With the path it explains what to do, for commands; clients of the API have nothing to do with files.
    """
    try:
        yield
    except sqlite.MISTAKES:
        raise
    except sqlite.Error as error:
        if path is not None:
            raise explained(path, error) from error
        damaged = any(word in str(error) for word in _DAMAGE)
        raise (StoreDamaged if damaged else StoreUnavailable)(str(error)) from error
