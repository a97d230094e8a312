"""A private bq-server: with its own process, directory, port and key, and removed without a trace when closed."""

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from bq_server.runtime.frozen import own_command, own_environment

START_SECONDS = 30.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.01

_ADDRESS = re.compile(r"bq-server\s+http://127\.0\.0\.1:(\d+)/api/v1")


class ServerFailed(Exception):
    """The server didn't start. The message ends with what it logged."""


class PrivateServer:
    """`bq-server serve` on a free port of 127.0.0.1. A context manager: ready inside, stopped and removed outside.

    It listens on the same port after every `start`, so that clients needn't know about a restart.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        command: Sequence[str] | None = None,
        flags: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Keep everything in `directory`, or a temporary one; `command` starts another program instead of this one."""
        self._temporary = None if directory else tempfile.mkdtemp(prefix="bq-harness-")
        self._directory = directory or Path(self._temporary or "")
        self._command = list(own_command() if command is None else command)
        self._flags = list(flags)
        self._environment = dict(environment or {})
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.key = f"bq_test_{secrets.token_hex(16)}"
        """A key of its test environment, with every scope."""
        self.data_dir = self._directory / "data"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The process that was started."""
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process that was started is still running."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What it wrote to standard error, over all its starts."""
        with contextlib.suppress(FileNotFoundError):
            return (self._directory / "server.log").read_text("utf-8", errors="replace")
        return ""

    def start(self) -> Self:
        """Start it, again if need be, and wait until it is ready. Raises `ServerFailed`."""
        self._directory.mkdir(parents=True, exist_ok=True)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()  # left by a server that ended by itself, or was killed by somebody else
        banner = self._directory / "banner.txt"
        # Settings of the caller's own server, such as BQ_REDIS_URL, are not meant for this one.
        inherited = {name: value for name, value in own_environment().items() if not name.startswith("BQ_")}
        with banner.open("wb") as stdout, (self._directory / "server.log").open("ab") as stderr:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [
                    *(*self._command, "serve", "--host", "127.0.0.1", "--port", str(self._port)),
                    *("--data-dir", str(self.data_dir), "--stop-with-stdin", *self._flags),
                ],
                env={**inherited, "BQ_DEV_KEY": self.key, **self._environment},
                # Never written to: it is closed when this process ends, however it does, and the server stops with it.
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                # Ctrl-C is for the harness, which then stops the server itself.
                start_new_session=True,
            )
        self._wait_until_ready(self._process, banner)
        return self

    def stop(self) -> int:
        """Ask it to stop and wait for it; kill it if that takes too long. Returns its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it as `kill -9` does."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop it and remove its temporary directory."""
        if self._process is not None:
            self.stop()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except KeyboardInterrupt:
            self.close()  # even if interrupted while it stops, it leaves nothing behind
            raise

    def _end(self, number: signal.Signals) -> int:
        return 0 if self._process is None else end(self._process, number, STOP_SECONDS)

    def _wait_until_ready(self, process: subprocess.Popen[bytes], banner: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if found := _ADDRESS.search(banner.read_text("utf-8", errors="replace")):
                self._port = int(found[1])
                if _is_ready(self.url):
                    return
            time.sleep(POLL_SECONDS)
        ended = process.poll()
        what = f"wasn't ready within {START_SECONDS:g} s" if ended is None else f"ended with {ended}"
        if ended is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
        raise ServerFailed(f"the server {what}\n{self.log[-2000:]}")


def end(process: subprocess.Popen[bytes], number: signal.Signals, seconds: float) -> int:
    """Ask a process to stop, wait so many seconds, then kill it. Returns its exit code."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    if process.stdin is not None:
        process.stdin.close()
    return process.wait()


def _is_ready(url: str) -> bool:
    # Without certificates, which take longer to load than the server takes to answer.
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz", verify=False, timeout=5, trust_env=False).status_code == 200  # noqa: S501
    return False
