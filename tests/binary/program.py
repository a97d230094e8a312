"""The executable as a person starts it: by its path, in an environment of a few plain variables."""

import json
import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

Json = dict[str, Any]

START_SECONDS = 30.0
STOP_SECONDS = 30.0

_ADDRESS = re.compile(r"bq-server\s+(http://127\.0\.0\.1:\d+)/api/v1")
_MARK = "BINARY_TEST"


def _directly(call: Callable[[], Any]) -> Any:
    return call()


def until(what: str, true: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait for something; answers it."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"after {seconds:g} s, still not: {what}"
        time.sleep(0.02)
    return found


@dataclass
class Serving:
    """A server that was started, and is ready."""

    process: subprocess.Popen[bytes]
    url: str
    key: str
    mark: str
    data_dir: Path
    log: Path
    within: Callable[[Callable[[], Any]], Any]

    @property
    def pid(self) -> int:
        """What a person knows as the server's process id."""
        return self.process.pid

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Json]:
        """Status and answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-API-Key": self.key, "Content-Type": "application/json"}
        asked = Request(self.url + path, data, headers, method=method)  # noqa: S310 - our own server

        def ask() -> tuple[int, Json]:
            try:
                with urlopen(asked, timeout=30) as response:  # noqa: S310 - our own server
                    return response.status, json.load(response)
            except HTTPError as error:
                return error.code, json.load(error)

        answer: tuple[int, Json] = self.within(ask)
        return answer

    def post(self, path: str, body: Any) -> Json:
        """The answer to a request that must succeed."""
        status, answer = self.request("POST", f"/api/v1{path}", body)
        assert status < 300, f"POST {path} answered {status}: {answer}"
        return answer

    def send(self, participant_id: str, *, path: str = "/ingest/events/sync") -> Json:
        """One event."""
        return self.post(path, {"event_name": "level_completed", "participant_id": participant_id, "properties": {}})

    def facts(self) -> list[str]:
        """Whose facts there are."""
        status, answer = self.request("GET", "/api/v1/facts?limit=100")
        assert status == 200, answer
        return sorted(fact["participant_id"] for fact in answer["facts"])

    def processes(self) -> dict[int, str]:
        """Every process that descends from this start, orphans too: process id and command line."""
        return running(self.mark, self.data_dir)

    def end(self, number: int) -> int:
        """Send a signal to the process that was started, and wait for its end. Answers its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


def running(mark: str, data_dir: Path) -> dict[int, str]:
    """The processes with this mark in their environment, and those that work in the data directory.

    Valkey writes its title over its environment, but stays in the directory of its file.
    """
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            is_marked = f"{_MARK}={mark}".encode() in (directory / "environ").read_bytes().split(b"\0")
            if is_marked or (directory / "cwd").readlink().is_relative_to(data_dir):
                found[int(directory.name)] = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


@dataclass(frozen=True)
class Program:
    """How to start one form of the program."""

    command: Sequence[str]
    scratch: Path
    """For logs, and for `TMPDIR` where nothing else is said."""
    environment: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    within: Callable[[Callable[[], Any]], Any] = _directly

    @property
    def temporary(self) -> Path:
        """Where it unpacks."""
        return Path(self.environment.get("TMPDIR", self.scratch))

    def having(self, **environment: str) -> "Program":
        """The same with more variables."""
        return replace(self, environment={**self.environment, **environment})

    def variables(self, mark: str) -> dict[str, str]:
        """Its whole environment."""
        plain = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", _MARK: mark}
        return {**plain, "TMPDIR": str(self.scratch), **self.environment}

    def run(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*self.command, *arguments],
            env=self.variables(""),
            cwd=self.cwd or self.scratch,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    @contextmanager
    def serving(self, data_dir: Path, *flags: str) -> Iterator[Serving]:
        """Serve; whatever is left at the end is killed."""
        key, mark = f"bq_test_{secrets.token_hex(16)}", secrets.token_hex(8)
        log, banner = self.scratch / f"{mark}.log", self.scratch / f"{mark}.out"
        with log.open("wb") as stderr, banner.open("wb") as stdout:
            process = subprocess.Popen(
                [*self.command, "serve", "--port", "0", "--data-dir", str(data_dir), *flags],
                env={**self.variables(mark), "BQ_DEV_KEY": key},
                cwd=self.cwd or self.scratch,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        try:

            def announced() -> re.Match[str] | None:
                assert process.poll() is None, f"it ended with {process.returncode}: {log.read_text()}"
                return _ADDRESS.search(banner.read_text())

            found = until("the banner is printed", announced, START_SECONDS)
            serving = Serving(process, found[1], key, mark, data_dir, log, self.within)
            until("it is ready", lambda: serving.request("GET", "/readyz")[0] == 200, START_SECONDS)
            yield serving
        finally:
            for pid in [process.pid, *running(mark, data_dir)]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            process.wait()
