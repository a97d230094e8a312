"""Servers to measure, each started fresh in a temporary directory and removed with everything it made."""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.private_server import PrivateServer, end
from loadtests.games import document
from loadtests.peers.valkey import private_valkey
from loadtests.server_api import api_client, apply_game
from loadtests.usage import TreeUsage, Usage, tree_usage

HERE = Path(__file__).parent
FASTIFY = HERE / "peers" / "fastify"
START_SECONDS = 15.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.01


class SubjectNotFound(Exception):
    """What should be measured isn't installed. The message says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A server that listens."""

    url: str
    key: str
    pids: tuple[int, ...]
    """Of the processes that make it; those they started count too."""

    def usage(self) -> TreeUsage | None:
        """What it uses now; None if the system doesn't say."""
        found = [usage for pid in self.pids if (usage := tree_usage(pid)) is not None]
        if not found:
            return None
        return TreeUsage(sum((each.server for each in found), Usage()), sum((each.stream for each in found), Usage()))


@contextlib.contextmanager
def ours(
    definitions: int = 0, environment: Mapping[str, str] | None = None, module: str = "bq_server"
) -> Iterator[Subject]:
    """bq-server with a game of so many definitions; `module` takes the arguments of `bq-server` in its place."""
    command = [sys.executable, "-m", module]
    server = PrivateServer(command=command, environment={"PYTHONPATH": str(HERE.parent), **(environment or {})})
    try:
        server.start()
        if definitions:
            with api_client(server.url, server.key) as client:
                apply_game(client, document(definitions))
        yield Subject(server.url, server.key, (server.pid,))
    finally:
        server.kill()  # what waits in its queue is not worth waiting for
        server.close()


@contextlib.contextmanager
def fastapi() -> Iterator[Subject]:
    """The FastAPI peer with a Valkey of its own. Raises `Missing`."""
    for module in ("fastapi", "uvicorn", "httptools"):
        if importlib.util.find_spec(module) is None:
            raise SubjectNotFound(f"no {module}: install the dev requirements")
    with _peer([sys.executable, str(HERE / "peers" / "fastapi_peer.py")]) as subject:
        yield subject


@contextlib.contextmanager
def fastify() -> Iterator[Subject]:
    """The Fastify peer with a Valkey of its own. Raises `Missing`."""
    node = shutil.which("node")
    if node is None:
        raise SubjectNotFound("no node: install Node.js 20 or newer with npm")
    if not (FASTIFY / "node_modules").is_dir():
        raise SubjectNotFound("its packages are not installed: run `npm ci` in loadtests/peers/fastify")
    with _peer([node, str(FASTIFY / "server.js")]) as subject:
        yield subject


@contextlib.contextmanager
def constant(module: str) -> Iterator[Subject]:
    """A server of `loadtests/bench` with a constant response."""
    with _listening([sys.executable, "-m", f"loadtests.bench.{module}"]) as (url, pid):
        yield Subject(url, "none", (pid,))


@contextlib.contextmanager
def _peer(command: Sequence[str]) -> Iterator[Subject]:
    key = f"bq_test_{secrets.token_hex(16)}"
    # Under the system's own temporary directory: the path of a Unix socket must be short.
    with (
        tempfile.TemporaryDirectory(prefix="bq-peer-") as name,
        private_valkey(Path(name)) as (path, valkey),
        _listening([*command, str(path), key]) as (url, pid),
    ):
        yield Subject(url, key, (pid, valkey))


@contextlib.contextmanager
def _listening(command: Sequence[str]) -> Iterator[tuple[str, int]]:
    """A program that prints `listening PORT` when it does. Raises `RuntimeError` with what it said instead."""
    with tempfile.TemporaryDirectory(prefix="bq-bench-") as name:
        printed = Path(name, "printed")
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "NODE_ENV": "production"}
        with printed.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - programs of this directory
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        try:
            yield f"http://127.0.0.1:{_port(process, printed)}", process.pid
        finally:
            end(process, signal.SIGKILL, STOP_SECONDS)


def _port(process: subprocess.Popen[bytes], printed: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        first, newline, _ = printed.read_text("utf-8", errors="replace").partition("\n")
        if newline and first.startswith("listening "):
            return int(first.removeprefix("listening "))
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"{process.args!r} doesn't listen:\n{printed.read_text('utf-8', errors='replace')[-2000:]}")
