"""One server for each test process; a project of its own for each test."""

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

from bq_server.clock import system_clock
from bq_server.ids import IdSource
from bq_server.runtime.data_directory import DataDirectory
from bq_server.store import keys
from bq_server.store.database import Database
from bq_server.store.keys import EVERY_SCOPE, Environment, KeyScope
from tests.support.client import Project
from tests.support.process import ServerProcess, run

# How long an example takes is the machine's affair.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

PROJECTS = 2000
KEYS: dict[str, tuple[KeyScope, ...]] = {
    "test": EVERY_SCOPE,
    "live": EVERY_SCOPE,
    "test:ingest": ("ingest",),
    "test:read": ("read",),
    "test:admin": ("admin",),
}


async def _add_projects(directory: DataDirectory) -> list[dict[str, str]]:
    directory.create()
    ids = IdSource()
    projects = []
    async with Database.open(directory.database) as database, database.transaction() as connection:
        for number in range(PROJECTS):
            made = {}
            for name, scopes in KEYS.items():
                environment: Environment = "live" if name == "live" else "test"
                made[name] = keys.generate(environment, secrets.token_bytes)
                await keys.add(connection, made[name], scopes, name, ids, system_clock(), project=f"p{number}")
            projects.append(made)
    return projects


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def _projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, list[dict[str, str]]]]:
    data_dir = tmp_path_factory.mktemp("shared") / "data"
    projects = asyncio.run(_add_projects(DataDirectory(data_dir)))
    with ServerProcess(data_dir) as server:
        yield server, projects
        # Whatever the tests did, everyone's state is what their facts come to.
        verified = run("verify", "--data-dir", str(data_dir))
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert server.stop() == 0


@pytest.fixture(scope="session")
def server(_projects: tuple[ServerProcess, list[dict[str, str]]]) -> ServerProcess:
    """The shared server."""
    return _projects[0]


@pytest.fixture(scope="session")
def _http(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture
def bq(_projects: tuple[ServerProcess, list[dict[str, str]]], _http: httpx.Client) -> Project:
    """A project nobody used before, on the shared server."""
    return Project(_http, _projects[1].pop())


@pytest.fixture
def other_bq(_projects: tuple[ServerProcess, list[dict[str, str]]], _http: httpx.Client) -> Project:
    """One more such project."""
    return Project(_http, _projects[1].pop())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory that is not there yet."""
    return tmp_path / "data"
