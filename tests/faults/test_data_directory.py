"""The data directory is closed to others, and what can't be used is named."""

import ctypes
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from bq_server.runtime.data_directory import DataDirectory
from tests.support.client import event
from tests.support.process import COMMAND, ServerProcess, run


def modes(directory: Path) -> dict[str, str]:
    """Of everything in a directory and of itself, without sockets: those have a mode of their own."""
    found = {}
    for path in [directory, *directory.rglob("*")]:
        mode = path.lstat().st_mode
        if not stat.S_ISSOCK(mode):
            found[str(path.relative_to(directory))] = f"{stat.filemode(mode)}"
    return found


def closed(directory: Path) -> bool:
    return all(mode in ("drwx------", "-rw-------") for mode in modes(directory).values())


def test_what_is_made_in_an_open_directory_is_closed(data_dir: Path) -> None:
    data_dir.mkdir()
    data_dir.chmod(0o755)
    with ServerProcess(data_dir) as server:
        assert server.request("POST", "/ingest/events", json=event()).status_code == 202
        assert closed(data_dir), modes(data_dir)
        assert "data.open_to_others" not in server.log
        assert server.stop() == 0
    assert closed(data_dir), modes(data_dir)


def test_what_an_earlier_server_left_open_is_closed(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        assert server.stop() == 0
    for path in [data_dir, *data_dir.rglob("*")]:
        path.chmod(0o775 if path.is_dir() else 0o664)
    found = run("doctor", "--data-dir", str(data_dir), "--port", "0")
    assert f"warning  access      {data_dir}" in found.stdout, found.stdout
    with ServerProcess(data_dir) as server:
        assert closed(data_dir), modes(data_dir)
        assert server.stop() == 0


def test_links_to_another_disk_are_followed(tmp_path: Path) -> None:
    disk, link = tmp_path / "disk", tmp_path / "link"
    (disk / "data").mkdir(parents=True)
    (disk / "stream").mkdir()
    link.symlink_to(disk / "data")
    (disk / "data" / "stream").symlink_to(disk / "stream")
    for path in (disk / "data", disk / "stream"):
        path.chmod(0o755)
    with ServerProcess(link) as server:
        assert closed(disk / "stream"), modes(disk / "stream")
        found = modes(disk / "data")
        assert {found["."], found["facts.sqlite3"]} == {"drwx------", "-rw-------"}
        assert server.stop() == 0


def test_a_command_makes_no_open_database_either(data_dir: Path) -> None:
    data_dir.mkdir()
    data_dir.chmod(0o755)
    made = run("keys", "create", "--env", "test", "--scope", "admin", "--data-dir", str(data_dir))
    assert made.returncode == 0, made.stderr
    assert {name: mode for name, mode in modes(data_dir).items() if mode[0] == "-" and mode != "-rw-------"} == {}


def test_a_directory_with_other_things_in_it_stays_as_it_is_and_is_warned_of(data_dir: Path) -> None:
    data_dir.mkdir()
    data_dir.chmod(0o755)
    (data_dir / "README").write_text("somebody's")
    (data_dir / "README").chmod(0o644)
    with ServerProcess(data_dir) as server:
        found = modes(data_dir)
        assert (found["."], found["README"], found["facts.sqlite3"]) == ("drwxr-xr-x", "-rw-r--r--", "-rw-------")
        assert "data.open_to_others" in server.log
        assert server.stop() == 0


@pytest.mark.parametrize("place", ["facts.sqlite3", "stream/appendonlydir/a.aof", "."])
def test_what_can_not_be_closed_is_told(data_dir: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = DataDirectory(data_dir)
    directory.create()
    path = data_dir / place
    if place != ".":
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch()
    path.chmod(0o777)

    def no_modes(*_: object, **__: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(Path, "chmod", no_modes)
        directory.close_to_others()
        assert path in directory.open_to_others()
    directory.close_to_others()
    assert path not in directory.open_to_others()


def test_a_start_that_is_refused_leaves_nothing(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run("serve", "--port", port, "--data-dir", str(data_dir))
        assert (ended.returncode, "Address already in use" in ended.stderr) == (1, True)
        assert not data_dir.exists()
        data_dir.mkdir()
        assert run("serve", "--port", port, "--data-dir", str(data_dir)).returncode == 1
        assert list(data_dir.iterdir()) == []


def test_where_a_server_runs_that_is_said_before_the_port(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        port = server.url.rpartition(":")[2]
        ended = run("serve", "--port", port, "--data-dir", str(data_dir))
        assert f"another bq-server (process {server.process.pid})" in ended.stderr
        assert server.stop() == 0


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["doctor"], ["keys", "list"], ["verify"]])
def test_no_name_is_not_the_working_directory(command: list[str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [*COMMAND, *command, "--data-dir", ""],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=30,
        check=False,
    )
    assert (ended.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "names no path" in ended.stderr


def test_no_name_in_a_file_is_not_the_working_directory_either(tmp_path: Path) -> None:
    config = tmp_path / "bq.toml"
    config.write_text('data_dir = ""\n')
    ended = run("serve", "--port", "0", "--config", str(config))
    assert (ended.returncode, "--data-dir (BQ_DATA_DIR): must name a path" in ended.stderr) == (2, True)


_libc = ctypes.CDLL(None)
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1


def _heed_modes() -> None:
    """Take away root's right to write what its mode forbids; others don't have it."""
    if os.geteuid() == 0:
        _libc.prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE)


def test_a_database_that_can_only_be_read_is_named(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        assert server.stop() == 0
    file = data_dir / "facts.sqlite3"
    file.chmod(0o400)
    ended = subprocess.run(
        [*COMMAND, "serve", "--port", "0", "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        preexec_fn=_heed_modes,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert f"{file}: attempt to write a readonly database" in ended.stderr
    assert "make it and its directory writable" in ended.stderr
