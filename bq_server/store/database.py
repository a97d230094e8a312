"""The connections to one database: one that writes, a few that read beside it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from operator import methodcaller
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import aiosqlite
from aiosqlite.core import _STOP_RUNNING_SENTINEL

from bq_server.concurrency.notifier import NamedNotifiers, Notifier
from bq_server.concurrency.worker_thread import make_calls
from bq_server.store import aliases, processes
from bq_server.store.backend import Backend, StoreAddress, backend_of
from bq_server.store.beside import Beside, at_the_end
from bq_server.store.move_marks import require_in_use
from bq_server.store.processes import MEMORY, Agreement
from bq_server.store.references import References
from bq_server.store.sqlite_file import PATIENCE_SECONDS
from bq_server.store.unavailable import StoreConflict, StoreDamaged, StoreUnavailable

__all__ = ["Connection", "Database", "StoreDamaged", "StoreUnavailable"]

T = TypeVar("T")

READERS = 2

TURN_SECONDS = 3.0
"""Longest wait for those that write before; the store itself then waits for other processes."""

SERVING_SECONDS = 2.0
"""Longest wait for other processes while serving; then the request is refused, and may be retried."""

ATTEMPTS = 3
"""How often a transaction is attempted in all that the database ends in favour of another."""


class Connection(aiosqlite.Connection):
    """What the rooms above pass from a transaction to a query, without looking inside."""

    references: References
    """The database's, shared by its connections."""
    outside: bool
    """See `Backend.outside`."""

    def __init__(self, connector: Callable[[], Any], iter_chunk_size: int) -> None:
        super().__init__(connector, iter_chunk_size)
        # aiosqlite's own, which ends when it can't tell what a call came to.
        self._thread = Thread(target=make_calls, args=(self._tx, _STOP_RUNNING_SENTINEL))
        self.wakes: set[str] = set()
        """Who is to be woken by the commit: see `Database.outbox`."""
        self._deferred: list[asyncio.Future[object]] = []
        self._after_commit: list[Callable[[], None]] = []

    def run(self, work: Callable[[Any], T]) -> "asyncio.Future[T]":
        """Call a function with the DB-API connection on the connection's own thread; await what it returns.

        For work of many statements: each `await` of a statement costs more than most statements.
        """
        # As aiosqlite's `_execute`, without a coroutine and, where it is deferred, without a task for it.
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not self._running:
            raise ValueError("the connection is closed")
        self._tx.put_nowait((done, partial(work, self._conn)))
        return done

    def defer(self, work: Callable[[Any], object]) -> None:
        """As `run`, without waiting: the transaction waits before it commits, and fails if the function does."""
        self._deferred.append(self.run(work))

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
        if not works:
            return
        for outcome in await asyncio.gather(*works, return_exceptions=True):
            if isinstance(outcome, BaseException) and not failing:
                raise outcome


class Database:
    """One writing connection, used by one transaction at a time, and readers that never wait for it.

    Intake has its own reader, so that a long read by the API never delays an event.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._stack = AsyncExitStack()
        self._write_lock = asyncio.Lock()
        self._readers: asyncio.Queue[Connection] = asyncio.Queue()
        self._writer: Connection
        self._intake: Connection
        self._references = References()
        self._intake_lock = asyncio.Lock()
        self._waiting = 0
        self._agreement: Agreement | None = None
        self.commits = Notifier()
        """Signalled after every commit of this process."""
        self.outbox = NamedNotifiers()
        """Wakes who looks after what may be due: by the id of the endpoint, or the `NAME` of what is watched."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, address: StoreAddress, *, may_migrate: bool = True, moving: bool = False
    ) -> AsyncIterator["Database"]:
        """Open the database, upgrade its schema, and close it at the end.

        Raises `SchemaTooNew` for a database written by a newer program, `SchemaTooOld` when its schema is out of
        date and it may not migrate, `StoreUnavailable` when it can't be opened, or was moved or is being filled and
        this isn't for `moving` it.
        """
        backend = backend_of(address)
        database = cls(backend)
        # aiosqlite's thread outlives a connection that can't be opened, and then complains that the loop is closed.
        await asyncio.to_thread(backend.check, may_write=may_migrate)
        async with database._stack:
            with database.unavailable(for_commands=True):
                database._writer = await database._connect(PATIENCE_SECONDS)
                await backend.prepare(database._writer, may_migrate=may_migrate)
                if not moving:
                    await database._writer.run(partial(require_in_use, name=backend.name))
                await database._writer.run(database.remember_aliased)
                database._intake = await database._connect()
                for _ in range(READERS):
                    database._readers.put_nowait(await database._connect())
            yield database

    @property
    def file(self) -> Path | None:
        """The database's own file; None where a server keeps it."""
        return self._backend.path

    @property
    def path(self) -> Path:
        """Its file, for whoever knows that there is one."""
        assert self.file is not None, f"{self.name} is no file"  # noqa: S101
        return self.file

    @property
    def name(self) -> str:
        """What commands and logs call it."""
        return self._backend.name

    @property
    def outside(self) -> bool:
        """See `Backend.outside`."""
        return self._backend.outside

    async def hold(self, *, shared: bool = False) -> None:
        """Let no other process serve from it or, with `shared`, none that wouldn't share it.

        Raises `StoreUnavailable` where one does.
        """
        with self.unavailable(for_commands=True):
            await self._writer.run(partial(self._backend.hold, shared=shared))

    def share(self, agreement: Agreement) -> None:
        """From now on, agree with other processes in every transaction."""
        self._agreement = agreement

    async def connect_apart(self) -> "Apart":
        """One more connection, which waits for nobody else of this process. Raises `StoreUnavailable`."""
        with self.unavailable(for_commands=True):
            return Apart(self, await self._connect())

    def forget_references(self, connection: Any) -> None:
        """Look up anew which integers stand for which names. On the writing connection's thread."""
        self._references.forget()
        self.remember_aliased(connection)

    def remember_aliased(self, connection: Any) -> None:
        """Learn which environments have aliases. On a connection's own thread."""
        self._references.aliased |= aliases.scopes(connection)

    async def serve(self) -> None:
        """From now on, wait for other processes only as long as a request may."""
        await self._writer.run(partial(self._backend.wait_at_most, seconds=SERVING_SECONDS))

    @asynccontextmanager
    async def transaction(self, *, undo: bool = False, beside: Beside | None = None) -> AsyncIterator[Connection]:
        """A transaction that holds the write lock from its start; commits at the end, rolls back on any exception.

        With `undo` it always rolls back: a rehearsal. `beside`: those of other processes may go on meanwhile that are
        given it, too, with other partitions.

        Raises `StoreUnavailable` if the database refuses; then nothing was written.
        """
        agreement, changed = self._agreement, False
        async with self._turn_to_write():
            with self.unavailable():
                try:
                    if beside is None:
                        await self._writer.execute("BEGIN IMMEDIATE")
                    else:
                        await self._writer.execute("BEGIN BESIDE")
                        await self._writer.run(methodcaller("hold_partitions", beside.partitions))
                    if agreement is not None:
                        await self._writer.run(agreement.beginning(None if beside is None else beside.permit))
                    yield self._writer
                    await self._writer.deferred()
                    if undo:
                        await self._writer.run(self._roll_back)
                    else:
                        changed = MEMORY in self._writer.wakes
                        if self._writer.wakes and (agreement is not None or (changed and self.file is None)):
                            await self._writer.run(partial(_wake, names=frozenset(self._writer.wakes)))
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
        if changed and agreement is not None:
            await agreement.agreed()

    async def perform(self, work: Callable[[Connection], Awaitable[T]], *, beside: Beside | None = None) -> T:
        """What `work` returns, in a transaction of its own, `beside` others if that is given.

        If the database ends the transaction in favour of another one, the work is done again from its beginning,
        `ATTEMPTS` times in all: it must have no effect outside the transaction. Raises `StoreUnavailable`.
        """
        for _ in range(ATTEMPTS - 1):
            with suppress(StoreConflict):
                async with self.transaction(beside=beside) as connection:
                    return await work(connection)
        async with self.transaction(beside=beside) as connection:
            return await work(connection)

    async def compact(self) -> None:
        """Write everything anew, with what is there and no trace of what was; nothing is left in a file's log either.

        Nobody else writes meanwhile, for about as long as copying the file takes, and it needs twice the file's size of
        free space. Raises `StoreUnavailable`.
        """
        async with self._turn_to_write():
            with self.unavailable():
                await asyncio.to_thread(self._backend.compact)

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
            with self.unavailable():
                yield connection
        finally:
            self._readers.put_nowait(connection)

    @asynccontextmanager
    async def read_for_intake(self) -> AsyncIterator[Connection]:
        """The reading connection for what must not wait for long reads: incoming events, keys, health."""
        async with self._intake_lock:
            with self.unavailable():
                yield self._intake

    async def _connect(self, patience: float = SERVING_SECONDS) -> Connection:
        connection = Connection(partial(self._backend.connect, patience), iter_chunk_size=64)
        connection.references = self._references
        connection.outside = self._backend.outside
        await self._stack.enter_async_context(connection)
        return connection

    @contextmanager
    def unavailable(self, *, for_commands: bool = False) -> Iterator[None]:
        """Turns what the database driver raises into `StoreUnavailable`; a bug of ours stays what it is."""
        try:
            yield
        except self._backend.mistakes:
            raise
        except self._backend.error as error:
            raise self._backend.unavailable(error, for_commands=for_commands) from error


def _wake(connection: Any, names: Collection[str]) -> None:
    at_the_end(connection, lambda: processes.wake(connection, names))


class Apart:
    """A connection of its own, outside transactions: each statement takes effect at once."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._database = database
        self._connection = connection
        self._lock = asyncio.Lock()

    async def run(self, work: Callable[[Any], T]) -> T:
        """Call a function with the DB-API connection. Raises `StoreUnavailable`."""
        async with self._lock:
            with self._database.unavailable():
                return await self._connection.run(work)
