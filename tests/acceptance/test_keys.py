"""`bq-server keys`, before, while and after a server runs."""

import os
import re
from pathlib import Path

import pytest

from tests.support.client import event
from tests.support.process import ServerProcess, run, until


def create(data_dir: Path, *options: str) -> str:
    made = run("keys", "create", "--data-dir", str(data_dir), *options)
    assert made.returncode == 0, made.stderr
    return made.stdout.removesuffix("\n")


def test_create_prints_only_the_key(data_dir: Path) -> None:
    for environment in ("live", "test"):
        assert re.fullmatch(
            rf"bq_{environment}_[0-9a-f]{{32}}", create(data_dir, "--env", environment, "--scope", "ingest")
        )


def test_a_running_server_honours_new_and_revoked_keys_within_seconds(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        key = create(data_dir, "--env", "live", "--scope", "ingest", "--scope", "read", "--name", "shop")
        with server.client(key) as client:
            until("the key is honoured", lambda: client.get("/facts").status_code == 200, seconds=5)
            assert client.post("/ingest/events/sync", json=event()).status_code == 200
            listed = run("keys", "list", "--data-dir", str(data_dir)).stdout
            assert key not in listed
            (row,) = [line for line in listed.splitlines() if "shop" in line]
            assert "live" in row
            assert "ingest read" in row
            revoked = run("keys", "revoke", row.split()[0], "--data-dir", str(data_dir))
            assert revoked.returncode == 0
            until("the key is refused", lambda: client.get("/facts").status_code == 401, seconds=5)
            refused = client.get("/facts").json()
        with server.client("bq_live_" + "0" * 32) as stranger:
            unknown = stranger.get("/facts").json()
        assert {**refused, "request_id": ""} == {**unknown, "request_id": ""}, "no telling which"
        server.stop()


def test_a_key_made_before_the_first_start_is_the_only_one(data_dir: Path) -> None:
    key = create(data_dir, "--env", "test", "--scope", "admin")
    with ServerProcess(data_dir) as server:
        assert "bq_test_" not in server.banner
        with server.client(key) as client:
            assert client.post("/ingest/events/sync", json=event()).status_code == 200
        server.stop()


def test_a_key_is_kept_as_a_hash_only(data_dir: Path) -> None:
    key = create(data_dir, "--env", "test", "--scope", "read")
    kept = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    assert key.encode() not in kept
    assert key.removeprefix("bq_test_").encode() not in kept


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "--env", "prod", "--scope", "read"], "prod"),
        (["create", "--env", "test", "--scope", "write"], "write"),
        (["create", "--env", "test"], "--scope"),
        (["revoke", "key_none"], "there is no database"),
        (["list"], "there is no database"),
    ],
)
def test_a_wrong_call_ends_with_a_sentence(data_dir: Path, arguments: list[str], said: str) -> None:
    ended = run("keys", *arguments, "--data-dir", str(data_dir))
    assert ended.returncode != 0
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not data_dir.exists(), "a call that fails, or only reads, makes nothing"


def test_a_key_that_is_not_there_can_not_be_revoked(data_dir: Path) -> None:
    create(data_dir, "--env", "test", "--scope", "read")
    ended = run("keys", "revoke", "key_none", "--data-dir", str(data_dir))
    assert (ended.returncode, "key_none" in ended.stderr) == (1, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="to own a directory as somebody else takes root")
@pytest.mark.parametrize("command", ["doctor", "serve", "keys list"])
def test_a_directory_of_somebody_else_is_left_untouched(data_dir: Path, command: str) -> None:
    data_dir.mkdir()
    os.chown(data_dir, 65534, 65534)
    ended = run(*command.split(), "--data-dir", str(data_dir), env={"BQ_PORT": "0"})
    assert ended.returncode != 0
    assert list(data_dir.iterdir()) == []


def test_doctor_names_what_is_in_use(data_dir: Path) -> None:
    fresh = run("doctor", "--port", "0", "--data-dir", str(data_dir))
    assert fresh.returncode == 0
    assert "(new)" in fresh.stdout
    assert not data_dir.exists(), "looking changes nothing"
    with ServerProcess(data_dir) as server:
        running = run("doctor", "--port", "0", "--data-dir", str(data_dir))
        assert running.returncode == 0
        assert "in use" in running.stdout
        server.stop()
    stopped = run("doctor", "--port", "0", "--data-dir", str(data_dir))
    for report in (fresh, running, stopped):
        assert re.search(r"SQLite +3\.\d+\.\d+", report.stdout)
        assert re.search(r"stream +Valkey \d", report.stdout)
        assert re.search(r"durability +fsync", report.stdout)
        assert str(data_dir) in report.stdout
    assert run("doctor", "--port", "0", "--redis-url", "redis://127.0.0.1:1/0").returncode == 1
