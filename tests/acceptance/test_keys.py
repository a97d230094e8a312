"""`bq-server keys`, before, while and after a server runs."""

import asyncio
import os
import re
import secrets
from pathlib import Path

import pytest
import structlog

from bq_server.api.auth import Keyring
from bq_server.ids import IdSource
from bq_server.moments import SECOND
from bq_server.refusals import Code
from bq_server.store import keys
from bq_server.store.database import Database
from tests.support.client import event
from tests.support.problems import check
from tests.support.process import ServerProcess, run, until
from tests.support.stepped_clock import SteppedClock
from tests.support.store import of_a_file


def create(data_dir: Path, *options: str) -> str:
    made = run("keys", "create", "--data-dir", str(data_dir), *options)
    assert made.returncode == 0, made.stderr
    return made.stdout.removesuffix("\n")


def test_create_prints_only_the_key(data_dir: Path) -> None:
    for environment in ("live", "test"):
        assert re.fullmatch(
            rf"bq_{environment}_[0-9a-f]{{32}}", create(data_dir, "--env", environment, "--scope", "ingest")
        )


def test_a_running_server_honours_new_keys_at_once_and_revoked_ones_for_a_second_or_two(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        key = create(data_dir, "--env", "live", "--scope", "ingest", "--scope", "read", "--name", "shop")
        with server.client(key) as client:
            assert client.get("/facts").status_code == 200
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


@pytest.mark.anyio
async def test_an_unknown_key_is_looked_for_and_wrong_keys_share_a_look(new_store: Path | str) -> None:
    looks = 0

    class Counted(Keyring):
        async def refresh(self) -> None:
            nonlocal looks
            looks += 1
            await super().refresh()

    async with Database.open(new_store) as database:
        keyring = Counted(database, SteppedClock())
        await keyring.refresh()
        new = keys.generate("test", secrets.token_bytes)
        async with database.transaction() as connection:
            await keys.add(connection, new, ("read",), "new", IdSource(), 0)
        wrong = [f"bq_test_{number:032x}" for number in range(10)]
        await asyncio.gather(*(keyring.expect(each) for each in [*wrong, new]))
        assert keyring.find(new) is not None
        for presented in (new, None):
            await keyring.expect(presented)
        assert looks == 2


def test_points_and_badges_by_hand_and_dry_runs_need_more_than_ingest(data_dir: Path) -> None:
    poster = create(data_dir, "--env", "test", "--scope", "ingest")
    giver = create(data_dir, "--env", "test", "--scope", "award")
    reader = create(data_dir, "--env", "test", "--scope", "ingest", "--scope", "read")
    points = {"participant_id": "u", "amount": 5}
    with ServerProcess(data_dir) as server:
        with server.client(poster) as client:
            assert client.post("/ingest/events/sync", json=event()).status_code == 200
            for path in ("/gamify/points/award", "/gamify/points/deduct", "/gamify/badges/award"):
                refused = check(client.post(path, json=points), Code.FORBIDDEN)
                assert "scope award" in refused["detail"]
            rehearsed = client.post("/ingest/events/sync", json=event(), params={"dry_run": "true"})
            assert "scope read" in check(rehearsed, Code.FORBIDDEN)["detail"]
        with server.client(giver) as client:
            assert client.post("/gamify/points/award", json=points).status_code == 200
            check(client.post("/ingest/events/sync", json=event()), Code.FORBIDDEN)
        with server.client(reader) as client:
            rehearsed = client.post("/ingest/events/sync", json=event(), params={"dry_run": "true"})
            assert rehearsed.status_code == 200


@pytest.mark.anyio
async def test_a_key_that_ingest_let_do_more_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "facts.sqlite3"
    async with Database.open(path) as database, database.transaction() as connection:
        await connection.execute("DELETE FROM schema_migrations WHERE version = 8")
        for column in ("expires_at", "last_used_at"):
            await connection.execute(f"ALTER TABLE api_keys DROP COLUMN {column}")
        for number, scopes in enumerate(("ingest", "read", "read ingest", "metrics", "ingest admin")):
            await connection.execute(
                "INSERT INTO api_keys (key_id, project, environment, sha256, scopes, name, created_at)"
                " VALUES (?, 'default', 'test', ?, ?, '', 0)",
                (f"k{number}", str(number), scopes),
            )
    async with Database.open(path) as database, database.read() as connection:
        found = {key.key_id: key for key in await keys.every(connection)}
    assert [key for key in found if found[key].allows("award")] == ["k0", "k2", "k4"]
    assert [key for key in found if found[key].rehearses] == ["k0", "k1", "k2", "k4"]
    assert [key for key in found if found[key].allows("read")] == ["k1", "k2", "k4"]


@pytest.mark.anyio
async def test_a_key_ends_when_it_was_said_to(new_store: Path | str) -> None:
    clock = SteppedClock()
    async with Database.open(new_store) as database:
        key = keys.generate("test", secrets.token_bytes)
        async with database.transaction() as connection:
            await keys.add(connection, key, ("read",), "", IdSource(clock), clock(), expires_at=clock() + 60 * SECOND)
        keyring = Keyring(database, clock)
        await keyring.refresh()
        clock.advance(59)
        assert keyring.find(key) is not None
        clock.advance(1)
        assert keyring.find(key) is None, "at once, not at the next look"
        with structlog.testing.capture_logs() as lines:
            await keyring.refresh()
    assert [line["action"] for line in lines] == ["key_expired"]


def test_a_key_is_followed_by_another(data_dir: Path) -> None:
    old = create(data_dir, "--env", "live", "--scope", "ingest", "--scope", "read", "--name", "shop")
    (row,) = [line for line in run("keys", "list", "--data-dir", str(data_dir)).stdout.splitlines() if "shop" in line]
    rotated = run("keys", "rotate", row.split()[0], "--overlap", "PT8S", "--data-dir", str(data_dir))
    assert rotated.returncode == 0, rotated.stderr
    new = rotated.stdout.removesuffix("\n")
    assert re.fullmatch(r"bq_live_[0-9a-f]{32}", new)
    assert new != old
    assert rotated.stderr == "valid for ever\n"
    with ServerProcess(data_dir) as server, server.client(old) as before, server.client(new) as after:
        assert after.post("/ingest/events/sync", json=event()).status_code == 200
        until("the old key has ended", lambda: before.get("/facts").status_code == 401, seconds=20)
        assert after.get("/facts").status_code == 200
    again = run("keys", "rotate", row.split()[0], "--data-dir", str(data_dir))
    assert again.returncode == 1
    assert "there is no valid key" in again.stderr


def test_the_command_says_when_a_successor_ends(data_dir: Path) -> None:
    where = ("--data-dir", str(data_dir))
    create(data_dir, "--env", "live", "--scope", "ingest", "--name", "shop", "--expires-in", "P90D")
    (row,) = [line for line in run("keys", "list", *where).stdout.splitlines() if "shop" in line]
    rotated = run("keys", "rotate", row.split()[0], *where)
    assert re.fullmatch(r"valid until 2\S+Z\n", rotated.stderr)
    first, second = [line for line in run("keys", "list", *where).stdout.splitlines() if "shop" in line]
    assert rotated.stderr.split()[-1][:19] in second
    assert first != second


@pytest.mark.anyio
async def test_it_is_kept_when_a_key_was_last_used(new_store: Path | str) -> None:
    clock = SteppedClock()
    async with Database.open(new_store) as database:
        used, unused = (keys.generate("test", secrets.token_bytes) for _ in range(2))
        async with database.transaction() as connection:
            for key in (used, unused):
                await keys.add(connection, key, ("read",), key, IdSource(clock), clock())
        keyring = Keyring(database, clock)
        await keyring.refresh()
        for _ in range(2):
            clock.advance(60)
            assert keyring.find(used) is not None
            assert keyring.find("bq_test_" + "0" * 32) is None
            await keyring.note_used()
        async with database.read() as connection:
            assert {key.name: key.last_used_at for key in await keys.every(connection)} == {
                used: clock(),
                unused: None,
            }


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
        (["create", "--env", "test", "--scope", "read", "--expires-in", "soon"], "P90D"),
        (["create", "--env", "test", "--scope", "read", "--expires-in", "P999999D"], "36,500 days"),
        (["rotate", "key_none", "--overlap", "-P1D"], "PT12H"),
    ],
)
def test_a_wrong_call_ends_with_a_sentence(data_dir: Path, arguments: list[str], said: str) -> None:
    ended = run("keys", *arguments, "--data-dir", str(data_dir))
    assert ended.returncode != 0
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not data_dir.exists(), "a call that fails, or only reads, makes nothing"


@of_a_file
@pytest.mark.parametrize("arguments", [("revoke", "key_none"), ("list",), ("rotate", "key_none")])
def test_without_a_database_there_is_nothing_to_look_into(data_dir: Path, arguments: tuple[str, ...]) -> None:
    ended = run("keys", *arguments, "--data-dir", str(data_dir))
    assert ended.returncode != 0
    assert "there is no database" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not data_dir.exists()


def test_a_key_that_is_not_there_can_not_be_revoked(data_dir: Path) -> None:
    create(data_dir, "--env", "test", "--scope", "read")
    ended = run("keys", "revoke", "key_none", "--data-dir", str(data_dir))
    assert (ended.returncode, "key_none" in ended.stderr) == (1, True)


@of_a_file  # `keys` has no use for the directory where the store is elsewhere
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
