"""What a service manager sees: readiness and stopping, told the way systemd listens."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.process import START_SECONDS, ServerProcess


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + address[1:] if address.startswith("@") else address)
        listening.settimeout(START_SECONDS)
        yield listening


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told_of_readiness_and_of_stopping(data_dir: Path, abstract: bool) -> None:
    address = f"@bq-test-{os.getpid()}" if abstract else str(data_dir.parent / "notify")
    with manager(address) as listening, ServerProcess(data_dir, env={"NOTIFY_SOCKET": address}) as server:
        assert listening.recv(100) == b"READY=1"
        assert httpx.get(f"{server.url}/readyz", verify=False).status_code == 200
        assert server.stop() == 0
        assert listening.recv(100) == b"STOPPING=1"
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.recv(100)


def test_a_service_manager_that_is_gone_stops_nothing(data_dir: Path) -> None:
    for address in (str(data_dir.parent / "nobody"), "vsock:2:1234"):
        with ServerProcess(data_dir, env={"NOTIFY_SOCKET": address}) as server:
            assert server.stop() == 0
    assert server.log.count("service_manager.not_told") == 2
