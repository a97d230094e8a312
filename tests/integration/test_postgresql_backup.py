"""A backup of a store on PostgreSQL is a backup like any other: with the queue, and restored wherever one likes."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from bq_server.store.postgresql.file_copy import copy_to_file, filled_from_file
from tests.support.client import event
from tests.support.process import ServerProcess, run
from tests.support.store import asked, no_new_facts, of_a_file

pytestmark = of_a_file  # they name another store themselves
GAME: dict[str, Any] = {
    "points": [{"code": "p", "on": "purchase_completed", "award": 5}],
    "leaderboards": [{"code": "top", "name": "Top", "metric": "points", "window": ["all_time"]}],
}
VARIABLE = "BQ_STORE_URL"


@pytest.fixture(autouse=True)
def _on_postgresql(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, store_url)


def done(*arguments: str | Path) -> str:
    ended = run(*map(str, arguments))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def refused(*arguments: str | Path) -> str:
    ended = run(*map(str, arguments))
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
    return ended.stderr


def state(server: ServerProcess, key: str) -> Any:
    assert server.request("POST", "/sandbox/drain", key, json={}).json()["facts"] == 5
    return [
        server.request("GET", path, key).json()
        for path in ("/gamify/participants/user_123/state", "/gamify/leaderboards/top", "/facts", "/admin/audit-log")
    ]


def backed_up(server: ServerProcess, data_dir: Path, file: Path) -> Any:
    """Back up a server with two facts and three messages that wait; returns what it has come to."""
    assert server.request("PUT", "/gamify/admin/game", json=GAME).status_code == 200
    for number in range(2):
        sent = event(idempotency_key=f"sync {number}")
        assert server.request("POST", "/ingest/events/sync", json=sent).status_code == 200
    with no_new_facts(data_dir):
        for number in range(3):
            assert server.request("POST", "/ingest/events", json=event(n=number)).status_code == 202
        assert "2 facts, 3 queued messages" in done("backup", file, "--data-dir", data_dir)
    return state(server, server.key)


def test_it_holds_all_and_is_restored_to_a_file_and_to_postgresql(
    data_dir: Path, tmp_path: Path, store_url: str, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ServerProcess(data_dir) as server:
        key = server.key
        expected = backed_up(server, data_dir, tmp_path / "backup")
        assert server.stop() == 0
    monkeypatch.setenv(VARIABLE, "")
    done("restore", tmp_path / "backup", "--data-dir", tmp_path / "file")
    done("restore", tmp_path / "backup", "--data-dir", tmp_path / "moved")
    with ServerProcess(tmp_path / "file") as again:
        found = state(again, key)
        assert found[0]["points"] == expected[0]["points"]
        assert [each["event_id"] for each in found[2]["facts"]] == [each["event_id"] for each in expected[2]["facts"]]
        assert found[3]["entries"][1:] == expected[3]["entries"], "and the restore itself"
        assert again.stop() == 0
    assert "no difference" in done("verify", "--data-dir", tmp_path / "file")
    other = postgres.database()
    done("store", "move", "--data-dir", tmp_path / "moved", "--to", other)
    monkeypatch.setenv(VARIABLE, other)
    with ServerProcess(tmp_path / "moved") as again:
        assert state(again, key)[1]["entries"] == expected[1]["entries"]
        assert again.stop() == 0
    assert "no difference" in done("verify", "--data-dir", tmp_path / "moved")


def test_it_is_restored_straight_into_postgresql(
    data_dir: Path, tmp_path: Path, store_url: str, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, target, empty = tmp_path / "backup", tmp_path / "again", postgres.database()
    with ServerProcess(data_dir) as server:
        key = server.key
        expected = backed_up(server, data_dir, file)
        into = ("restore", file, "--data-dir", target, "--store-url")
        assert "another bq-server serves from this store" in refused(*into, store_url)
        assert server.stop() == 0
    assert "is not empty" in refused(*into, store_url)
    assert not target.exists()
    assert "2 facts, 3 queued messages" in done(*into, empty)
    assert not (target / "facts.sqlite3").exists()
    assert "is not empty" in refused("restore", file, "--data-dir", tmp_path / "third", "--store-url", empty)
    monkeypatch.setenv(VARIABLE, empty)
    with ServerProcess(target) as again:
        found = state(again, key)
        assert found[:2] == expected[:2]
        assert [each["event_id"] for each in found[2]["facts"]] == [each["event_id"] for each in expected[2]["facts"]]
        assert again.request("POST", "/ingest/events/sync", key, json=event(n=9)).is_success, "numbers go on"
        assert again.stop() == 0
    assert "no difference" in done("verify", "--data-dir", target)


def test_a_restore_that_fails_leaves_the_database_as_it_was(data_dir: Path, tmp_path: Path, postgres: Any) -> None:
    with ServerProcess(data_dir) as server:
        assert server.request("POST", "/ingest/events/sync", json=event()).status_code == 200
        done("backup", tmp_path / "backup", "--data-dir", data_dir)
        assert server.stop() == 0
    empty = postgres.database()
    into = ("restore", tmp_path / "backup", "--data-dir", tmp_path / "again", "--store-url", empty)
    assert "connecting to 127.0.0.1:1" in refused(*into, "--redis-url", "redis://127.0.0.1:1/0")
    assert not (tmp_path / "again").exists()
    file = tmp_path / "file"
    asyncio.run(copy_to_file(os.environ[VARIABLE], file))
    with pytest.raises(LookupError), filled_from_file(file, empty):
        raise LookupError
    assert asked(empty, "SELECT count(*) FROM facts") == [(0,)]
    done(*into)
    assert asked(empty, "SELECT count(*) FROM facts") == [(1,)]


def test_what_is_no_store_or_has_another_stream_is_refused(
    data_dir: Path, tmp_path: Path, store_url: str, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = postgres.database()
    with ServerProcess(data_dir) as server:
        backup = ("backup", tmp_path / "backup", "--data-dir", data_dir)
        assert "there is no store yet" in refused(*backup, "--store-url", empty)
        assert "can't be reached" in refused(*backup, "--store-url", "postgresql://u:secret@127.0.0.1:1/x")
        assert "doesn't belong to" in refused("backup", tmp_path / "backup", "--data-dir", tmp_path / "other")
        assert server.stop() == 0
    assert list(tmp_path.glob("*backup*")) == []
