"""The embedded stream server: a Valkey that runs as a child of this process."""

import asyncio
import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from urllib.parse import quote

import structlog

from bq_server.concurrency.supervision import keep_running
from bq_server.runtime.data_directory import DataDirectory, DataDirectoryUnusable
from bq_server.runtime.frozen import child_environment
from bq_server.stream.connection import StreamUnusable
from bq_server.stream.valkey_binary import server_binary

log = structlog.get_logger("bq_server.stream.embedded")

START_TIMEOUT = 30.0
"""Seconds in which Valkey must respond, including loading a long append-only file."""

START_TRIES = 3

STOP_TIMEOUT = 10.0

ANSWER_TIMEOUT = 1.0

RESTART_BACKOFF_SECONDS = (0.0, 0.1, 0.5, 1.0, 2.0)

LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel takes 107 on Linux and 103 on macOS."""


class Killed(StreamUnusable):
    """Somebody killed the stream server while it started; it may well start the next time."""


_DAMAGE = ("Bad file format", "AOF", "RDB", "append only file", "Unexpected end of file")
"""The stream server's words for files that it can't use as they are."""

_NO_DAMAGE = (
    "Permission denied",
    "No space left",
    "Read-only file system",
    "Input/output error",
    "Too many open files",
)
"""What may keep it from using files that are in order."""


class EmbeddedValkey:
    """Starts Valkey in its own directory, restarts it when it dies, and stops it with the server.

    Every write is in its append-only file and fsynced before it is answered.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = _socket_path(directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self.restarts = 0
        self.trouble: str | None = None
        """Why it could not be restarted, while that is so."""

    @property
    def url(self) -> str:
        """Where it listens: a Unix socket that only this user can use."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start it and return once it responds. Raises `StreamUnusable` if it doesn't."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._end_orphan()
        for left in reversed(range(START_TRIES)):
            self._spawn()
            try:
                await self._wait_until_ready()
                break
            except Killed as error:
                if not left:
                    raise
                log.warning("valkey.killed_while_starting", reason=str(error))
        self._supervisor = asyncio.create_task(keep_running(self._supervise), name="valkey-supervisor")

    async def stop(self) -> None:
        """Stop it in order: the append-only file is complete when this returns."""
        if self._supervisor is not None:
            self._supervisor.cancel()
        if self._process is not None:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
        self._socket.unlink(missing_ok=True)
        if self._socket.parent != self._directory.resolve():
            with suppress(OSError):  # a server restarted there needs it
                self._socket.parent.rmdir()

    def _spawn(self) -> None:
        self._socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._directory.resolve()),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "warning",
            "logfile": str(self._directory.resolve() / "valkey.log"),
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        # The file is fsynced on every write; Linux's overcommit warning is about snapshots, which are off.
        self._process = subprocess.Popen(  # noqa: S603 - our own binary with our own arguments
            [str(server_binary()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            umask=0o077,
            start_new_session=True,  # Ctrl-C is for the server, which then stops Valkey in order
            preexec_fn=_die_with_parent,
        )

    async def _wait_until_ready(self) -> None:
        assert self._process is not None  # noqa: S101
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_TIMEOUT
        while not await self._answers():
            if (code := self._process.poll()) is not None:
                if code < 0:
                    raise Killed(f"the embedded stream server was killed by signal {-code} while it started")
                raise StreamUnusable(self._why_ended(code))
            if loop.time() > deadline:
                raise StreamUnusable(f"the embedded stream server did not answer within {START_TIMEOUT:.0f} s")
            await asyncio.sleep(0.005)

    def _why_ended(self, code: int) -> str:
        said = self._last_log_line()
        if any(words in said for words in _DAMAGE) and not any(words in said for words in _NO_DAMAGE):
            return (
                f"the queue in {self._directory} is damaged, the facts are not: restore a backup into a new directory, "
                f"or move {self._directory} away and lose what was queued ({said})"
            )
        return f"the embedded stream server exited with code {code}: {said}"

    async def _answers(self) -> bool:
        """Whether it accepts commands: while it loads its file it answers PING with -LOADING."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return (await reader.readline()).startswith(b"+PONG")
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()

    async def _supervise(self) -> None:
        while True:
            assert self._process is not None  # noqa: S101
            code = await asyncio.to_thread(self._process.wait)
            delay = RESTART_BACKOFF_SECONDS[min(self.restarts, len(RESTART_BACKOFF_SECONDS) - 1)]
            self.restarts += 1
            log.error("valkey.died", code=code, restarting_in_seconds=delay, last_log=self._last_log_line())
            await asyncio.sleep(delay)
            try:
                self._spawn()
                await self._wait_until_ready()
            except (OSError, StreamUnusable) as error:
                self.trouble = str(error)
                log.error("valkey.not_restarted", reason=self.trouble)
            else:
                self.trouble = None

    async def _end_orphan(self) -> None:
        """Stop a Valkey that outlived an earlier server of this directory (where the kernel doesn't do so)."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError:
            return
        writer.write(b"SHUTDOWN NOSAVE\r\n")
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await reader.read()
        except TimeoutError:
            raise StreamUnusable(f"a leftover stream server at {self._socket} doesn't stop: stop it by hand") from None
        finally:
            writer.close()

    def _last_log_line(self) -> str:
        try:
            lines = (self._directory / "valkey.log").read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            return "it left no log"
        return lines[-1] if lines else "its log is empty"


def _socket_path(directory: Path) -> Path:
    """Where to listen: in the data directory, or under a temporary one if that path is too long for a socket.

    Raises `StreamUnusable` if there is no place, or if it belongs to somebody else.
    """
    path = directory.resolve() / "valkey.sock"
    if _fits(path):
        return path
    # The same name at every start, so that a Valkey that outlived its server is found again.
    name = f"bq-{os.getuid()}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"
    shorter = (Path(parent) / name for parent in (tempfile.gettempdir(), "/tmp"))  # noqa: S108 - checked below
    short = next((each for each in shorter if _fits(each / path.name)), None)
    if short is None:
        raise StreamUnusable(f"the path {path} is too long for a socket: choose a shorter --data-dir")
    try:
        short.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StreamUnusable(
            f"the path {path} is too long for a socket, and {short} can't be created ({error.strerror}): choose a "
            "shorter --data-dir"
        ) from error
    status = short.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise StreamUnusable(f"{short} belongs to somebody else or is open to others: remove it, or set TMPDIR")
    return short / path.name


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST_SOCKET_PATH


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Ask the kernel to kill this child when the server dies, however it dies. Runs between fork and exec."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


async def stream_url(stack: AsyncExitStack, directory: DataDirectory) -> str:
    """Where the embedded stream server is; it is started for the purpose if no server runs."""
    valkey = EmbeddedValkey(directory.stream)
    try:
        stack.enter_context(directory.locked(wait_seconds=0.5))
    except DataDirectoryUnusable:
        return valkey.url  # a server runs, and its stream server with it
    stack.push_async_callback(valkey.stop)
    await valkey.start()
    return valkey.url
