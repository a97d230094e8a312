"""A real server in a process of its own, seen only from outside."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.warm_program import ForkedProgram, can_fork

COMMAND = [sys.executable, "-m", "bq_server"]
START_SECONDS = 30.0
STOP_SECONDS = 30.0


def run(
    *arguments: str, env: Mapping[str, str] | None = None, seconds: float = START_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a command of the program to its end, which must come within so many seconds."""
    environment = os.environ | (env or {})
    if not can_fork(environment):
        return subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=seconds,
            check=False,
        )
    with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        program = ForkedProgram(arguments, environment, stdout.fileno(), stderr.fileno())
        try:
            program.wait(seconds)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
            raise
        for each in (stdout, stderr):
            each.seek(0)
        return subprocess.CompletedProcess(arguments, program.wait(), stdout.read(), stderr.read())


class ServerProcess:
    """`bq-server serve` on a free port; a context manager that ends it."""

    last_line = re.compile("curl .*/facts")
    """Of the banner, or what its last lines begin with."""
    address = re.compile(r"(https?://\S+)/api/v1\n")

    def __init__(
        self,
        data_dir: Path,
        *flags: str,
        env: Mapping[str, str] | None = None,
        open_files: int | None = None,
        ignored: Sequence[signal.Signals] = (),
    ) -> None:
        """`open_files`: as many descriptors as it may have, as by `ulimit -n`; `ignored`: as by `trap '' INT`."""
        self._open_files = open_files
        self._ignored = ignored
        self.data_dir = data_dir
        self._flags = flags
        self._env = env or {}
        self.url = ""
        self.key = ""
        self.banner = ""
        self._errors = data_dir.parent / f"{data_dir.name}.log"
        self.process: subprocess.Popen[str]

    def start(self, *, ready: bool = True) -> Self:
        """Start it, and wait until it is ready or, with `ready` false, until it listens."""
        arguments = ["serve", "--port", "0", "--data-dir", str(self.data_dir), *self._flags]
        environment = os.environ | self._env
        with self._errors.open("a") as errors:
            if can_fork(environment) and not (self._open_files or self._ignored):
                said, stdout = os.pipe()
                self.process = ForkedProgram(arguments, environment, stdout, errors.fileno())
                os.close(stdout)
                self.process.stdout = os.fdopen(said)
            else:
                self.process = subprocess.Popen(
                    [*COMMAND, *arguments],
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    env=environment,
                    preexec_fn=self._prepare if self._open_files or self._ignored else None,
                )
        assert self.process.stdout is not None
        self.banner = ""
        for line in self.process.stdout:
            self.banner += line
            if self.last_line.match(line):
                break
        match = self.address.search(self.banner)
        assert match, f"no banner; the log says: {self.log}"
        self.url = match[1]
        if found := re.search(r"bq_test_[0-9a-f]{32}", self.banner):
            self.key = found[0]
        if ready:
            until("the server is ready", lambda: httpx.get(f"{self.url}/readyz", verify=False).status_code == 200)
        return self

    def _prepare(self) -> None:
        if self._open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._open_files, self._open_files))
        for number in self._ignored:
            signal.signal(number, signal.SIG_IGN)

    @property
    def resident_bytes(self) -> int:
        """The memory it has in use."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    @property
    def descriptors(self) -> int:
        """How many files and connections it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    @property
    def log(self) -> str:
        """What it wrote to standard error, over all its starts."""
        return self._errors.read_text()

    @property
    def valkey_pids(self) -> list[int]:
        """The stream servers that work in this data directory."""
        pids = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    command = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"valkey-server" in command and str(self.data_dir.resolve()).encode() in command:
                    pids.append(int(entry.name))
        return pids

    def client(self, key: str | None = None, **headers: str) -> httpx.Client:
        """A client that sends the key."""
        return httpx.Client(
            verify=False,  # to load certificates takes longer than the request
            base_url=f"{self.url}/api/v1",
            headers={"X-API-Key": key or self.key, **headers},
            timeout=30,
        )

    def request(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        """One request with the key, on a connection of its own."""
        headers = {"X-API-Key": key or self.key}
        return httpx.request(method, f"{self.url}/api/v1{path}", headers=headers, timeout=30, verify=False, **options)

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit code, when it has ended."""
        code = self.process.wait(STOP_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()


def until(what: str, condition: object, seconds: float = START_SECONDS) -> None:
    """Wait until the condition, a callable, holds. There is no other way to see into another process."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.01)
