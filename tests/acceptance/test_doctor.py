"""What doctor says of this machine when something is really wrong with it."""

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from bq_server.store.sqlite import connect
from tests.support.client import event
from tests.support.process import COMMAND, ServerProcess, run
from tests.support.store import POSTGRESQL, of_a_file


def examined(data_dir: Path, *flags: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code; and level and sentence by what they are about."""
    ended = run("doctor", "--port", "0", "--data-dir", str(data_dir), *flags)
    assert "Traceback" not in ended.stderr
    return ended.returncode, found(ended.stdout)


def found(shown: str) -> dict[str, tuple[str, str]]:
    lines = re.findall(r"^(ok|warning|problem) +(\w+) +(.+)$", shown, re.MULTILINE)
    return {what: (level, said) for level, what, said in lines}


def test_a_machine_that_is_fine(data_dir: Path, store: str) -> None:
    code, lines = examined(data_dir)
    assert code == 0
    own = ["store"] if store == POSTGRESQL else []
    wanted = ["SQLite", "libc", "TMPDIR", "files", "data", "disk", *own, "clock", "port", "stream", "durability"]
    assert list(lines) == wanted
    assert {level for level, _ in lines.values()} <= {"ok", "warning"}


def test_a_taken_port_is_a_problem_unless_its_server_has_it(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, lines = examined(data_dir, "--port", str(taken.getsockname()[1]))
        assert code == 1
        assert lines["port"][0] == "problem"
        assert [what for what, (level, _) in lines.items() if level == "problem"] == ["port"]
    with ServerProcess(data_dir) as server:
        code, lines = examined(data_dir, "--port", server.url.rpartition(":")[2])
        assert (code, lines["port"][0], lines["data"][0]) == (0, "ok", "ok")
        assert server.stop() == 0


def test_a_data_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, lines = examined(tmp_path / "file" / "data")
    assert (code, lines["data"][0]) == (1, "problem")
    assert "is a file" in lines["data"][1]
    assert "--data-dir" in lines["data"][1]
    code, lines = examined(Path("/proc"))
    assert (code, lines["data"][0]) == (1, "problem")


@of_a_file
def test_a_clock_behind_the_facts_and_a_database_that_is_none(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        server.request("POST", "/ingest/events/sync", json=event())
        assert server.stop() == 0
    database = connect(str(data_dir / "facts.sqlite3"))
    database.execute("UPDATE scopes SET environment = 'live'")
    database.execute("UPDATE facts SET processed_at = processed_at + 3600 * 1000000")
    database.close()
    code, lines = examined(data_dir)
    assert (code, lines["clock"][0]) == (1, "problem")
    assert "newest fact" in lines["clock"][1]
    (data_dir / "facts.sqlite3").write_bytes(b"not a database at all" * 100)
    code, lines = examined(data_dir)
    assert (code, lines["database"][0], lines["clock"][0]) == (1, "problem", "ok")
    os.utime(data_dir / "facts.sqlite3", (4_000_000_000, 4_000_000_000))
    code, lines = examined(data_dir)
    assert "the data directory was written" in lines["clock"][1]


def test_a_low_limit_of_open_files(data_dir: Path) -> None:
    limited = f"ulimit -n 128; exec {' '.join(COMMAND)} doctor --port 0 --data-dir {data_dir}"
    ended = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
    assert (ended.returncode, found(ended.stdout)["files"][0]) == (1, "problem")


@pytest.fixture
def noexec(tmp_path: Path) -> Path:
    """A directory mounted so that nothing in it may be executed."""
    path = tmp_path / "noexec"
    path.mkdir()
    return path


def test_a_temporary_directory_mounted_noexec(data_dir: Path, noexec: Path) -> None:
    # In a mount namespace of its own, so that nothing stays mounted whatever happens.
    script = (
        f"mount -t tmpfs -o noexec tmpfs {noexec} && exec {' '.join(COMMAND)} doctor --port 0 --data-dir {data_dir}"
    )
    isolated = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if subprocess.run([*isolated, "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False).returncode:
        pytest.skip(
            "no mount namespace for us on this machine; tests/unit/runtime/test_diagnosis.py covers the sentence"
        )
    ended = subprocess.run(
        [*isolated, script], capture_output=True, text=True, env=os.environ | {"TMPDIR": str(noexec)}, check=False
    )
    lines = found(ended.stdout)
    assert "TMPDIR" in lines, ended.stdout + ended.stderr
    level, said = lines["TMPDIR"]
    assert level == "warning", said
    assert "noexec" in said


@of_a_file
def test_health_is_what_readyz_says(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        port = server.url.rpartition(":")[2]
        for host in ("127.0.0.1", "0.0.0.0"):
            ended = run("health", "--host", host, "--port", port)
            assert (ended.returncode, ended.stdout) == (0, "ready\n")
        os.rename(data_dir / "facts.sqlite3", data_dir / "gone")  # noqa: PTH104
        ended = run("health", "--port", port)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "the database's file is gone" in ended.stderr
        os.rename(data_dir / "gone", data_dir / "facts.sqlite3")  # noqa: PTH104
        assert server.stop() == 0
    ended = run("health", "--port", port)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert "no server is ready" in ended.stderr
