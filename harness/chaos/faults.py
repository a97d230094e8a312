"""The faults that strike the server, each followed to its end: afterwards everything runs again.

`slow-disk` is what a process without privileges can do to a disk: hold the database's write lock from outside for a
while, again and again. To the server it looks like a commit that doesn't return, and after two seconds like a database
that refuses. It doesn't simulate a slow fsync of the stream, nor a disk that is full or broken.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct, field

from harness.chaos import destruction
from harness.chaos.clients import Traffic
from harness.chaos.lacks import exhausted
from harness.chaos.processes import descendants, stream_server
from harness.chaos.schedule import Strike
from harness.private_postgres import PrivatePostgres
from harness.private_server import PrivateServer, ServerFailed

RECOVERY_SECONDS = 60.0
"""How long the server may take to be ready again after a fault."""

NOTICE_SECONDS = 10.0
"""How long the server may take to report that events were removed from its stream."""

PATIENCE_SECONDS = 10.0
"""How long a server that had no memory may take to be ready before it is restarted, as by a health check."""

ASKING = 4
USELESS = b'{"events": "' + b"x" * (4 << 20) + b'"}'
"""What many clients send while there is no memory: it must be held before it can be refused."""

CATCH_UP_SECONDS = 0.5
"""How long clients then have to send what they held back; it still counts as the fault's time."""

STARTS = 6
"""How often a killed server is restarted, as its supervisor would do: other faults strike while it starts.

The real process of a one-file executable also ends a moment after its parent, and holds the port until then.
"""

MOST_CHARACTERS = 200
"""Of the server's log, in a line of progress."""

POLL_SECONDS = 0.02
ACKNOWLEDGEMENT_SECONDS = 0.5
UNDER_WAY_SECONDS = 0.05
DATABASE = "facts.sqlite3"
FIXED_SQLITE = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""Any other release before the last can corrupt a database in WAL mode as a second connection beside the server's."""


class NotRecovered(Exception):
    """The server was not ready again within its time after a fault."""


class FaultWindow(Struct, frozen=True):
    """A fault that was injected, from its beginning until the server was ready again: seconds from the start."""

    kind: str
    started: float
    ready: float

    @property
    def ended(self) -> float:
        """Includes the time in which clients catch up."""
        return self.ready + CATCH_UP_SECONDS

    @property
    def ready_after(self) -> float:
        """Seconds from the beginning until the server was ready again."""
        return self.ready - self.started

    def overlaps(self, started: float, ended: float) -> bool:
        """Whether any of it falls between these times."""
        return started <= self.ended and ended >= self.started


class Injector(Struct):
    """Strikes one server on a schedule."""

    server: PrivateServer
    traffic: Traffic
    tell: Callable[[str], None]
    store: PrivatePostgres | None = None
    """What keeps the server's store, where it isn't a file."""
    windows: list[FaultWindow] = field(default_factory=list)
    lost: destruction.ToldLoss = field(default_factory=destruction.ToldLoss)
    _destroyed: bool = False
    """Whether anything may have been removed from the stream."""
    _accepting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while losses are acknowledged."""
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the server is killed and started, which nothing else may do at the same time."""
    _store_alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    """The same for the store."""
    _let_go: threading.Event = field(default_factory=threading.Event)
    """Set when a run is interrupted: whatever holds the database releases it."""

    async def run(self, strikes: Sequence[Strike]) -> None:
        """Let each strike happen at its time; returns when all are over. Raises `NotRecovered`."""
        try:
            async with asyncio.TaskGroup() as under_way:
                for strike in strikes:
                    under_way.create_task(self._strike(strike))
        finally:
            self._let_go.set()

    async def _strike(self, strike: Strike) -> None:
        await asyncio.sleep(max(0.0, strike.at - self.traffic.now))
        started = await self._faults[strike.kind](strike)
        if started is not None:
            await self._until_ready()
            window = FaultWindow(strike.kind, started, self.traffic.now)
            self.windows.append(window)
            self.tell(f"{started:6.1f} s  {strike.kind}, ready again after {window.ready_after:.1f} s")

    @property
    def _faults(self) -> dict[str, Callable[[Strike], Awaitable[float | None]]]:
        """Injects each kind; returns when it began, if it was possible."""
        return {
            "kill-server": self._kill_server,
            "kill-stream": self._kill_stream,
            "pause-stream": self._pause_stream,
            "slow-disk": self._slow_disk,
            "kill-store": self._kill_store,
            "exhaust-descriptors": self._exhaust,
            "exhaust-memory": self._exhaust,
            "trim-stream": self._destroy,
            "flush-stream": self._destroy,
        }

    async def _kill_server(self, strike: Strike) -> float:
        async with self._alone:
            started = self.traffic.now
            if not self.server.running:
                raise NotRecovered("it had ended before it was killed: its log, in the directory kept, tells more")
            if strike.lengths:
                with _continued(await self._strike_stream(signal.SIGSTOP)):
                    # What was in the stream before is acknowledged meanwhile.
                    await asyncio.sleep(UNDER_WAY_SECONDS)
                    await self._acknowledgement(strike, *strike.lengths)
                    os.kill(self.server.pid, signal.SIGKILL)
            else:
                await self._acknowledgement(strike)
                # Immediately, before the loop can pass another acknowledgement to a client.
                os.kill(self.server.pid, signal.SIGKILL)
            await asyncio.to_thread(self.server.kill)
            await self._start()
        return started

    async def _acknowledgement(self, strike: Strike, seconds: float = ACKNOWLEDGEMENT_SECONDS) -> None:
        if strike.on_acknowledgement is not None:
            await self.traffic.next_acknowledgement(strike.on_acknowledgement, seconds)

    async def _start(self) -> None:
        for attempt in range(1, STARTS + 1):
            try:
                await asyncio.to_thread(self.server.start)
            except ServerFailed as error:
                if attempt == STARTS:
                    raise NotRecovered(f"killed, the server didn't start again {STARTS} times: {error}") from error
                said = str(error).strip().splitlines()[-1][:MOST_CHARACTERS]
                self.tell(f"{self.traffic.now:6.1f} s  the server didn't start, once more: {said}")
                if '"losses: ' in str(error):
                    await self._accept_losses()
                await asyncio.sleep(POLL_SECONDS * 2**attempt)
            else:
                return

    async def _kill_stream(self, strike: Strike) -> float:
        await self._acknowledgement(strike)
        started = self.traffic.now
        pid = await self._strike_stream(signal.SIGKILL)

        async def started_again() -> bool:
            return stream_server(self.server.pid) not in (pid, None)

        await _until(started_again, "its stream server was not started again after it had been killed")
        return started

    async def _pause_stream(self, strike: Strike) -> float:
        started = self.traffic.now
        with _continued(await self._strike_stream(signal.SIGSTOP)):
            await asyncio.sleep(strike.lengths[0])
        return started

    async def _kill_store(self, strike: Strike) -> float:
        assert self.store is not None  # noqa: S101 - the run has made one for this fault
        async with self._store_alone:
            started = self.traffic.now
            await asyncio.to_thread(self.store.kill)
            await asyncio.sleep(strike.lengths[0])
            await asyncio.to_thread(self.store.start)
        return started

    async def _slow_disk(self, strike: Strike) -> float | None:
        started = self.traffic.now
        held = await asyncio.to_thread(hold, self.server.data_dir / DATABASE, strike.lengths, self._let_go)
        return started if held else None

    async def _exhaust(self, strike: Strike) -> float:
        started = self.traffic.now
        with exhausted(strike.kind, [each.pid for each in descendants(self.server.pid)]):
            if strike.kind == "exhaust-memory":
                await self._ask_for_memory(strike.lengths[0])
            else:
                await asyncio.sleep(strike.lengths[0])
        async with self._alone:
            # A program that had no memory may have ended or hang: a supervisor would restart it.
            if not self.server.running or (strike.kind == "exhaust-memory" and not await self._recovers()):
                self.tell(f"{self.traffic.now:6.1f} s  the server had ended or stood still: started again")
                await asyncio.to_thread(self.server.kill)
                await self._start()
        return started

    async def _recovers(self) -> bool:
        if await self._tells_losses():
            await self._accept_losses()
        try:
            await self._until_ready(PATIENCE_SECONDS)
        except NotRecovered:
            return False
        return True

    async def _ask_for_memory(self, seconds: float) -> None:
        """Send what takes much memory and has no effect; the answers don't matter."""
        headers = {"X-API-Key": self.server.key, "Content-Type": "application/json"}
        until = asyncio.get_running_loop().time() + seconds

        async def ask(http: httpx.AsyncClient) -> None:
            while asyncio.get_running_loop().time() < until:
                with suppress(httpx.TransportError):
                    await http.post(f"{self.server.url}/api/v1/ingest/events/batch", content=USELESS, headers=headers)
                await asyncio.sleep(POLL_SECONDS)

        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=seconds) as http:  # noqa: S501 - plain HTTP
            await asyncio.gather(*[ask(http) for _ in range(ASKING)])

    async def _destroy(self, strike: Strike) -> float | None:
        """Destroy while nothing becomes a fact, so that something is lost; then wait for the report, and confirm it."""
        started = self.traffic.now
        database, seconds = self.server.data_dir / DATABASE, strike.lengths[0]
        done = False
        while not done:
            if self.traffic.now > started + RECOVERY_SECONDS:
                return None
            holding = asyncio.create_task(asyncio.to_thread(hold, database, [2 * seconds], self._let_go))
            try:
                await asyncio.sleep(seconds)
                self._destroyed = True  # it may be done without an answer: the stream server is killed and paused, too
                done = await destruction.command(self.server.data_dir, strike.kind)
            finally:
                await holding
            if not done:
                await self._until_ready()  # the stream server is away by what another fault does
        with suppress(NotRecovered):  # there may have been nothing to lose, and thus nothing to report
            await _until(self._tells_losses, "it told nothing of events that were taken out", NOTICE_SECONDS)
        await self._accept_losses()
        return started

    async def _accept_losses(self) -> None:
        """Acknowledge the losses and count them; only if something was destroyed, perhaps a while ago."""
        if self._destroyed:
            async with self._accepting:
                said = await asyncio.to_thread(destruction.acknowledge, self.server.data_dir)
                self.lost.add(said)

    async def _tells_losses(self) -> bool:
        async with _http() as http:
            with suppress(httpx.TransportError):
                return _is_of_losses(await http.get(f"{self.server.url}/readyz"))
        return False

    async def _strike_stream(self, number: signal.Signals) -> int:
        """Send a signal to the stream server, which may just be starting; returns which process got it."""
        struck: list[int] = []

        async def is_struck() -> bool:
            if (pid := stream_server(self.server.pid)) is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
                    struck.append(pid)
            return bool(struck)

        await _until(is_struck, "it had no stream server")
        return struck[0]

    async def _until_ready(self, seconds: float = RECOVERY_SECONDS) -> None:
        """Wait until it is ready; losses that it notices only now, as after a start, are acknowledged as well."""
        async with _http() as http:

            async def ready() -> bool:
                with suppress(httpx.TransportError):
                    answer = await http.get(f"{self.server.url}/readyz")
                    if answer.status_code == 200:
                        return True
                    if _is_of_losses(answer):
                        await self._accept_losses()
                return False

            await _until(ready, "it was not ready again after a fault", seconds)


def _http() -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=False, trust_env=False, timeout=5)  # noqa: S501 - plain HTTP


def _is_of_losses(answer: httpx.Response) -> bool:
    return '"losses"' in answer.text


@contextmanager
def _continued(pid: int) -> Iterator[None]:
    """Let a stopped process continue at the end; it may have been killed meanwhile, alone or with the server."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def hold(database: Path, lengths: Sequence[float], let_go: threading.Event) -> bool:
    """Hold the write lock of a database for so many seconds, so many times; returns whether it was held at all.

    Setting `let_go` ends it at once. Blocks: run it in a thread.
    """
    held = False
    # Autocommit, and never creating a database; it waits for the lock as any other writer does.
    with closing(sqlite().connect(f"file:{database}?mode=rw", uri=True, timeout=5, isolation_level=None)) as connection:
        for seconds in lengths:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite().OperationalError:
                continue
            held = True
            ended = let_go.wait(seconds)
            connection.execute("ROLLBACK")
            if ended:
                break
    return held


def sqlite() -> Any:
    """The SQLite library that the server uses. Raises `RuntimeError` if it must not be used this way."""
    library: Any  # the names come from C and have no types
    try:
        from pysqlite3 import dbapi2

        library = dbapi2
    except ImportError:
        import sqlite3

        library = sqlite3
    version: tuple[int, ...] = library.sqlite_version_info
    if version < FIXED_SQLITE[-1] and not any(version[:2] == each[:2] and version >= each for each in FIXED_SQLITE):
        raise RuntimeError(f"SQLite {library.sqlite_version} can corrupt a database that two connections write")
    return library


async def _until(condition: Callable[[], Awaitable[bool]], otherwise: str, seconds: float = RECOVERY_SECONDS) -> None:
    """Poll until a condition holds. Raises `NotRecovered` if it takes too long."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                if await condition():
                    return
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise NotRecovered(f"after {seconds:g} s: {otherwise}") from None
