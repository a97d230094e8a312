"""What differs in an executable, as far as it can be told without one; tests/binary has the rest."""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import asdict

from bq_server import __version__
from bq_server.cli import licenses, program
from bq_server.runtime import frozen, unpacked

BUNDLE = "/tmp/_MEI00000001abcdef"


@pytest.fixture
def in_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", BUNDLE, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/bq-server")


def test_from_source_children_get_the_environment_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/own")
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/opt/other")
    assert frozen.child_environment() == dict(os.environ)
    assert frozen.built_from() == "source"


def test_from_source_the_program_starts_itself_whatever_lies_around(tmp_path: Path) -> None:
    (tmp_path / "bq_server.py").write_text("raise SystemExit(3)\n")
    told = subprocess.run([*frozen.own_command(), "version"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (0, f"{__version__}\n"), told.stderr


@pytest.mark.parametrize("own", [None, "/opt/own"])
def test_children_of_the_executable_get_the_users_library_path(
    monkeypatch: pytest.MonkeyPatch, in_one_file: None, own: str | None
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", BUNDLE if own is None else f"{BUNDLE}:{own}")
    if own is None:
        monkeypatch.delenv("LD_LIBRARY_PATH_ORIG", raising=False)
    else:
        monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", own)
    monkeypatch.setenv("_PYI_ARCHIVE_FILE", "/opt/bq-server")
    environment = frozen.child_environment()
    assert environment.get("LD_LIBRARY_PATH") == own
    assert [name for name in environment if name.endswith("_ORIG") or name.startswith("_PYI_")] == []
    assert frozen.own_environment()["LD_LIBRARY_PATH"].startswith(BUNDLE), "it would not find its own libraries"


def test_the_forms_of_the_executable(monkeypatch: pytest.MonkeyPatch, in_one_file: None) -> None:
    assert frozen.built_from() == "onefile"
    assert frozen.own_command() == ["/opt/bq-server"]
    monkeypatch.setattr(sys, "executable", "/tmp/bq-server")
    assert frozen.built_from() == "onefile", "it unpacks below the directory that it lies in"
    monkeypatch.setattr(sys, "_MEIPASS", "/tmp/_internal")
    assert frozen.built_from() == "onedir"


def test_a_directory_that_is_held_is_not_stale(tmp_path: Path) -> None:
    held, own = (tmp_path / f"_MEI0000000{number}abcdef" for number in (1, 2))
    held.mkdir()
    own.mkdir()
    descriptor = unpacked.hold(held)
    unpacked.remove_stale(own)
    assert held.is_dir(), "the directory of a program that runs was removed"
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
    unpacked.remove_stale(own)
    assert not held.exists(), "the directory of a program that is dead was kept"
    assert own.is_dir()


def test_a_directory_without_our_stamp_is_not_ours(tmp_path: Path) -> None:
    for name in ("_MEI00000001abcdef", "_MEI00000002abcdef", "_MEI00000003abcdef"):
        (tmp_path / name).mkdir()
    (tmp_path / "_MEI00000001abcdef" / unpacked.STAMP).touch()
    for path in tmp_path.rglob("*"):
        os.utime(path, (time.time() - 2 * unpacked.UNPACKING_SECONDS,) * 2)
    unpacked.remove_stale(tmp_path / "_MEI00000003abcdef")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_MEI00000002abcdef", "_MEI00000003abcdef"]


@pytest.mark.parametrize(
    ("runs", "age", "stays"),
    [
        (False, unpacked.QUIET_SECONDS / 2, True),  # its process may be in another container
        (False, unpacked.QUIET_SECONDS * 2, False),
        (True, unpacked.UNPACKING_SECONDS / 2, True),
        (True, unpacked.UNPACKING_SECONDS * 2, False),  # the number is another process's by now
    ],
)
def test_a_half_unpacked_directory_stays_while_it_may_be_unpacked_into(
    tmp_path: Path, runs: bool, age: float, stays: bool
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    half = tmp_path / f"_MEI{os.getpid() if runs else ended.pid:08x}abcdef"
    deep = half / "library" / "file"
    deep.parent.mkdir(parents=True)
    for path in (half / unpacked.STAMP, deep):
        path.touch()
    for path in (half, *half.rglob("*")):
        os.utime(path, (time.time() - 10 * unpacked.UNPACKING_SECONDS,) * 2)
    os.utime(deep, (time.time() - age,) * 2)
    unpacked.remove_stale(tmp_path / "_MEI00000003abcdef")
    assert half.exists() == stays


def test_what_is_held_is_locked_itself(tmp_path: Path) -> None:
    """That is what systemd-tmpfiles leaves alone."""
    held = unpacked.hold(tmp_path)
    itself = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(itself, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(itself)
        os.close(held)


def test_version_as_json() -> None:
    command = [*frozen.own_command(), "version", "--json"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told["version"] == __version__
    assert told["built_from"] == "source"
    assert told["commit"] == program.commit()


def test_no_commit_is_known_outside_a_checkout(tmp_path: Path) -> None:
    assert program.commit_of(tmp_path) is None


def test_licences_as_they_were_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collected = licenses.parts()[:3]
    (tmp_path / licenses.COLLECTED).write_text(json.dumps([asdict(part) for part in collected]), "utf-8")
    monkeypatch.setattr(licenses, "files", lambda _: tmp_path)
    assert licenses.parts() == collected


def test_licences_from_source() -> None:
    command = [*frozen.own_command(), "licenses", "--full"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for words in (
        "\nValkey ",
        "\nPython ",
        "\nstarlette ",
        "Valkey contributors",
        "PYTHON SOFTWARE FOUNDATION LICENSE",
    ):
        assert words in told
