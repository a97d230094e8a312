"""One server for each test process; a project of its own for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from harness.private_postgres import PrivatePostgres
from tests.support.client import Project
from tests.support.process import ServerProcess
from tests.support.shared_servers import SharedServers
from tests.support.store import POSTGRESQL, PROCESSES, SQLITE, STORES, address_of

# How long an example takes is the machine's affair.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

WITH_EACH_STORE = {
    "test_aliases",
    "test_awards",
    "test_challenges",
    "test_contests",
    "test_dead_letters",
    "test_dead_messages",
    "test_interrupted",
    "test_kept_awards",
    "test_leaderboards",
    "test_messages",
    "test_outbox",
    "test_participant_tokens",
    "test_participants",
    "test_participants_page",
    "test_points_expiry",
    "test_rankings",
    "test_recipients",
    "test_rewards",
    "test_sandbox",
    "test_sandbox_export",
    "test_sandbox_reset",
    "test_shared_transactions",
    "test_statement_calls",
    "test_streaks_and_tiers",
    "test_team_leaderboards",
    "test_team_rankings",
    "test_texts",
    "test_voids",
}
"""Modules whose tests run twice."""

WITH_PROCESSES = {
    "test_aliases",
    "test_awards",
    "test_contests",
    "test_participant_tokens",
    "test_recipients",
    "test_rewards",
    "test_sandbox",
    "test_sandbox_at_once",
    "test_sandbox_clock",
    "test_sandbox_export",
    "test_sandbox_reset",
    "test_webhook_sandbox",
}
"""Modules whose tests run once more, each request going to any of two processes."""

OF_ONE_PROCESS = {"server", "data_dir", "new_store", "store_address"}
"""Fixtures of tests that know which process they talk to, or start their own."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def start_postgres() -> Iterator[Callable[[], PrivatePostgres]]:
    """Returns the PostgreSQL of this test process, which its first use starts."""
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(PrivatePostgres()))


@pytest.fixture(scope="session")
def shared_servers(
    tmp_path_factory: pytest.TempPathFactory, start_postgres: Callable[[], PrivatePostgres]
) -> Iterator[SharedServers]:
    """The servers that most tests share."""
    servers = SharedServers(tmp_path_factory, start_postgres)
    yield servers
    servers.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is about the store, or what is kept there, with each kind of store."""
    if "store" in metafunc.fixturenames:
        each = metafunc.definition.path.stem in WITH_EACH_STORE
        of_a_file = metafunc.definition.get_closest_marker("of_a_file") is not None
        stores = [*(STORES if each and not of_a_file else [SQLITE])]
        of_one = metafunc.definition.get_closest_marker("of_one_process") is not None
        several = metafunc.definition.path.stem in WITH_PROCESSES and not of_one
        if several and not of_a_file and not OF_ONE_PROCESS & {*metafunc.fixturenames}:
            stores.append(PROCESSES)
        metafunc.parametrize("store", stores, indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> str:
    """The kind of store that a test's server keeps its facts in."""
    return str(request.param)


@pytest.fixture
def server(shared_servers: SharedServers, store: str) -> ServerProcess:
    """The shared server."""
    return shared_servers(store).process


@pytest.fixture
def bq(shared_servers: SharedServers, store: str) -> Project:
    """A project nobody used before, on the shared server."""
    shared = shared_servers(store)
    return Project(shared.client, shared.keys())


@pytest.fixture
def other_bq(shared_servers: SharedServers, store: str) -> Project:
    """One more such project."""
    shared = shared_servers(store)
    return Project(shared.client, shared.keys())


@pytest.fixture
def data_dir(tmp_path: Path, store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory that is not there yet. Of a store on PostgreSQL every process of the test is told."""
    if store == POSTGRESQL:
        monkeypatch.setenv("BQ_STORE_URL", request.getfixturevalue("store_url"))
    return tmp_path / "data"


@pytest.fixture
def store_address(data_dir: Path) -> Path | str:
    """Where the store of that data directory is."""
    return address_of(data_dir)


@pytest.fixture
def new_store(tmp_path: Path, store: str, request: pytest.FixtureRequest) -> Path | str:
    """Where a store can be made, for what needs no server."""
    return str(request.getfixturevalue("store_url")) if store == POSTGRESQL else tmp_path / "facts.sqlite3"


@pytest.fixture
def postgres(start_postgres: Callable[[], PrivatePostgres]) -> PrivatePostgres:
    """The PostgreSQL of this test process."""
    return start_postgres()


@pytest.fixture
def store_url(postgres: PrivatePostgres) -> str:
    """An empty database there."""
    return postgres.database()
