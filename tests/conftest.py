"""One server for each test process; a project of its own for each test."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from bq_server.store.database import Database
from harness.private_postgres import PrivatePostgres
from tests.support.client import Project
from tests.support.process import ServerProcess
from tests.support.shared_servers import SharedServers
from tests.support.store import POSTGRESQL, PROCESSES, SQLITE, STORES, address_of

# How long an example takes is the machine's affair.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

WITH_EACH_STORE = {"acceptance", "faults", "integration"}
"""Directories whose tests run with each kind of store, but for the modules of `ON_A_FILE` and tests marked `of_a_file`.
Elsewhere those marked `each_store` do."""

BEFORE_THE_STORE = "it is about what comes before the store"
FILES = "it is about the files of a data directory"
ON_A_FILE = {
    "acceptance/test_backup": "test_postgresql_backup has what is different",
    "acceptance/test_browsers": BEFORE_THE_STORE,
    "faults/test_connections": BEFORE_THE_STORE,
    "faults/test_damage": FILES,
    "faults/test_data_directory": FILES,
    "faults/test_gzip": BEFORE_THE_STORE,
    "faults/test_headers": BEFORE_THE_STORE,
    "faults/test_memory": BEFORE_THE_STORE,
    "integration/test_old_backup": FILES,
    "acceptance/test_service": BEFORE_THE_STORE,
    "acceptance/test_tls": BEFORE_THE_STORE,
    "acceptance/test_webhook_tls": "it is about the connection to a receiver",
    "acceptance/test_without_pysqlite3": "it is about which SQLite is used",
}
"""Modules there that run once, and why."""

TO_COME = {
    "acceptance/test_admin_log",
    "acceptance/test_advice",
    "acceptance/test_audit_log",
    "acceptance/test_catalog_bounds",
    "acceptance/test_console",
    "acceptance/test_crash",
    "acceptance/test_doctor",
    "acceptance/test_events",
    "acceptance/test_example",
    "acceptance/test_feed",
    "acceptance/test_feed_cli",
    "acceptance/test_game_cli",
    "acceptance/test_idempotency",
    "acceptance/test_keys",
    "acceptance/test_looking_cli",
    "acceptance/test_metrics",
    "acceptance/test_pressure",
    "acceptance/test_refusals",
    "acceptance/test_sandbox_at_once",
    "acceptance/test_serve",
    "acceptance/test_tracing",
    "acceptance/test_webhook_events",
    "acceptance/test_webhook_sandbox",
    "acceptance/test_webhooks",
    "faults/test_commands",
    "faults/test_elsewhere",
    "faults/test_erasing",
    "faults/test_losses",
    "faults/test_slow_parts",
    "faults/test_unreadable_game",
    "faults/test_webhook_receivers",
    "integration/test_external_stream",
    "integration/test_refolding",
    "integration/test_verify",
}
"""Modules there that run over SQLite alone until somebody has seen them pass over PostgreSQL."""

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


def pytest_addoption(parser: pytest.Parser) -> None:
    which = "the only store of tests that run with several kinds of it (default: all)"
    parser.addoption("--stores", choices=["all", *STORES, PROCESSES], default="all", help=which)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is about the store, or what is kept there, with each kind of store."""
    if "store" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--stores")
        stores = [*(STORES if _runs_with_each(metafunc.definition) else [SQLITE])]
        if _runs_with_processes(metafunc):
            stores.append(PROCESSES)
        metafunc.parametrize("store", [each for each in stores if chosen in (each, "all")], indirect=True)


def _runs_with_each(test: pytest.Item) -> bool:
    directory = test.path.parent.name
    if test.get_closest_marker("of_a_file") is not None or f"{directory}/{test.path.stem}" in {*ON_A_FILE, *TO_COME}:
        return False
    return directory in WITH_EACH_STORE or test.get_closest_marker("each_store") is not None


def _runs_with_processes(metafunc: pytest.Metafunc) -> bool:
    test = metafunc.definition
    if any(test.get_closest_marker(name) is not None for name in ("of_a_file", "of_one_process")):
        return False
    return test.path.stem in WITH_PROCESSES and not OF_ONE_PROCESS & {*metafunc.fixturenames}


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
        monkeypatch.setenv("BQ_STORE_URL", request.getfixturevalue("migrated_url"))
    return tmp_path / "data"


@pytest.fixture
def store_address(data_dir: Path) -> Path | str:
    """Where the store of that data directory is."""
    return address_of(data_dir)


@pytest.fixture
def new_store(tmp_path: Path, store: str, request: pytest.FixtureRequest) -> Path | str:
    """Where a store can be made, for what needs no server."""
    return str(request.getfixturevalue("migrated_url")) if store == POSTGRESQL else tmp_path / "facts.sqlite3"


@pytest.fixture
def postgres(start_postgres: Callable[[], PrivatePostgres]) -> PrivatePostgres:
    """The PostgreSQL of this test process."""
    return start_postgres()


@pytest.fixture
def store_url(postgres: PrivatePostgres) -> Iterator[str]:
    """An empty database there."""
    url = postgres.database()
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def with_tables(start_postgres: Callable[[], PrivatePostgres]) -> Callable[[], str]:
    """Returns a database to copy, which its first use makes: to make the tables takes ten times as long as to copy."""

    async def migrate(url: str) -> None:
        async with Database.open(url):
            pass

    def make() -> str:
        url = start_postgres().database()
        with ThreadPoolExecutor(1) as thread:  # the test may have a loop of its own
            thread.submit(asyncio.run, migrate(url)).result()
        return url

    return cache(make)


@pytest.fixture
def migrated_url(postgres: PrivatePostgres, with_tables: Callable[[], str]) -> Iterator[str]:
    """A database there with all tables, and nothing in them."""
    url = postgres.database(with_tables())
    yield url
    postgres.drop(url)
