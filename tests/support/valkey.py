"""A stream server that the test, not the server under test, owns."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from bq_server.stream.valkey_binary import server_binary
from tests.support.process import until

PASSWORD = "s3cret"


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
    port, password = free_port(), PASSWORD
    command = [
        str(server_binary()),
        "--port",
        str(port),
        "--requirepass",
        password,
        "--dir",
        str(directory),
        "--save",
        "",
    ]
    process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Valkey(port, password, process)

    def answers() -> bool:
        with server.client() as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    try:
        until("Valkey answers", answers)
        yield server
    finally:
        process.kill()
        process.wait()
