"""What tests start is what a user starts, though most of it was imported before."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.process import COMMAND, run, until
from tests.support.warm_program import ForkedProgram, can_fork


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [("version",), ("no-such-command",), ("keys", "list", "--data-dir", "nowhere"), ("game", "check", "none.yaml")],
    ids=lambda arguments: arguments[0],
)
def test_a_forked_command_says_what_a_started_one_does(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    forked = run(*arguments)
    started = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)


def test_it_has_the_variables_of_its_start_and_no_other_files(tmp_path: Path) -> None:
    with (tmp_path / "said").open("w") as said:
        environment = {**os.environ, "BQ_PORT": "0", "BQ_DATA_DIR": str(tmp_path / "data")}
        program = ForkedProgram(["serve"], environment, said.fileno(), said.fileno())
        until("it serves", lambda: "curl" in (tmp_path / "said").read_text())
        # It may be reading something of the system's just now.
        until("it has no other files", lambda: not files_elsewhere(program.pid, tmp_path))
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(0)
        program.kill()
        assert program.wait() == program.poll() == -signal.SIGKILL


def files_elsewhere(pid: int, directory: Path) -> list[str]:
    """The open files of a process that are not in the directory."""
    found = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(each.readlink()))
    return [each for each in found if each.startswith("/") and not each.startswith((str(directory), "/dev/null"))]


def test_other_variables_need_a_start_of_their_own() -> None:
    assert can_fork({**os.environ, "BQ_PORT": "1"})
    assert not can_fork({**os.environ, "TZ": "Asia/Tokyo"})
    assert not can_fork({name: value for name, value in os.environ.items() if name != "PATH"})
