"""Backup and restore: promises 1 and 2 hold through both, under load and in every state a server can be in."""

import asyncio
import fcntl
import json
import os
import stat
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis

from bq_server.backup.snapshot import take
from bq_server.clock import system_clock
from bq_server.events import Event, Scope
from bq_server.runtime.data_directory import DataDirectory
from bq_server.store import database_copy
from bq_server.stream.embedded import EmbeddedValkey
from bq_server.stream.keys import StreamKeys
from tests.support.client import Json, event
from tests.support.process import COMMAND, ServerProcess, run, until
from tests.support.store import no_new_facts
from tests.support.valkey import valkey

BATCH = 50
BACKUPS = 2


def stream_of(data_dir: Path) -> "redis.Redis":
    """A client of the embedded stream server that runs there."""
    return redis.Redis.from_url(EmbeddedValkey(data_dir / "stream").url)


def make_dead_letter(client: "redis.Redis", message_id: str, payload: bytes) -> None:
    client.hset("bq:dead", message_id, json.dumps({"reason": "r", "died_at": 1, "payload": payload.hex()}))


def taken(data_dir: Path, file: Path, *flags: str) -> str:
    ended = run("backup", str(file), "--data-dir", str(data_dir), *flags)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def restored(file: Path, data_dir: Path, *flags: str) -> str:
    ended = run("restore", str(file), "--data-dir", str(data_dir), *flags)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def refused(command: str, file: Path, data_dir: Path, *flags: str) -> str:
    ended = run(command, str(file), "--data-dir", str(data_dir), *flags)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
    return ended.stderr


def numbers(server: ServerProcess, key: str) -> Counter[int]:
    """How often each number sent is a fact."""
    seen: Counter[int] = Counter()
    with server.client(key) as client:
        query: dict[str, str] = {"limit": "1000"}
        while True:
            page = client.get("/facts", params=query).json()
            seen.update(fact["properties"]["n"] for fact in page["facts"] if "n" in fact["properties"])
            if page["next_cursor"] is None:
                return seen
            query["cursor"] = page["next_cursor"]


def verified(data_dir: Path) -> None:
    ended = run("verify", "--data-dir", str(data_dir))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def numbered(number: int) -> Json:
    """Half of them have a key."""
    keyed = {"idempotency_key": f"k{number}"} if number % 2 else {}
    return event(participant_id=f"u{number % 20}", properties={"n": number}, **keyed)


class Senders:
    """Send numbered events by every way until told to stop, and remember which were accepted."""

    def __init__(self, server: ServerProcess) -> None:
        self.accepted: list[int] = []
        self._server = server
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(way, way * 1_000_000)) for way in range(3)]

    def __enter__(self) -> "Senders":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send(self, way: int, number: int) -> None:
        with self._server.client() as client:
            while not self._stopping.is_set():
                several = range(number, number + (BATCH if way == 0 else 1))
                events = [numbered(each) for each in several]
                match way:
                    case 0:
                        answer = client.post("/ingest/events/batch", json={"events": events})
                    case 1:
                        answer = client.post("/ingest/events", json=events[0])
                    case _:
                        answer = client.post("/ingest/events/sync", json=events[0])
                if answer.is_success:
                    self.accepted += several
                number += len(several)


def test_what_was_accepted_before_a_backup_is_one_fact_after_its_restore(data_dir: Path, tmp_path: Path) -> None:
    accepted_before = []
    with ServerProcess(data_dir) as server:
        key = server.key
        with Senders(server) as senders:
            for backup in range(BACKUPS):
                with no_new_facts(data_dir):
                    wanted = len(senders.accepted) + 20 * BATCH
                    until("a backlog is accepted", lambda wanted=wanted: len(senders.accepted) >= wanted)
                accepted_before.append(set(senders.accepted))
                # The backlog becomes facts while it is copied.
                said = taken(data_dir, tmp_path / f"{backup}.backup")
                assert "queued messages" in said
        assert server.stop() == 0
    for backup, accepted in enumerate(accepted_before):
        elsewhere = tmp_path / f"restored-{backup}"
        restored(tmp_path / f"{backup}.backup", elsewhere)
        verified(elsewhere)
        with ServerProcess(elsewhere) as server:
            until(
                "all of it is a fact", lambda server=server, accepted=accepted: accepted <= numbers(server, key).keys()
            )
            resent = [number for number in sorted(accepted) if number % 2][-200:]
            with server.client(key) as client:
                for start in range(0, len(resent), BATCH):
                    events = [numbered(number) for number in resent[start : start + BATCH]]
                    answer = client.post("/ingest/events/batch", json={"events": events})
                    assert answer.status_code == 202, answer.text
                last = client.post("/ingest/events", json=event("last")).json()["message_id"]
                until(
                    "the repeats are settled",
                    lambda client=client, last=last: (
                        client.get(f"/ingest/messages/{last}").json()["status"] == "processed"
                    ),
                )
            assert [number for number, times in numbers(server, key).items() if times > 1] == []
            verified(elsewhere)
            assert server.stop() == 0


def test_a_queue_survives_backup_and_restore_of_a_server_that_was_killed(data_dir: Path, tmp_path: Path) -> None:
    with ServerProcess(data_dir) as server:
        key = server.key
        first = server.request("POST", "/ingest/events/sync", json=event(idempotency_key="k")).json()
        stray = Event("evt_stray", Scope("default", "test"), "other", "u", "{}", 0, 0, "k", "another fingerprint")
        with stream_of(data_dir) as stream:
            dead = bytes(stream.xadd("bq:events", {"e": stray.to_payload()})).decode()
        until(
            "it is a dead letter",
            lambda: server.request("GET", f"/ingest/messages/{dead}").json().get("status") == "dead",
        )
        with no_new_facts(data_dir):
            waiting = [
                server.request("POST", "/ingest/events", json=numbered(number)).json()["message_id"]
                for number in range(4)
            ]
            server.kill()
        until("the stream server is gone", lambda: server.valkey_pids == [])
    assert "1 facts, 4 queued messages, 1 dead letters" in taken(data_dir, tmp_path / "backup")
    assert server.valkey_pids == [], "nothing that was started for it stays"
    elsewhere = tmp_path / "elsewhere"
    restored(tmp_path / "backup", elsewhere)
    assert server.valkey_pids == []
    assert {path.name for path in elsewhere.iterdir()} == {"facts.sqlite3", "stream", "lock"}
    with ServerProcess(elsewhere) as again:
        for number, message_id in enumerate(waiting):
            until(
                "it is a fact",
                lambda wanted=message_id: (
                    again.request("GET", f"/ingest/messages/{wanted}", key).json()["status"] == "processed"
                ),
            )
            repeat = again.request("POST", "/ingest/events", key, json=numbered(number))
            assert (repeat.json()["message_id"] == message_id) == bool(number % 2), "a repeat of one with a key"
        found = again.request("GET", f"/ingest/messages/{dead}", key).json()
        assert found["status"] == "dead"
        assert first["fact_id"] in found["reason"]
        assert again.stop() == 0


def test_another_stream_server_is_backed_up_and_restored_the_same_way(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    with valkey(tmp_path / "outside", "--appendonly", "yes") as outside, outside.client() as client:
        at_it = ("--redis-url", outside.url)
        with ServerProcess(data_dir, *at_it) as server:
            assert "--redis-url" in refused("backup", file, data_dir), "the embedded one is not there to be asked"
            assert not file.exists()
            with no_new_facts(data_dir):
                sent = [numbered(number) for number in (1, 3)]
                ids = [server.request("POST", "/ingest/events", json=each).json()["message_id"] for each in sent]
                ((_, fields),) = client.xrange("bq:events", ids[0], ids[0])
                make_dead_letter(client, ids[0], fields[b"e"])  # as if it had become one between the two readings
                client.xdel("bq:events", client.xadd("bq:events", {"e": b"the newest id, and gone"}))
                old = Event("evt_old", Scope("default", "test"), "e", "u", "{}", 0, 0, "k5", "a fingerprint")
                make_dead_letter(client, "7-7", old.to_payload())
                make_dead_letter(client, "7-8", b"{}")
                taken(data_dir, file, *at_it)
            assert server.stop() == 0
        assert "doesn't belong to" in refused("backup", tmp_path / "other", data_dir), "an embedded one nobody used"

        elsewhere = tmp_path / "elsewhere"
        assert "is in use" in refused("restore", file, elsewhere, *at_it)
        assert not elsewhere.exists()
        restored(file, elsewhere, *at_it, "--redis-prefix", "new")
        assert [bytes(message_id).decode() for message_id, _ in client.xrange("new:events")] == ids[1:], "one is dead"
        assert client.hgetall("new:dead") == client.hgetall("bq:dead")
        assert (
            client.xinfo_stream("new:events")["last-generated-id"]
            == client.xinfo_stream("bq:events")["last-generated-id"]
        )
        assert client.get("new:owner") != client.get("bq:owner"), "a copy is an installation of its own"
        assert not (elsewhere / "stream").exists()
        for key in ("idempotency:default:test:k1", "idempotency:default:test:k3"):
            assert client.get(f"new:{key}") == client.get(f"bq:{key}") is not None
            assert 86_000 < int(client.ttl(f"new:{key}")) <= 86_400
        assert client.exists("new:idempotency:default:test:k5") == 0, "its key was forgotten before the backup"


@pytest.mark.parametrize("state", ["database", "stranger", "served"])
def test_a_target_in_use_is_refused_and_left_alone(data_dir: Path, tmp_path: Path, state: str) -> None:
    with ServerProcess(data_dir) as server:
        taken(data_dir, tmp_path / "backup")
        target = tmp_path / "target"
        if state == "stranger":
            target.mkdir()
            (target / "letter.txt").write_text("mine")
        elif state == "served":
            target = data_dir
        else:
            target.mkdir()
            (target / "facts.sqlite3").write_bytes(b"")
        before = sorted(path.name for path in target.iterdir())
        said = refused("restore", tmp_path / "backup", target)
        assert {"database": "facts.sqlite3", "stranger": "letter.txt", "served": "another bq-server"}[state] in said
        assert {path.name for path in target.iterdir()} - {"lock"} == set(before) - {"lock"}
        assert server.request("GET", "/facts").status_code == 200
        assert server.stop() == 0


def test_a_restore_that_was_killed_can_be_repeated(data_dir: Path, tmp_path: Path) -> None:
    with ServerProcess(data_dir) as server:
        key = server.key
        taken(data_dir, tmp_path / "backup")
        assert server.stop() == 0
    target = tmp_path / "target"
    (target / ".restoring-x" / "stream").mkdir(parents=True)
    (target / "stream").mkdir()
    (target / "lost+found").mkdir()
    restored(tmp_path / "backup", target)
    assert {path.name for path in target.iterdir()} == {"facts.sqlite3", "stream", "lock", "lost+found"}
    with ServerProcess(target) as again:
        assert again.request("GET", "/facts", key).status_code == 200
        assert again.stop() == 0


@pytest.fixture
def sockets() -> Iterator[Path]:
    """An empty directory with a short name."""
    with TemporaryDirectory(prefix="bq-test-", dir="/tmp") as name:
        yield Path(name)


def test_a_directory_too_deep_for_a_socket_leaves_none_behind(data_dir: Path, tmp_path: Path, sockets: Path) -> None:
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    env = {"TMPDIR": str(sockets)}
    with ServerProcess(data_dir) as server:
        assert server.stop() == 0
    taken(data_dir, tmp_path / "backup")
    ended = run("restore", str(tmp_path / "backup"), "--data-dir", str(deep / "data"), env=env)
    assert ended.returncode == 0, ended.stderr
    assert list(sockets.iterdir()) == []
    with ServerProcess(deep / "data", env=env) as server:
        again = run("backup", str(tmp_path / "again"), "--data-dir", str(deep / "data"), env=env)
        assert again.returncode == 0, again.stderr
        assert server.stop() == 0
    assert list(sockets.iterdir()) == []


def test_a_backup_has_its_name_when_it_is_whole_and_replaces_only_by_force(data_dir: Path, tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    file = aside / "backup"
    with ServerProcess(data_dir) as server:
        server.request("POST", "/ingest/events/sync", json=event())
        limited = f"ulimit -f 40; exec {' '.join(COMMAND)} backup {file} --data-dir {data_dir}"
        ended = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
        assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
        assert ended.stderr.startswith("bq-server: ")
        assert list(aside.iterdir()) == []
        taken(data_dir, file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        first = file.read_bytes()
        assert "--force" in refused("backup", file, data_dir)
        assert file.read_bytes() == first
        server.request("POST", "/ingest/events/sync", json=event())
        assert "2 facts" in taken(data_dir, file, "--force")
        assert [path.name for path in aside.iterdir()] == ["backup"]
        assert "can't be written" in refused("backup", tmp_path / "none" / "backup", data_dir)
        assert "no database" in refused("backup", tmp_path / "b", tmp_path / "nothing")
        assert server.stop() == 0
    target = tmp_path / "target"
    limited = f"ulimit -f 40; exec {' '.join(COMMAND)} restore {file} --data-dir {target}"
    ended = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
    assert "can't be written" in ended.stderr
    assert not target.exists()
    (tmp_path / "file").write_text("")
    assert "can't be created" in refused("restore", file, tmp_path / "file" / "data")
    assert "can't be created" in refused("restore", file, tmp_path / "file")
    assert "can't be created" in refused("restore", file, Path("/proc/none/data"))


def test_a_backup_removes_what_a_killed_one_left_and_nothing_else(data_dir: Path, tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    kept = [aside / name for name in (".bq", "bq-backup-x", ".bq-backup-held", ".bq-backup-file")]
    left = aside / ".bq-backup-left"
    for directory in (*kept[:3], left):
        directory.mkdir(parents=True)
        (directory / "facts.sqlite3").write_bytes(b"half")
    kept[3].touch()
    with ServerProcess(data_dir) as server:
        server.request("POST", "/ingest/events/sync", json=event())
        assert server.stop() == 0
    held = os.open(kept[2], os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    taken(data_dir, aside / "b")
    os.close(held)
    assert set(aside.iterdir()) == {*kept, aside / "b"}


def test_what_was_queued_when_its_environment_was_emptied_does_not_come_back(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[Path] = []
    copy = database_copy.copy
    with ServerProcess(data_dir) as server, ExitStack() as waiting:
        waiting.enter_context(no_new_facts(data_dir))
        for number in range(3):
            assert server.request("POST", "/ingest/events", json=numbered(number)).status_code == 202

        def emptied_before(source: Path, target: Path) -> None:
            copies.append(target)
            if len(copies) == 1:
                waiting.close()
                assert server.request("POST", "/sandbox/reset", json={}).status_code == 200
            copy(source, target)

        monkeypatch.setattr(database_copy, "copy", emptied_before)
        directory, file = DataDirectory(data_dir), tmp_path / "backup"
        manifest = asyncio.run(take(directory, None, StreamKeys("bq"), file, replace=False, clock=system_clock))
        assert (len(copies), manifest.queued, manifest.facts) == (2, 0, 0)
        assert server.stop() == 0


def test_a_server_does_not_begin_where_a_restore_was_not_finished(data_dir: Path) -> None:
    (data_dir / ".restoring-x").mkdir(parents=True)
    ended = run("serve", "--port", "0", "--data-dir", str(data_dir))
    assert ended.returncode == 1
    assert "a restore into" in ended.stderr
    assert not (data_dir / "facts.sqlite3").exists()
