"""A program whose standard output or error is closed, full or read by nobody: it says so, and a server serves."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.process import COMMAND, run, until
from tests.support.valkey import free_port

EXAMPLE = Path(__file__).parents[2] / "bq_server" / "examples" / "learning.yaml"


def redirected(to: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the program, run by a shell that redirects its outputs."""
    script = f"{shlex.join([*COMMAND, *arguments])} {to}"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("arguments", [("--version",), ("game", "schema"), ("game", "check", str(EXAMPLE))])
def test_a_command_whose_output_cannot_be_written_says_so(arguments: tuple[str, ...]) -> None:
    ended = redirected(">/dev/full", *arguments)
    assert ended.returncode == 1
    assert ended.stderr == "bq-server: standard output can't be written: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_command_works_without_them(closed: str) -> None:
    ended = redirected(closed, "game", "check", str(EXAMPLE))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_who_reads_no_more_is_told_nothing() -> None:
    ended = redirected("| true; exit ${PIPESTATUS[0]}", "game", "schema")
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize("to", [">/dev/full", "2>&-", "<&- >&- 2>&-", "2>/dev/full", "| true"])
def test_a_server_serves_without_them(data_dir: Path, to: str) -> None:
    port = free_port()
    serve = ["serve", "--port", str(port), "--data-dir", str(data_dir)]
    # Its process id is that of the shell that becomes it.
    script = f"echo $$ >{shlex.quote(str(data_dir))}.pid; exec {shlex.join([*COMMAND, *serve])}"
    shell = subprocess.Popen(["bash", "-c", f"bash -c {shlex.quote(script)} {to}; exit ${{PIPESTATUS[0]}}"])
    try:
        until("it is ready", lambda: _answers(port))
        made = run("keys", "create", "--env", "test", "--scope", "ingest", "--name", "n", "--data-dir", str(data_dir))
        (key,) = re.findall("bq_test_[0-9a-f]{32}", made.stdout)
        sent = {"event_name": "e", "participant_id": "p"}
        answer = httpx.post(f"http://127.0.0.1:{port}/api/v1/ingest/events", json=sent, headers={"X-API-Key": key})
        assert answer.status_code == 202
    finally:
        os.kill(int(data_dir.with_name(f"{data_dir.name}.pid").read_text()), 15)
    assert shell.wait(30) == 0
    # What would have had the number of a standard stream is intact.
    assert run("verify", "--data-dir", str(data_dir)).returncode == 0


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_descriptors_are_opened_on_nothing() -> None:
    """Also one that the parent opened for something else, of which nothing can be written."""
    say = (
        "from bq_server.runtime import outputs; outputs.open_closed(); print(1); import sys; print(2, file=sys.stderr)"
    )
    for to in (">&- 2>&-", ">&- 2</dev/null", "1</dev/null 2</dev/null"):
        script = f"{shlex.join([sys.executable, '-c', say])} {to}"
        ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=False)
        assert (ended.returncode, ended.stderr) == (0, ""), to
