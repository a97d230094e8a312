"""What tests of stories share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.client import Client
from harness.private_postgres import PrivatePostgres
from harness.private_server import PrivateServer
from tests.harness.told_stories import Teller
from tests.support.shared_servers import SharedServers
from tests.support.store import POSTGRESQL, PROCESSES


@pytest.fixture(scope="module")
def client(
    store: str, start_postgres: Callable[[], PrivatePostgres], shared_servers: SharedServers
) -> Iterator[Client]:
    """A client of a server with that kind of store, or of any of several processes."""
    if store == PROCESSES:
        shared = shared_servers(store)
        with Client(shared.url, shared.keys()["test"]) as client:
            yield client
        return
    environment = {"BQ_STORE_URL": start_postgres().database()} if store == POSTGRESQL else {}
    with PrivateServer(environment=environment) as server, Client(server.url, server.key) as client:
        yield client


@pytest.fixture
def told(client: Client, tmp_path: Path) -> Teller:
    return Teller(client, tmp_path / "story.yaml")
