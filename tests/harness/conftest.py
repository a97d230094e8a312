"""What tests of stories share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.client import Client
from harness.private_server import PrivateServer
from tests.harness.told_stories import Teller


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with PrivateServer() as server, Client(server.url, server.key) as client:
        yield client


@pytest.fixture
def told(client: Client, tmp_path: Path) -> Teller:
    return Teller(client, tmp_path / "story.yaml")
