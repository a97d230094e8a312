"""A bq-server of our own for the length of a run: its own process, directory, port and key."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 20.0
BANNER_URL = re.compile(r"bq-server\s+(http://127\.0\.0\.1:\d+)/api/v1")


class ServerFailed(Exception):
    """The server didn't start. The message ends with what it logged."""


@dataclass(frozen=True, slots=True)
class PrivateServer:
    """Where it listens, on loopback, and its process."""

    url: str
    pid: int


@contextmanager
def private_server(directory: Path, key: str, cores: Collection[int]) -> Iterator[PrivateServer]:
    """Run a server that keeps everything in `directory` and honours `key`, on these cores (empty: on any).

    It has ended, orderly if it can, when the context is left. Raises `ServerFailed`.
    """
    banner, log = directory / "banner.txt", directory / "server.log"
    command = [sys.executable, "-m", "bq_server", "serve", "--host", "127.0.0.1", "--port", "0"]
    # Settings of the caller's own server, such as BQ_REDIS_URL, must not lead the load there.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BQ_")}
    with banner.open("wb") as stdout, log.open("wb") as stderr, on_cores(cores):
        process = subprocess.Popen(  # noqa: S603
            [*command, "--data-dir", str(directory / "data")],
            env={**environment, "BQ_DEV_KEY": key},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            # Ctrl-C is for the generator; the server stays until the last answer is in.
            start_new_session=True,
        )
    try:
        yield PrivateServer(_wait_for_url(process, banner, log), process.pid)
    finally:
        end(process, signal.SIGTERM, STOP_SECONDS)


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Children started inside are bound to these cores; none given, or a system that can't: to any."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    # Set before the child starts and inherited: set later it would miss the child's first threads and children.
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def split_cores() -> tuple[set[int], set[int]]:
    """Cores for the server and for the generator: the last one for the generator. Empty sets when there is but one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (set(cores[:-1]), {cores[-1]}) if len(cores) > 1 else (set(), set())


def end(process: subprocess.Popen[bytes], number: signal.Signals, seconds: float) -> None:
    """Ask the process to end, wait so many seconds, then kill it."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _wait_for_url(process: subprocess.Popen[bytes], banner: Path, log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = BANNER_URL.search(banner.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found[1]
        time.sleep(0.02)
    what = f"didn't start within {START_SECONDS:g} s" if process.poll() is None else f"ended with {process.returncode}"
    tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise ServerFailed(f"the server {what}\n{tail}")
