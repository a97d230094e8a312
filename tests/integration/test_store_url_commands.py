"""The commands that look into a store take the URL of one on PostgreSQL, as a flag."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import event
from tests.support.process import ServerProcess, run, until
from tests.support.store import changed, of_a_file

pytestmark = of_a_file  # they name another store themselves
GAME = {"points": [{"code": "p", "on": "purchase_completed", "award": 5}]}
NOBODY = "postgresql://u:secret@127.0.0.1:1/x"


@pytest.fixture
def server(data_dir: Path, store_url: str) -> Iterator[ServerProcess]:
    """A server with three facts of one participant."""
    with ServerProcess(data_dir, "--store-url", store_url) as started:
        assert started.request("PUT", "/gamify/admin/game", json=GAME).status_code == 200
        for number in range(3):
            sent = event(idempotency_key=f"k{number}")
            assert started.request("POST", "/ingest/events/sync", json=sent).status_code == 200
        yield started


def done(*arguments: str | Path) -> str:
    ended = run(*map(str, arguments))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_keys_are_made_listed_and_revoked(server: ServerProcess, store_url: str) -> None:
    at = ("--store-url", store_url)
    made = done("keys", "create", "--env", "test", "--scope", "read", "--name", "shop", *at).strip()
    until("the key is known", lambda: server.request("GET", "/facts", made).status_code == 200)
    rows = [line for line in done("keys", "list", *at).splitlines() if "shop" in line]
    assert len(rows) == 1
    done("keys", "revoke", rows[0].split()[0], *at)
    until("the key is known no more", lambda: server.request("GET", "/facts", made).status_code == 401)


def test_verify_sees_a_difference_beside_the_server_and_replay_mends_it_without_one(
    server: ServerProcess, store_url: str
) -> None:
    at = ("--store-url", store_url)
    assert "1 participants verified: no difference" in done("verify", *at)
    assert changed(store_url, "UPDATE ledger SET amount = 6, balance = balance + 1 WHERE number = 3") == 1
    differs = run("verify", "--json", *at)
    found = {(each["participant_id"], each["key"]) for each in json.loads(differs.stdout)["differences"]}
    assert differs.returncode == 1
    assert {who for who, _ in found} == {"user_123"}
    refused = run("replay", "--data-dir", str(server.data_dir), *at)
    assert (refused.returncode, "another bq-server" in refused.stderr) == (1, True)
    elsewhere = run("replay", "--data-dir", str(server.data_dir.parent / "elsewhere"), *at)
    assert (elsewhere.returncode, "another bq-server" in elsewhere.stderr) == (1, True), elsewhere.stderr
    assert server.stop() == 0
    assert "1 participants replayed" in done("replay", "--data-dir", server.data_dir, *at)
    assert "no difference" in done("verify", *at)


def test_doctor_looks_into_it(server: ServerProcess, store_url: str) -> None:
    port = server.url.rpartition(":")[2]
    look = ("doctor", "--data-dir", str(server.data_dir), "--port", port, "--store-url")
    told = done(*look, store_url)
    assert "ok       store       postgresql://" in told
    assert "problem" not in told
    changed(store_url, "UPDATE scopes SET environment = 'live'")  # a test environment may have a clock of its own
    changed(store_url, "UPDATE facts SET processed_at = processed_at + 3600 * 1000000::bigint")
    ahead = run(*look, store_url)
    assert server.stop() == 0
    gone = run(*look[:-2], "0", "--store-url", NOBODY)
    assert (ahead.returncode, "newest fact" in ahead.stdout, gone.returncode) == (1, True, 1)
    assert "problem  store       postgresql://127.0.0.1:1/x: the database server can't be reached" in gone.stdout
    assert "secret" not in gone.stdout + gone.stderr


@pytest.mark.parametrize("command", [("keys", "list"), ("verify",), ("replay",), ("audit", "list"), ("dead", "list")])
def test_one_that_is_not_there_is_said_without_its_password(command: tuple[str, ...], data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)
    ended = run(*command, "--data-dir", str(data_dir), "--store-url", NOBODY)
    assert ended.returncode in (1, 2)
    assert "postgresql://127.0.0.1:1/x: the database server can't be reached" in ended.stderr
    assert "secret" not in ended.stderr
    assert "Traceback" not in ended.stderr
