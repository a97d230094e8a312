"""The database of a server under test, in the hands of somebody else."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bq_server.store.sqlite import connect


@contextmanager
def no_new_facts(data_dir: Path) -> Iterator[None]:
    """Keep whoever writes facts waiting, so that accepted events stay in the stream."""
    blocker = connect(str(data_dir / "facts.sqlite3"))
    blocker.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()


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
    connection = connect(str(data_dir / "facts.sqlite3"))
    connection.execute(
        "INSERT INTO games (project, environment, document, version, applied_at) VALUES ('default', ?, ?, 1, 0)"
        " ON CONFLICT (project, environment) DO UPDATE SET document = excluded.document, version = games.version + 1",
        (environment, document),
    )
    connection.close()
