"""What an operator is told when something is wrong: which thing, and what to do."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from bq_server.refusals import Code
from tests.support.client import event
from tests.support.problems import check
from tests.support.process import COMMAND, ServerProcess, run, until
from tests.support.store import of_a_file
from tests.support.valkey import free_port, valkey


def told(*arguments: str, code: int = 1) -> str:
    """What a command that ends with this code says, in sentences."""
    ended = run(*arguments)
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False), ended.stderr
    return ended.stdout if arguments[0] == "doctor" else ended.stderr


@pytest.fixture
def used(data_dir: Path) -> Path:
    """A data directory in which a server worked."""
    with ServerProcess(data_dir) as server:
        assert server.request("POST", "/ingest/events?wait=fact", json=event()).status_code == 202
        assert server.stop() == 0
    return data_dir


def test_a_damaged_queue_is_no_damage_of_the_facts(used: Path, tmp_path: Path) -> None:
    (increments,) = (used / "stream" / "appendonlydir").glob("*.incr.aof")
    increments.write_bytes(increments.read_bytes() + b"garbage\r\n*3\r\n$3\r\nSET\r\n")
    for command in (("serve", "--port", "0"), ("backup", str(tmp_path / "b"))):
        assert f"the queue in {used / 'stream'} is damaged, the facts are not" in told(
            *command, "--data-dir", str(used)
        )
    (used / "stream").rename(tmp_path / "away")
    with ServerProcess(used) as server:
        assert server.stop() == 0
    ended = run("backup", str(tmp_path / "b"), "--data-dir", str(used))
    assert "1 facts" in ended.stdout


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("*.manifest", lambda file: file.write_bytes(b"")),
        ("*.manifest", lambda file: file.write_bytes(b"file appendonly.aof.1.base.rdb seq 1 type z\n")),
        ("*.manifest", lambda file: file.write_bytes(b"x" * 2000)),
        ("*.base.rdb", lambda file: file.write_bytes(file.read_bytes()[:40])),
        ("*.base.rdb", lambda file: file.unlink()),
        ("*.incr.aof", lambda file: file.unlink()),
    ],
)
def test_whatever_is_damaged_of_a_queue_it_is_said_what_to_do(
    used: Path, pattern: str, damage: Callable[[Path], object]
) -> None:
    (file,) = (used / "stream" / "appendonlydir").glob(pattern)
    damage(file)
    said = told("serve", "--port", "0", "--data-dir", str(used))
    assert f"the queue in {used / 'stream'} is damaged, the facts are not" in said
    assert f"move {used / 'stream'} away" in said


@of_a_file
def test_a_queue_without_its_facts(used: Path, tmp_path: Path) -> None:
    at = ("--data-dir", str(used))
    facts = [path.rename(tmp_path / path.name) for path in used.glob("facts.sqlite3*")]
    advice = f"move {used / 'stream'} away"
    assert advice in told("serve", "--port", "0", *at)
    assert advice in told("doctor", "--port", "0", *at)
    assert not (used / "facts.sqlite3").exists(), "a refused start makes nothing"
    (used / "facts.sqlite3").touch()
    assert advice in told("serve", "--port", "0", *at)
    for path in facts:
        path.rename(used / path.name)
    with ServerProcess(used) as server:
        assert server.stop() == 0
    assert run("verify", "--data-dir", str(used)).stdout.startswith("1 participants verified")


@of_a_file
def test_a_file_that_is_no_database_is_named(used: Path, tmp_path: Path) -> None:
    database = used / "facts.sqlite3"
    database.write_bytes(b"x" * 4096)
    wanted = f"{database}: file is not a database: restore a backup"
    for command, code in (
        (("serve", "--port", "0"), 1),
        (("verify",), 2),
        (("replay",), 1),
        (("keys", "list"), 1),
        (("backup", str(tmp_path / "b")), 1),
        (("doctor", "--port", "0"), 1),
    ):
        assert wanted in told(*command, "--data-dir", str(used), code=code), command


def test_what_is_wrong_with_a_stream_server_of_ones_own(data_dir: Path, tmp_path: Path) -> None:
    def both(url: str) -> str:
        at = ("--port", "0", "--data-dir", str(data_dir), "--redis-url", url)
        said = told("serve", *at)
        assert said.removeprefix("bq-server: ").partition(": ")[0] in told("doctor", *at)
        return said

    nobody = f"127.0.0.1:{free_port()}"
    said = both(f"redis://{nobody}")
    assert f"the stream server at {nobody} (--redis-url, BQ_REDIS_URL)" in said
    assert "is it running there?" in said
    with valkey(tmp_path / "outside") as outside:
        for url in (f"redis://127.0.0.1:{outside.port}", f"redis://default:s3cr3t@127.0.0.1:{outside.port}"):
            said = both(url)
            assert "give its user and password in the URL" in said
            assert "s3cr3t" not in said


def test_an_address_of_another_machine_and_a_directory_that_is_none(data_dir: Path, tmp_path: Path) -> None:
    at = ("--data-dir", str(data_dir))
    assert "choose another address with --host" in told("serve", "--host", "192.0.2.1", "--port", "0", *at)
    file = tmp_path / "file"
    file.touch()
    assert "it is a file" in told("serve", "--port", "0", "--data-dir", str(file))


def test_a_stream_server_that_can_not_come_back_is_said_to_whoever_asks(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        stream = data_dir / "stream"
        (increments,) = (stream / "appendonlydir").glob("*.incr.aof")
        increments.write_bytes(b"garbage\r\n*3\r\n$3\r\nSET\r\n")
        for pid in server.valkey_pids:
            subprocess.run(["kill", "-9", str(pid)], check=True)

        def detail() -> str:
            found: str = check(httpx.get(f"{server.url}/readyz", verify=False), Code.NOT_READY)["detail"]
            return found

        until("it says why", lambda: "is damaged, the facts are not" in detail())
        health = run("health", "--port", server.url.rpartition(":")[2])
        assert "is damaged" in health.stderr + health.stdout


@pytest.mark.skipif("sys.platform != 'linux'", reason="mounts a file system of its own")
def test_a_full_disk_is_called_full(tmp_path: Path) -> None:
    """In a mount namespace, on a small file system in memory."""
    place = tmp_path / "small"
    place.mkdir()
    script = f"""
mount -t tmpfs -o size=3m tmpfs {place} || exit 77
exec {" ".join(COMMAND)} doctor --port 0 --data-dir {place}/data
"""
    command = ["unshare", "--mount", "--map-root-user", "bash", "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if ended.returncode == 77 or "unshare" in ended.stderr:
        pytest.skip("no mounts here")
    assert ended.returncode == 1, ended.stderr
    assert "nearly full" in ended.stdout
