"""A Valkey for a peer, set up as bq-server's own: every write is fsynced to its append-only file before it answers."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bq_server.stream.valkey_binary import server_binary

START_SECONDS = 10.0
POLL_SECONDS = 0.01


@contextlib.contextmanager
def private_valkey(directory: Path) -> Iterator[tuple[Path, int]]:
    """One in a directory with a short path; its socket and its process id. Raises `RuntimeError`."""
    path = directory / "valkey.sock"
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "logfile": str(directory / "valkey.log"),
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    process = subprocess.Popen(  # noqa: S603 - the packaged server
        [str(server_binary()), *flags], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_ready(process, path)
        yield path, process.pid
    finally:
        process.kill()  # its data goes with the directory
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], path: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            if probe.recv(64).startswith(b"+PONG"):
                return
        time.sleep(POLL_SECONDS)
    raise RuntimeError("Valkey didn't start")
