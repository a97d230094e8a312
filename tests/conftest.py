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
from tests.support.store import POSTGRESQL, PROCESSES, address_of
from tests.support.store_choice import BOTH, CHOICES, USUAL, stores_of

# How long an example takes is the machine's affair.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


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
    which = f"run everything that can be with {BOTH} kinds of store, or only what can be with the one named"
    parser.addoption("--stores", choices=CHOICES, default=USUAL, help=which)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is about the store, or what is kept there, with each kind of store."""
    if "store" in metafunc.fixturenames:
        test, chosen = metafunc.definition, metafunc.config.getoption("--stores")
        module, marks = f"{test.path.parent.name}/{test.path.stem}", {mark.name for mark in test.iter_markers()}
        metafunc.parametrize("store", stores_of(module, marks, metafunc.fixturenames, chosen), indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what doesn't run with the kind of store that was asked for."""
    chosen = config.getoption("--stores")
    if chosen in (POSTGRESQL, PROCESSES):
        left_out = [item for item in items if _store_of(item) != chosen]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if _store_of(item) == chosen]


def _store_of(item: pytest.Item) -> object:
    called = getattr(item, "callspec", None)
    return called and called.params.get("store")


@pytest.fixture(scope="module")
def store(request: pytest.FixtureRequest) -> str:
    """The kind of store that a test's server keeps its facts in."""
    return str(request.param)


@pytest.fixture
def server(shared_servers: SharedServers, store: str) -> ServerProcess:
    """The shared server."""
    return shared_servers(store).process


@pytest.fixture
def server_url(shared_servers: SharedServers, store: str) -> str:
    """Where it answers; of several processes, any."""
    return shared_servers(store).url


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
