"""A stream server that the test, not the server under test, owns."""

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from bq_server.stream.valkey_binary import server_binary
from tests.support.process import until

PASSWORD = "s3cret"

TRIES = 3
"""A port that was free may be somebody else's a moment later."""


class EndedAtOnce(Exception):
    """A server has ended instead of answering."""


@dataclass
class Valkey:
    """A running Valkey on a TCP port, with a password."""

    port: int
    password: str
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"redis://default:{self.password}@127.0.0.1:{self.port}/0"

    def client(self) -> "redis.Redis":
        return redis.Redis.from_url(self.url)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def valkey(directory: Path, *options: str) -> Iterator[Valkey]:
    """Start one; extra `options` come last."""
    directory.mkdir(exist_ok=True)
    command = [str(server_binary()), "--requirepass", PASSWORD, "--dir", str(directory), "--save", ""]
    with ExitStack() as stack:
        for left in reversed(range(TRIES)):
            port = free_port()
            try:
                process = stack.enter_context(running([*command, "--port", str(port), *options], port, PASSWORD))
                break
            except EndedAtOnce:
                if not left:
                    raise
        yield Valkey(port, PASSWORD, process)


@contextmanager
def running(command: Sequence[str], port: int, password: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run what answers as a stream server does at that port, once it does."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        with redis.Redis(port=port, password=password) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    try:
        until("it answers", lambda: answers() or process.poll() is not None)
        if process.poll() is not None:
            raise EndedAtOnce(f"it ended with {process.returncode}")
        yield process
    finally:
        process.kill()
        process.wait()
