"""What doctor says of machines that this one is not."""

import os
import resource
import socket
from pathlib import Path

import pytest

from bq_server.moments import HOUR, SECOND
from bq_server.runtime import diagnosis
from bq_server.runtime.diagnosis import Finding, Level

GiB = 2**30
NOW = 1_790_000_000 * SECOND


def check(finding: Finding, level: Level, *said: str) -> None:
    assert finding.level == level, finding
    for each in said:
        assert each in finding.said


@pytest.mark.parametrize(
    ("found", "frozen", "level", "said"),
    [
        (("glibc", "2.36"), True, "ok", "glibc 2.36"),
        (("glibc", "2.35"), True, "ok", "glibc 2.35"),
        (("glibc", "2.34"), True, "problem", "2.35 or newer"),
        (("glibc", "2.5"), True, "problem", "2.35 or newer"),
        (("glibc", "3.0"), True, "ok", "glibc 3.0"),
        (("", ""), True, "problem", "another C library"),
        (("musl", "1.2"), True, "problem", "musl 1.2"),
        (("glibc", "2.28"), False, "ok", "glibc 2.28"),
    ],
)
def test_a_libc_too_old_for_the_executable_is_a_problem(
    found: tuple[str, str], frozen: bool, level: Level, said: str
) -> None:
    check(diagnosis.glibc(found, frozen=frozen), level, said)


@pytest.mark.parametrize(
    ("free", "level"), [(2 * GiB, "ok"), (GiB // 2, "warning"), (50 * 2**20, "problem"), (0, "problem")]
)
def test_a_disk_nearly_full(free: int, level: Level) -> None:
    check(diagnosis.judge_disk(free, Path("/data")), level, "GiB free at /data")


def test_the_disk_is_that_of_a_directory_not_made_yet(tmp_path: Path) -> None:
    assert str(tmp_path) in diagnosis.disk(tmp_path / "not" / "there").said


@pytest.mark.parametrize(
    ("limit", "level"),
    [(resource.RLIM_INFINITY, "ok"), (1024, "ok"), (1023, "warning"), (256, "warning"), (255, "problem")],
)
def test_a_low_limit_of_open_files(limit: int, level: Level) -> None:
    check(diagnosis.files(limit), level)
    assert ("ulimit -n" in diagnosis.files(limit).said) == (level != "ok")


@pytest.mark.parametrize(
    ("newest_fact", "written", "program", "level", "said"),
    [
        (None, None, None, "ok", "2026-09-21T14:13:20Z"),
        (NOW, NOW, NOW, "ok", ""),
        (NOW + 299 * SECOND, NOW + 299 * SECOND, NOW + 23 * HOUR, "ok", ""),
        (NOW + 301 * SECOND, None, None, "problem", "the newest fact"),
        (None, NOW + 301 * SECOND, None, "problem", "the data directory"),
        (NOW - HOUR, NOW - HOUR, NOW + 25 * HOUR, "problem", "this program"),
    ],
)
def test_a_clock_that_is_behind_what_was_written(
    newest_fact: int | None, written: int | None, program: int | None, level: Level, said: str
) -> None:
    finding = diagnosis.clock(NOW, newest_fact, written, program)
    check(finding, level, said)
    assert ("timedatectl" in finding.said) == (level == "problem")


def test_the_latest_of_the_files_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    os.utime(tmp_path / "b", (NOW // SECOND + 1, NOW // SECOND + 1))
    os.utime(tmp_path / "a", (NOW // SECOND, NOW // SECOND))
    assert diagnosis.last_written([tmp_path / "a", tmp_path / "b", tmp_path / "c"]) == NOW + SECOND
    assert diagnosis.last_written([tmp_path / "c"]) is None


@pytest.mark.parametrize(("one_file", "level"), [(True, "problem"), (False, "warning")])
def test_a_temporary_directory_that_allows_no_programs(
    monkeypatch: pytest.MonkeyPatch, one_file: bool, level: Level
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("subprocess.run", refuse)
    check(diagnosis.temporary(one_file=one_file), level, "noexec", "set TMPDIR")


def test_a_temporary_directory_without_a_shell_on_the_machine_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("subprocess.run", refuse)
    check(diagnosis.temporary(one_file=True), "ok")


def test_a_port_is_free_taken_taken_by_our_server_or_not_of_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        check(diagnosis.port("127.0.0.1", number, served=False), "problem", f"127.0.0.1:{number}", "--port")
        check(diagnosis.port("127.0.0.1", number, served=True), "ok", "as the server is running")
    check(diagnosis.port("127.0.0.1", 0, served=False), "ok", "free")
    check(diagnosis.port("192.0.2.1", 0, served=False), "problem", "--host")
    check(diagnosis.port("no.such.host.invalid", 0, served=True), "problem", "--host")


def test_a_directory_that_takes_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert diagnosis.writable(tmp_path) is None
    assert diagnosis.writable(tmp_path / "new" / "deep") is None
    for path in (tmp_path / "file", tmp_path / "file" / "data"):
        assert "is a file" in str(diagnosis.writable(path))
    assert diagnosis.writable(Path("/proc")) is not None, "nobody can make a file there, not even root"
