"""The database of a server under test, in the hands of somebody else."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bq_server.runtime.data_directory import DataDirectory
from bq_server.store.backend import backend_of

T = TypeVar("T")

SQLITE, POSTGRESQL = STORES = ("sqlite", "postgresql")
PROCESSES = "processes"
"""PostgreSQL, with several processes over it."""

of_a_file = pytest.mark.of_a_file
"""Marks a test of what only a store in a file has."""

of_one_process = pytest.mark.of_one_process
"""Marks a test of so much at once that some of it may be refused where several processes wait for each other."""


def address_of(data_dir: Path) -> Path | str:
    """Where the store of a data directory is: a file there, unless the test's processes are told of another."""
    return os.environ.get("BQ_STORE_URL") or DataDirectory(data_dir).database


@contextmanager
def opened(data_dir: Path) -> Iterator[Any]:
    """A DB-API connection to it."""
    with closing(backend_of(address_of(data_dir)).connect(5)) as connection:
        yield connection


def at_store(address: Path | str, work: Callable[[Any], T]) -> T:
    """What a function makes of a DB-API connection to the store, in a thread, whose loop is not the test's."""

    def look() -> T:
        with closing(backend_of(address).connect(15)) as connection:
            return work(connection)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(look).result()


def asked(address: Path | str, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """What a statement finds there."""
    return at_store(address, lambda connection: list(map(tuple, connection.execute(sql, parameters).fetchall())))


def changed(address: Path | str, sql: str, *parameters: object) -> int:
    """How many rows a statement changes there."""
    return at_store(address, lambda connection: int(connection.execute(sql, parameters).rowcount))


@contextmanager
def no_new_facts(data_dir: Path) -> Iterator[None]:
    """Keep whoever writes facts waiting, so that accepted events stay in the stream."""
    with opened(data_dir) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            blocker.execute("ROLLBACK")


@contextmanager
def unreadable_game(data_dir: Path, environment: str = "test") -> Iterator[None]:
    """Put a game in force that means nothing to the program, as one of another host may; at the end, none."""
    stranger = {"streaks": [{"code": "s", "name": "S", "on": "e", "period": "daily", "timezone": "Mars/Olympus"}]}
    _put_game(data_dir, environment, json.dumps(stranger))
    try:
        yield
    finally:
        _put_game(data_dir, environment, "{}")


def _put_game(data_dir: Path, environment: str, document: str) -> None:
    with opened(data_dir) as connection:
        connection.execute(
            "INSERT INTO games (project, environment, document, version, applied_at) VALUES ('default', ?, ?, 1, 0)"
            " ON CONFLICT (project, environment) DO UPDATE SET document = excluded.document, "
            "version = games.version + 1",
            (environment, document),
        )
