"""The servers that most tests share: one for each kind of store, with projects that nobody used before."""

import asyncio
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from bq_server.clock import system_clock
from bq_server.ids import IdSource
from bq_server.runtime.data_directory import DataDirectory
from bq_server.store import keys
from bq_server.store.backend import StoreAddress
from bq_server.store.database import Database
from bq_server.store.keys import EVERY_SCOPE, Environment, KeyScope
from harness.private_postgres import PrivatePostgres
from tests.support.balancer import balancing
from tests.support.fleet import VERIFY_SECONDS, Fleet, fleet
from tests.support.process import ServerProcess, run
from tests.support.store import POSTGRESQL, PROCESSES

PROJECTS = 100
"""Made at once."""
KEYS: dict[str, tuple[KeyScope, ...]] = {
    "test": EVERY_SCOPE,
    "live": EVERY_SCOPE,
    "test:ingest": ("ingest",),
    "test:read": ("read",),
    "test:admin": ("admin",),
}


@dataclass(slots=True)
class SharedServer:
    """A server, a client of it, and projects there."""

    process: ServerProcess
    client: httpx.Client
    address: StoreAddress
    url: str
    """Where any of its processes answers."""
    _unused: list[dict[str, str]] = field(default_factory=list)
    _made: int = 0

    def keys(self) -> dict[str, str]:
        """The keys of a project that nobody used before."""
        if not self._unused:
            self._unused = asyncio.run(_add_projects(self.address, self._made))
            self._made += PROJECTS
        return self._unused.pop()


async def _add_projects(address: StoreAddress, first: int) -> list[dict[str, str]]:
    ids = IdSource()
    projects = []
    async with Database.open(address) as database, database.transaction() as connection:
        for number in range(first, first + PROJECTS):
            made = {}
            for name, scopes in KEYS.items():
                environment: Environment = "live" if name == "live" else "test"
                made[name] = keys.generate(environment, secrets.token_bytes)
                await keys.add(connection, made[name], scopes, name, ids, system_clock(), project=f"p{number}")
            projects.append(made)
    return projects


class SharedServers:
    """Each is started by its first use."""

    def __init__(self, tmp_path_factory: pytest.TempPathFactory, postgres: Callable[[], PrivatePostgres]) -> None:
        self._tmp_path_factory = tmp_path_factory
        self._postgres = postgres
        self._stack = ExitStack()
        self._started: dict[str, SharedServer] = {}

    def __call__(self, store: str) -> SharedServer:
        if store not in self._started:
            if store == PROCESSES:
                self._started[store] = self._several()
                return self._started[store]
            data_dir = self._tmp_path_factory.mktemp(f"shared-{store}") / "data"
            address = self._postgres().database() if store == POSTGRESQL else DataDirectory(data_dir).database
            env = {"BQ_STORE_URL": str(address) if store == POSTGRESQL else ""}
            server = self._stack.enter_context(_verified(ServerProcess(data_dir, env=env), env))
            client = self._stack.enter_context(httpx.Client(base_url=server.url, timeout=30))
            self._started[store] = SharedServer(server, client, address, server.url)
        return self._started[store]

    def _several(self) -> SharedServer:
        """Two processes that answer requests, any of which a request goes to, and two workers."""
        directory, address = self._tmp_path_factory.mktemp("several"), self._postgres().database()
        processes = self._stack.enter_context(_verified_fleet(directory, address))
        client = self._stack.enter_context(processes.client(random.Random(25), key=""))
        urls = [each.url for each in processes.apis]
        return SharedServer(
            processes.apis[0], client, address, self._stack.enter_context(balancing(urls, random.Random(26)))
        )

    def close(self) -> None:
        self._stack.close()


@contextmanager
def _verified(process: ServerProcess, env: dict[str, str]) -> Iterator[ServerProcess]:
    with process as server:
        yield server
        # Whatever the tests did, everyone's state is what their facts come to.
        verified = run("verify", "--data-dir", str(server.data_dir), env=env, seconds=VERIFY_SECONDS)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert server.stop() == 0


@contextmanager
def _verified_fleet(directory: Path, store_url: str) -> Iterator[Fleet]:
    with fleet(directory, store_url) as processes:
        yield processes
        processes.verify()
        assert [each.stop() for each in (*processes.apis, *processes.workers)] == [0, 0, 0, 0]
