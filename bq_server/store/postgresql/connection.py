"""A connection to PostgreSQL with the interface of a connection to SQLite, on its own thread.

Its user runs a whole transaction on that thread, so each statement waits for its result: the thread's own event loop
runs until asyncpg has it. What takes time is the round trip to the server, so statements take many rows at once, and
one that inserts rows in a transaction is not waited for: the next one does, while the server was at work meanwhile.
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import uvloop
from asyncpg import exceptions

from bq_server.store.postgresql import locks
from bq_server.store.postgresql.cursor import PostgresCursor, Row
from bq_server.store.postgresql.driver import ANSWER_SECONDS, CONNECT_SECONDS, connected
from bq_server.store.postgresql.statements import SqlStatement, statement

T = TypeVar("T")

Result = tuple[list[Row], str]
"""Of a statement: its rows, and what the server says that it has done."""

TURNS = 2
"""Of the loop, after which a statement is on its way: in the first it is written, at the end of that it is sent."""

_PASSING = ("08", "28", "3D", "40", "53", "55", "57", "58", "XX")
"""Classes of SQLSTATE that concern the server or its other users, not the statement."""
_NOT_TO_BE_WRITTEN = ("25006", "25P03", "42501", "0A000")
"""Other such codes: a standby, a pause in a transaction, missing rights, a schema that another process has changed."""
_FAILED = "25P02"
"""A statement after another one has failed."""
_GONE = ("08", "57P", "25006", "25P03", "0A000")
"""After these a connection is useless."""

_WORDS = {
    "BEGIN": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "BEGIN IMMEDIATE": locks.BEGIN_ALONE,
    "BEGIN BESIDE": locks.BEGIN_BESIDE,
    "COMMIT": "COMMIT",
    "ROLLBACK": "ROLLBACK",
}


class PostgresRefused(Exception):
    """The server can't be reached, or refuses for now."""

    def __init__(self, error: BaseException, said: str | None = None) -> None:
        super().__init__(said or str(error) or type(error).__name__)
        self.sqlstate: str | None = getattr(error, "sqlstate", None)


class PostgresConnection:
    """What `sqlite3.Connection` is for a file, as far as it is used here.

    Raises `PostgresRefused`, and what asyncpg raises for a mistake. A lost connection is reopened by the next statement
    outside a transaction.
    """

    def __init__(self, url: str, patience: float) -> None:
        """`patience`: how many seconds it waits for other writers."""
        self._url = url
        self._patience = patience
        self._loop = uvloop.new_event_loop()
        # For a command in a coroutine, which waits for a statement as it would for one of SQLite's.
        self._apart = ThreadPoolExecutor(1) if _in_coroutine() else None
        self._connection: Any = None
        self._holds: str | None = None
        """The statement that takes the lock of who serves from the store."""
        self._within = False
        self._prepared: dict[str, Any] = {}
        self._under_way: asyncio.Task[Result] | None = None
        """A statement that was sent, and whose result the next one waits for."""
        self._changes = 0
        self._failure: Exception | None = None
        """What has made the transaction fail: of what is only sent, somebody else may hear."""
        self._endings: list[Callable[[], object]] | None = None
        """What is left for the end of a transaction beside others; None in one that is alone."""
        try:
            self._connect()
        except BaseException:
            self._end_loop()
            raise

    @property
    def in_transaction(self) -> bool:
        """Whether one was begun and not ended, even if it was lost with the connection."""
        return self._within

    @property
    def total_changes(self) -> int:
        """Rows that were inserted, changed or deleted."""
        self._finish()
        return self._changes

    def cursor(self) -> PostgresCursor:
        """A cursor."""
        return PostgresCursor(self)

    def execute(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> PostgresCursor:
        """Perform one statement."""
        return PostgresCursor(self).execute(sql, parameters)

    def executemany(self, sql: str, parameters: Sequence[Mapping[str, Any]]) -> PostgresCursor:
        """Perform one statement for each of these."""
        return PostgresCursor(self).executemany(sql, parameters)

    def executescript(self, script: str, seconds: float | None = ANSWER_SECONDS) -> None:
        """Perform several statements without parameters."""
        self._answer(self._connection.execute(script, timeout=seconds))

    def insert(self, sql: str, names: Sequence[str], rows: Sequence[Row]) -> None:
        """Perform a statement that takes rows, whose values have these names.

        In a transaction it is only sent: what is wrong with it is raised by the next statement, or the commit.
        """
        found = statement(sql)
        if not found.of_rows:
            raise ValueError(f"write this statement for many rows (`unnest`) in postgresql/statements.sql: {sql}")
        values = found.columns(names, rows)
        if self._within:
            self._finish()
            self._under_way = self._run(_sent(self._fetch(found, values)))
        else:
            self._begun(found, values)

    def perform(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any]) -> tuple[list[Row], int]:
        """The rows of one statement, and how many it has changed."""
        if (word := _WORDS.get(sql)) is not None:
            self._control(sql, word)
            return [], -1
        found = statement(sql)
        if self._within:
            # On the connection that it began on, or not at all: a new one would write without what came before.
            return self._begun(found, found.values(parameters))
        return self._again(lambda: self._begun(found, found.values(parameters)))

    def perform_many(self, sql: str, parameters: Sequence[Mapping[str, Any]]) -> int:
        """Perform one statement for each of these; returns how many rows were changed, or -1 if that isn't known."""
        rows = list(parameters)
        if not rows:
            return 0
        found = statement(sql)
        if found.of_rows:
            columns = [[row[name] for row in rows] for name in found.names]
            return self._begun(found, columns)[1]
        self._answer(self._each(found, [found.values(row) for row in rows]))
        return -1

    def hold(self, *, shared: bool = False) -> None:
        """Be the only process that serves from the store, now and after every reconnection.

        With `shared`, be one of several that all share it. Raises `PostgresRefused` where another prevents that.
        """
        self._holds = locks.TAKE_SHARED if shared else locks.TAKE
        self._take(self._holds)

    def take_turn(self, name: str) -> bool:
        """Hold a name until `give_up_turn`, or the end of the connection; whether no other connection does."""
        (taken,), *_ = self.execute(locks.TAKE_TURN, (name,)).fetchall()
        return bool(taken)

    def give_up_turn(self, name: str) -> None:
        """Let others hold it."""
        self.execute(locks.GIVE_UP_TURN, (name,))

    def may_hold(self) -> bool:
        """Whether no other process serves from the store."""
        (free,), *_ = self.execute(locks.FREE).fetchall()
        return bool(free)

    def hold_partitions(self, numbers: Iterable[int]) -> None:
        """Be the only transaction of these partitions until its end; it was begun with `BEGIN BESIDE`."""
        self.execute(locks.HOLD_PARTITIONS, (json.dumps(list(numbers)),))

    def hold_names(self) -> None:
        """Be the only transaction that gives numbers to new names until its end."""
        if self._endings is not None:
            self.execute(locks.HOLD_NAMES)

    def reserve_seqs(self, count: int) -> int:
        """Reserve so many numbers of facts, which nobody else is given; returns the number before the first."""
        ((before,),) = self.execute(locks.RESERVE_SEQS, (count,)).fetchall()
        found: int = before
        return found

    def count_commit(self) -> int:
        """Count this transaction among those beside others that made facts; returns the height it gives the store."""
        ((height,),) = self.execute(locks.COUNT_COMMIT).fetchall()
        found: int = height
        return found

    def at_the_end(self, work: Callable[[], object]) -> None:
        """Call a function that writes what all transactions write: before the commit, or now if no other goes on."""
        if self._endings is None:
            work()
        else:
            self._endings.append(work)

    def wait_at_most(self, seconds: float) -> None:
        """From now on, wait that long for other writers."""
        self._patience = seconds
        self._answer(self._connection.execute(f"SET lock_timeout = {round(seconds * 1000)}"))

    def close(self) -> None:
        """Close it, and the loop."""
        self._forget()
        with suppress(PostgresRefused):
            self._answer(self._connection.close(timeout=CONNECT_SECONDS))
        self._connection.terminate()
        self._end_loop()

    def _end_loop(self) -> None:
        self._run(_ended())
        if self._apart is not None:
            self._apart.shutdown()
        self._loop.close()

    def _connect(self) -> None:
        self._prepared.clear()
        self._connection = self._answer(connected(self._url, self._patience))
        if self._holds is not None:
            self._take(self._holds)

    def _take(self, lock: str) -> None:
        if not self._answer(self._connection.fetchval(lock)):
            self._drop()
            alone = lock == locks.TAKE
            advice = "stop it first" + ("" if alone else ", or start it with --role api or worker as well")
            raise PostgresRefused(RuntimeError(f"another bq-server serves from this store: {advice}"))
        if lock == locks.TAKE_SHARED:
            self._answer(self._connection.execute(locks.SHARE))

    def _control(self, sql: str, word: str) -> None:
        """Begin or end a transaction."""
        if sql.startswith("BEGIN"):
            self._again(lambda: self._begin(word))
            self._within = True
            self._failure = None
            self._endings = [] if sql == "BEGIN BESIDE" else None
            return
        if sql == "COMMIT" and self._endings:
            self.execute(locks.HOLD_END)
            for work in self._endings:  # which may add more
                work()
        self._endings = None
        if sql == "ROLLBACK":
            self._forget()
        self._finish()
        self._within = False
        if sql == "ROLLBACK" and not self._is_in_one():
            return  # it ended with the connection
        status = self._answer(self._connection.execute(word))
        if sql == "COMMIT" and status != "COMMIT":
            raise PostgresRefused(RuntimeError("a statement of the transaction had failed"))

    def _begin(self, word: str) -> None:
        try:
            self._answer(self._connection.execute(word))
        except PostgresRefused:
            # It may have begun, and its lock not been had.
            if self._is_in_one():
                self._answer(self._connection.execute("ROLLBACK"))
            raise

    def _is_in_one(self) -> bool:
        """Whether the server has a transaction open for it."""
        return not self._connection.is_closed() and bool(self._connection.is_in_transaction())

    def _again(self, work: Callable[[], T]) -> T:
        """Do something outside a transaction; once more on a new connection if the old one was gone."""
        if self._connection.is_closed():
            self._connect()
            return work()
        try:
            return work()
        except PostgresRefused:
            if not self._connection.is_closed():
                raise
        self._connect()
        return work()

    def _begun(self, found: SqlStatement, values: Sequence[Any]) -> tuple[list[Row], int]:
        return self._counted(self._answer(self._fetch(found, values)))

    def _finish(self) -> None:
        """Wait for what is under way. Raises what is wrong with it."""
        task, self._under_way = self._under_way, None
        if task is not None:
            self._counted(self._waited_for(_result_of(task)))

    def _forget(self) -> None:
        """The same, whatever came of it."""
        with suppress(PostgresRefused, exceptions.PostgresError, exceptions.InterfaceError):
            self._finish()

    def _counted(self, result: Result) -> tuple[list[Row], int]:
        rows, status = result
        word, _, count = status.rpartition(" ")
        changed = int(count) if count.isdigit() else -1
        if word != "SELECT" and changed > 0:
            self._changes += changed
        return rows, changed

    async def _fetch(self, found: SqlStatement, values: Sequence[Any]) -> Result:
        prepared = await self._of(found)
        rows = await prepared.fetch(*values)
        return list(map(tuple, rows)), prepared.get_statusmsg()

    async def _each(self, found: SqlStatement, rows: Sequence[Sequence[Any]]) -> None:
        await (await self._of(found)).executemany(rows)

    async def _of(self, found: SqlStatement) -> Any:
        prepared = self._prepared.get(found.sql)
        if prepared is None:
            prepared = self._prepared[found.sql] = await self._connection.prepare(found.sql)
        return prepared

    def _answer(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the server's response, and before for that to what is under way."""
        try:
            self._finish()
        except BaseException:
            work.close()
            raise
        return self._waited_for(work)

    def _waited_for(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._run(work)
        except TimeoutError as error:
            self._drop()
            raise PostgresRefused(error, "the database server doesn't answer") from error
        except ssl.SSLCertVerificationError as error:
            self._drop()
            raise PostgresRefused(error, "the database server's certificate is not trusted") from error
        except (OSError, exceptions.InternalClientError) as error:
            self._drop()
            raise PostgresRefused(error, "the database server can't be reached") from error
        except exceptions.InterfaceError as error:
            if self._connection is None or self._connection.is_closed():
                raise PostgresRefused(error) from error
            raise
        except exceptions.PostgresError as error:
            code: str = getattr(error, "sqlstate", None) or ""
            if code == _FAILED and self._failure is not None:
                raise self._failure from error
            if code.startswith(_GONE):
                self._drop()
            refused = code.startswith(_PASSING) or code in _NOT_TO_BE_WRITTEN
            self._failure = PostgresRefused(error) if refused else error
            raise self._failure from error

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._apart is None:
            return self._loop.run_until_complete(work)
        return self._apart.submit(self._loop.run_until_complete, work).result()

    def _drop(self) -> None:
        """Let the next statement reconnect."""
        if self._connection is not None:
            self._connection.terminate()


def _in_coroutine() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _sent(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Begin it, and let the loop send what it has to say."""
    task = asyncio.create_task(work)
    for _ in range(TURNS):
        await asyncio.sleep(0)
    return task


async def _result_of(task: asyncio.Task[T]) -> T:
    return await task


async def _ended() -> None:
    """Cancel whatever still runs on the loop, and let transports close."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0)
