"""However it ends, nothing stays behind but the data."""

import fcntl
import os
import pty
import shutil
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest

from bq_server.runtime.unpacked import LOCK, QUIET_SECONDS, STAMP
from tests.binary.program import Program, Serving, running, until


def _unpacked(program: Program) -> list[Path]:
    return sorted(program.temporary.glob("_MEI*"))


def _assert_gone(serving: Serving) -> None:
    until("no process of it is left", lambda: not serving.processes(), 5.0)


def _assert_starts_again(program: Program, data_dir: Path, participants: list[str]) -> None:
    with program.serving(data_dir) as again:
        assert again.facts() == participants, "the facts from before are not all there"
        assert again.end(signal.SIGTERM) == 0, again.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(program: Program, tmp_path: Path, number: int) -> None:
    with program.serving(tmp_path / "data") as serving:
        serving.send("ada")
        assert len(serving.processes()) >= 2, "the mark does not find the server and its Valkey: this test is blind"
        assert serving.end(number) == 0, serving.log.read_text()
        _assert_gone(serving)
    assert _unpacked(program) == [], "the directory it unpacked into is still there"
    _assert_starts_again(program, tmp_path / "data", ["ada"])


def test_kill_9_ends_all_of_it(program: Program, tmp_path: Path) -> None:
    with program.serving(tmp_path / "data") as serving:
        serving.send("ada")
        serving.send("bob", path="/ingest/events")
        serving.post("/sandbox/drain", {"timeout_ms": 5000})
        serving.end(signal.SIGKILL)
        _assert_gone(serving)
    _assert_starts_again(program, tmp_path / "data", ["ada", "bob"])
    assert _unpacked(program) == [], "the next start did not remove what the killed run had unpacked"


def test_kill_9_ends_all_of_it_where_it_unpacks_below_its_own_directory(dist: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    (place / "tmp").mkdir(parents=True)
    shutil.copy2(dist / "bq-server", place)
    program = Program([str(place / "bq-server")], place / "tmp")
    with program.serving(tmp_path / "data") as serving:
        assert serving.end(signal.SIGKILL) == -signal.SIGKILL
        _assert_gone(serving)
    _assert_starts_again(program, tmp_path / "data", [])
    assert _unpacked(program) == [], "the next start did not remove what the killed run had unpacked"


def test_kill_9_of_the_program_within_ends_the_bootloader_too(onefile: Program, tmp_path: Path) -> None:
    with onefile.serving(tmp_path / "data") as serving:
        children = Path(f"/proc/{serving.pid}/task/{serving.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        assert serving.process.wait(10) == -signal.SIGKILL
        _assert_gone(serving)
    assert _unpacked(onefile) == []


def test_a_service_manager_that_signals_every_process_gets_an_orderly_end(onefile: Program, tmp_path: Path) -> None:
    """The bootloader hands on what the program was sent already; that must not count as a second signal."""
    with onefile.serving(tmp_path / "data") as serving:
        children = Path(f"/proc/{serving.pid}/task/{serving.pid}/children").read_text().split()
        for pid in (int(children[0]), serving.pid):
            os.kill(pid, signal.SIGTERM)
        assert serving.process.wait(30) == 0, serving.log.read_text()
        _assert_gone(serving)


def test_ctrl_c_on_a_terminal_is_one_signal(program: Program, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    log = tmp_path / "terminal.log"
    mark = "terminal"
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        with log.open("wb") as file:
            for descriptor, target in ((slave, 0), (file.fileno(), 1), (file.fileno(), 2)):
                os.dup2(descriptor, target)
        command = [*program.command, "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
        os.execve(command[0], command, program.variables(mark))  # noqa: S606
    try:
        until("it is ready", lambda: "server.ready" in log.read_text() if log.exists() else False, 30.0)
        os.write(master, b"\x03")
        ended = until("it has ended", lambda: [each for each in [os.waitpid(pid, os.WNOHANG)] if each[0]], 30.0)
        assert os.waitstatus_to_exitcode(ended[0][1]) == 0, log.read_text()
        assert log.read_text().count("server.signal") == 1, log.read_text()
        until("no process of it is left", lambda: not running(mark, tmp_path / "data"), 5.0)
        assert _unpacked(program) == []
    finally:
        for left in running(mark, tmp_path / "data"):
            os.kill(left, signal.SIGKILL)
        os.close(master)
        os.close(slave)


def _unpacking(program: Program, seconds: float) -> tuple[subprocess.Popen[bytes], list[Path]]:
    """Start it and stop it where it is after so long. Answers it and the directory that it unpacks into."""
    before = _unpacked(program)
    started = subprocess.Popen([*program.command, "version"], env=program.variables(""), stdout=subprocess.DEVNULL)
    time.sleep(seconds)
    started.send_signal(signal.SIGSTOP)
    return started, [path for path in _unpacked(program) if path not in before]


def _age(directory: Path, seconds: float) -> None:
    for path in [directory, *directory.rglob("*")]:
        os.utime(path, (time.time() - seconds,) * 2, follow_symlinks=False)


def test_what_a_bootloader_killed_while_unpacking_left_is_removed(onefile: Program) -> None:
    halves = 0
    for seconds in (0.0, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5):
        started, made = _unpacking(onefile, seconds)
        started.kill()
        started.wait()
        for directory in made:
            time.sleep(0.1)  # for the program, where there was one, to die with it
            left = list(directory.rglob("*"))
            halves += bool(left) and not (directory / LOCK).exists() and not (directory / "base_library.zip").exists()
            _age(directory, QUIET_SECONDS + 1)
    assert halves >= 2, "hardly any was killed while it unpacked: this test is blind"
    for directory in _unpacked(onefile):
        _age(directory, QUIET_SECONDS + 1)  # the last of them came so far as to be killed while it removed the others
    assert onefile.run("version").returncode == 0
    # Killed before its first file, it left an empty directory, which tells nobody whose it is.
    assert [path for directory in _unpacked(onefile) for path in directory.rglob("*")] == []


def test_what_a_bootloader_unpacks_right_now_stays(onefile: Program) -> None:
    for seconds in (0.02, 0.04, 0.06, 0.08, 0.1, 0.03, 0.05):
        started, made = _unpacking(onefile, seconds)
        try:
            half = [each for each in made if (each / STAMP).exists() and not (each / "base_library.zip").exists()]
            if half:
                _age(half[0], 10 * QUIET_SECONDS)
                assert onefile.run("version").returncode == 0
                assert half[0].is_dir(), "it was removed while a live bootloader unpacked into it"
        finally:
            started.send_signal(signal.SIGCONT)
        assert started.wait(30) == 0
        if half:
            return
    pytest.fail("it was never caught while it unpacked: this test is blind")


def test_a_cleaner_of_temporary_files_leaves_a_running_server_alone(onefile: Program, tmp_path: Path) -> None:
    cleaner = shutil.which("systemd-tmpfiles")
    with onefile.serving(tmp_path / "data") as serving:
        (directory,) = _unpacked(onefile)
        itself = os.open(directory, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(itself, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(itself)
        if cleaner is None:
            pytest.skip("the lock is held; there is no systemd-tmpfiles to try it with")
        other = onefile.temporary / "other"
        other.mkdir()
        (other / "file").touch()
        rule = tmp_path / "rule.conf"
        # By modification alone: the program's files are being read, and nobody can set their status times.
        rule.write_text(f"d {onefile.temporary} - - - mM:1s\n")
        for place in (directory, other):
            _age(place, 30 * 86400)
        subprocess.run([cleaner, "--clean", rule], check=True)
        assert not (other / "file").exists(), "it cleaned nothing: this test is blind"
        assert (directory / "base_library.zip").is_file(), "it removed the files of a running server"
        serving.send("ada")
        assert serving.end(signal.SIGTERM) == 0, serving.log.read_text()


def test_only_dead_directories_of_our_own_are_removed(onefile: Program, tmp_path: Path) -> None:
    def made(name: str, *files: str, age: float = 3600) -> Path:
        directory = onefile.temporary / name
        directory.mkdir()
        for file in files:
            (directory / file).parent.mkdir(exist_ok=True)
            (directory / file).touch()
        os.utime(directory, (time.time() - age,) * 2)
        return directory

    stale = made("_MEI00000001ours01", LOCK, STAMP)
    kept = [
        made("_MEI00000004other4", "other/program.txt"),
        made("_MEI_not_of_this_kind"),
    ]
    if os.geteuid() == 0:
        kept.append(made("_MEI00000005other5", LOCK, STAMP))
        os.chown(kept[-1], 65534, 65534)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "bq_server").mkdir(parents=True)
    (elsewhere / "bq-server.lock").touch()
    link = onefile.temporary / "_MEI00000006link06"
    link.symlink_to(elsewhere)

    with onefile.serving(tmp_path / "data") as serving:
        assert not stale.exists(), "a directory whose program is dead is still there"
        live = [each for each in _unpacked(onefile) if each not in [*kept, link]]
        assert len(live) == 1, live
        assert onefile.run("version").returncode == 0
        assert live[0].is_dir(), "the directory of a running server was removed"
        assert serving.request("GET", "/readyz")[0] == 200
    assert [each for each in kept if not each.exists()] == [], "directories were removed that are not ours or not dead"
    assert link.is_symlink()
    assert (elsewhere / "bq-server.lock").exists()
