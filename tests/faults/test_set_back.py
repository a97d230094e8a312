"""A database that is set back beside its stream is noticed; nothing that the server does itself is taken for it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from harness.private_postgres import PrivatePostgres
from tests.faults.test_losses import doctor, noticed, readiness, sent, statuses
from tests.support.client import event
from tests.support.process import ServerProcess, run, until
from tests.support.store import POSTGRESQL, address_of, asked, of_a_file
from tests.support.valkey import Valkey


@pytest.fixture
def server(outside: Valkey, data_dir: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir, "--redis-url", outside.url) as started:
        yield started
        assert "Traceback" not in started.log


class Copies(Protocol):
    """Copies of a database that no server uses."""

    def take(self) -> None: ...

    def put_back(self) -> None: ...


class FileCopy:
    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / "facts.sqlite3"
        self._copy = data_dir.parent / "copy.sqlite3"

    def take(self) -> None:
        shutil.copy(self._file, self._copy)

    def put_back(self) -> None:
        for name in ("", "-wal", "-shm"):
            self._file.with_name(f"facts.sqlite3{name}").unlink(missing_ok=True)
        shutil.copy(self._copy, self._file)


class ServerCopy:
    def __init__(self, postgres: PrivatePostgres, url: str) -> None:
        self._postgres = postgres
        self._url = url

    def take(self) -> None:
        self._copy = self._postgres.database(self._url)

    def put_back(self) -> None:
        self._postgres.replace(self._url, self._copy)


@pytest.fixture
def copies(data_dir: Path, store: str, request: pytest.FixtureRequest) -> Copies:
    if store == POSTGRESQL:
        return ServerCopy(request.getfixturevalue("postgres"), os.environ["BQ_STORE_URL"])
    return FileCopy(data_dir)


def facts(server: ServerProcess, name: str, count: int, *, sync: bool = False) -> list[str]:
    """Make facts of so many events; the ids of their messages, if they have some."""
    path = "/ingest/events/sync" if sync else "/ingest/events"
    with server.client() as client:
        answers = [client.post(path, json=event(name, idempotency_key=f"{name}{n}")).json() for n in range(count)]
    ids = [answer["message_id"] for answer in answers] if not sync else []
    until("all are facts", lambda: set(statuses(server, ids)) <= {"processed"})
    return ids


def noted(server: ServerProcess, outside: Valkey) -> bool:
    """Whether the stream has noted all facts."""
    ((last,),) = asked(address_of(server.data_dir), "SELECT max(seq) FROM facts")
    with outside.client() as stream:
        return any(name.startswith(b"facts:") and int(to) == last for name, to in stream.hgetall("bq:counts").items())


def test_a_copy_put_in_its_place(server: ServerProcess, outside: Valkey, copies: Copies) -> None:
    kept = facts(server, "before", 3)
    assert server.stop() == 0
    copies.take()
    server.start()
    lost = facts(server, "after", 7)
    facts(server, "atonce", 2, sync=True)
    until("the stream knows of those, too", lambda: noted(server, outside))
    server.kill()
    copies.put_back()
    server.start(ready=False)
    said = noticed(server)
    assert "the database was set back to an earlier moment: at least 9 facts are lost" in said
    assert "doctor --acknowledge" in said
    assert "store.set_back" in server.log
    assert '"facts": 9' in server.log
    # Each message is a fact or lost, and what is lost can be sent again.
    assert statuses(server, kept) == ["processed"] * 3
    assert statuses(server, lost) == ["lost"] * 7
    told = server.request("GET", f"/ingest/messages/{lost[0]}").json()
    assert "set back" in told["reason"]
    sent_again = event("after", idempotency_key="after0")
    again = server.request("POST", "/ingest/events", json=sent_again).json()["message_id"]
    assert again not in lost
    until("it is a fact", lambda: statuses(server, [again]) == ["processed"])
    at_once = server.request("POST", "/ingest/events/sync", json=event("atonce", idempotency_key="atonce1"))
    assert at_once.status_code == 200
    # Once, and until somebody says that they know of it.
    server.kill()
    server.start(ready=False)
    assert noticed(server).count("set back") == 1
    assert "at least 9 facts are lost" in doctor(server, outside, "--acknowledge")
    until("it is ready", lambda: not readiness(server))
    assert server.stop() == 0
    server.start()
    assert server.log.count("store.set_back") == 1
    assert server.stop() == 0


def test_beside_a_running_server(
    server: ServerProcess, outside: Valkey, store: str, request: pytest.FixtureRequest
) -> None:
    if store != POSTGRESQL:
        pytest.skip("a server keeps the file open that it began with")
    copies = ServerCopy(request.getfixturevalue("postgres"), os.environ["BQ_STORE_URL"])
    assert server.stop() == 0
    copies.take()
    server.start()
    lost = facts(server, "after", 7)
    copies.put_back()
    # Numbers that stand for names may be of what is gone, so no facts are made, and nothing is lost, before a restart.
    ids = sent(server)
    assert "restart the server" in noticed(server)
    assert "store.set_back" in server.log
    sync = server.request("POST", "/ingest/events/sync", json=event())
    assert (sync.status_code, sync.json()["code"]) == (503, "store_unavailable")
    assert set(statuses(server, ids)) == {"queued"}
    assert server.stop() == 0
    server.start(ready=False)
    assert "at least 7 facts are lost" in noticed(server)
    until("it goes on", lambda: set(statuses(server, ids)) == {"processed"})
    assert statuses(server, lost) == ["lost"] * 7
    assert server.stop() == 0


@of_a_file
def test_a_log_that_was_cut_short(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        facts(server, "e", 20)
        server.kill()
        log = data_dir / "facts.sqlite3-wal"
        # The last facts, and not the beginning, without which there is no database.
        os.truncate(log, log.stat().st_size - 100_000)
        server.start(ready=False)
        assert "the database was set back" in noticed(server)
        assert server.stop() == 0


def test_nothing_that_the_server_does_itself_looks_like_it(server: ServerProcess, outside: Valkey) -> None:
    def again(stop: Callable[[], object]) -> None:
        stop()
        server.start()
        assert "set_back" not in server.log
        assert "losses" not in readiness(server)

    facts(server, "e", 20)
    again(server.kill)
    facts(server, "atonce", 5, sync=True)
    again(server.kill)
    # Facts are removed; those that come after have higher numbers.
    assert server.request("POST", "/sandbox/reset", json={}).status_code == 200
    again(server.stop)
    facts(server, "e2", 5)
    exported = server.request("GET", "/sandbox/export").content
    erased = server.request("POST", "/admin/participants/erase", json={"participant_id": "user_123"})
    assert erased.status_code == 200
    again(server.stop)
    assert server.request("POST", "/sandbox/reset", json={}).status_code == 200
    with server.client() as client:
        as_lines = {"Content-Type": "application/x-ndjson"}
        assert client.post("/sandbox/import", content=exported, headers=as_lines).json()["facts"] == 5
    again(server.kill)
    # Killed while events come, again and again: committed and not taken out of the stream.
    for number in range(5):
        with server.client() as client:
            for n in range(100):
                client.post("/ingest/events", json=event("k", idempotency_key=f"{number}/{n}"))
        again(server.kill)
    # A dry run takes numbers that it doesn't keep.
    server.request("POST", "/ingest/events/sync", params={"dry_run": "true"}, json=event("dry"))
    again(server.stop)
    # The stream is emptied: then there is no note.
    with outside.client() as stream:
        assert server.stop() == 0
        stream.flushall()
    server.start()
    facts(server, "more", 3)
    again(server.kill)
    assert server.stop() == 0


@of_a_file
def test_a_restored_backup_is_no_database_set_back(data_dir: Path, tmp_path: Path) -> None:
    with ServerProcess(data_dir) as server:
        facts(server, "e", 5)
        assert run("backup", str(tmp_path / "b"), "--data-dir", str(data_dir)).returncode == 0
        facts(server, "f", 5)
        assert server.stop() == 0
    assert run("restore", str(tmp_path / "b"), "--data-dir", str(tmp_path / "new")).returncode == 0
    with ServerProcess(tmp_path / "new") as following:
        assert "losses" not in readiness(following)
        assert following.stop() == 0


@of_a_file
def test_a_stream_taken_over_by_a_restored_backup_is_nothing_set_back(
    server: ServerProcess, outside: Valkey, data_dir: Path, tmp_path: Path
) -> None:
    """As docs/deploy.md says how to come by what the lost server had accepted since."""
    facts(server, "e", 5)
    at = ("--data-dir", str(data_dir), "--redis-url", outside.url)
    assert run("backup", str(tmp_path / "b"), *at).returncode == 0
    facts(server, "f", 5)
    server.kill()
    assert run("restore", str(tmp_path / "b"), "--data-dir", str(tmp_path / "new")).returncode == 0
    with outside.client() as stream:
        stream.delete("bq:owner")
    with ServerProcess(tmp_path / "new", "--redis-url", outside.url) as following:
        assert "set_back" not in following.log
        assert following.stop() == 0
