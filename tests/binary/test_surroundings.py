"""What lies around or is set in the environment changes nothing in what runs."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.binary.program import Program, Serving, until

TRAPS = ("json", "redis", "sitecustomize", "usercustomize", "trap", "uvloop", "typing", "bq_server", "harness")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A directory full of modules that write down that they were imported."""
    directory = tmp_path / "hostile"
    directory.mkdir()
    witness = f"from pathlib import Path\nopen({str(directory / 'witness')!r}, 'a').write(__name__ + '\\n')\n"
    for name in TRAPS:
        (directory / f"{name}.py").write_text(witness)
    plugin = directory / "trap-1.0.dist-info"
    plugin.mkdir()
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: trap\nVersion: 1.0\n")
    (plugin / "entry_points.txt").write_text("[pydantic]\ntrap = trap\n")
    (directory / ".env").write_text("BQ_LOG_LEVEL=nonsense\nBQ_PORT=1\n")
    for name in ("libpython3.11.so.1.0", "libssl.so.3", "libffi.so.8"):
        (directory / name).write_text("not a library")
    return directory


def test_python_itself_does_fall_into_the_traps(hostile: Path) -> None:
    subprocess.run([sys.executable, "-c", "import redis"], cwd=hostile, check=False, capture_output=True)
    assert "redis" in (hostile / "witness").read_text(), "the traps don't work: the other tests here are blind"


def test_nothing_around_it_is_imported(program: Program, hostile: Path, tmp_path: Path) -> None:
    surrounded = replace(program, cwd=hostile).having(
        PYTHONPATH=str(hostile),
        PYTHONHOME=str(hostile),
        PYTHONSTARTUP=str(hostile / "trap.py"),
        PYTHONPLATLIBDIR="trap",
        PYTHONWARNINGS="error",
        PYTHONUSERBASE=str(hostile),
        PYTHONINSPECT="1",
        PYTHONOPTIMIZE="2",
        LD_LIBRARY_PATH=str(hostile),
        _PYI_APPLICATION_HOME_DIR=str(hostile),
        _PYI_PARENT_PROCESS_LEVEL="1",
    )
    told = surrounded.run("version")
    assert (told.returncode, told.stderr) == (0, ""), told.stderr
    with surrounded.serving(tmp_path / "data") as serving:
        serving.send("ada")
        assert serving.facts() == ["ada"]
    listed = surrounded.run("licenses")
    assert "trap" not in listed.stdout
    assert not (hostile / "witness").exists(), f"imported: {(hostile / 'witness').read_text()}"


@pytest.mark.parametrize("own", [None, "/opt/own/lib:/opt/other"])
def test_valkey_gets_the_library_path_of_the_user(program: Program, tmp_path: Path, own: str | None) -> None:
    started = program if own is None else program.having(LD_LIBRARY_PATH=own)
    with started.serving(tmp_path / "data") as serving:
        before = _valkey(serving)
        server = Path(f"/proc/{before}/exe").readlink()
        told, genuine = tmp_path / "told", server.with_name("genuine")
        server.rename(genuine)
        # In its place, one that tells its environment: a running Valkey has written its title over it.
        server.write_text(f'#!/bin/sh\nenv > {told}.new\nmv {told}.new {told}\nexec {genuine} "$@"\n')
        server.chmod(0o755)
        try:
            os.kill(before, signal.SIGKILL)
            until("Valkey is started again", told.exists)
            until("the server is ready again", lambda: serving.request("GET", "/readyz")[0] == 200)
        finally:
            genuine.rename(server)
        environment = dict(line.split("=", 1) for line in told.read_text().splitlines())
        assert environment.get("LD_LIBRARY_PATH") == own
        assert [name for name in environment if "_MEI" in environment[name] or name.startswith("_PYI")] == []


def _valkey(serving: Serving) -> int:
    (pid,) = (pid for pid, command in serving.processes().items() if "valkey-server" in command.split(" ")[0])
    return pid


def test_completion_is_set_up_for_the_shell_it_is_called_from_and_works(program: Program, tmp_path: Path) -> None:
    for flag in ("--show-completion", "--install-completion"):
        ended = subprocess.run(
            ["bash", "--norc", "-c", f"{program.command[0]} {flag}; exit $?"],
            env=program.variables("") | {"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
        assert "_BQ_SERVER_COMPLETE" in ended.stdout or "bash completion installed" in ended.stdout
    assert (tmp_path / ".bashrc").is_file()
    asking = {"_BQ_SERVER_COMPLETE": "complete_bash", "COMP_WORDS": "bq-server ga", "COMP_CWORD": "1"}
    assert program.having(**asking).run().stdout.split() == ["game"]
