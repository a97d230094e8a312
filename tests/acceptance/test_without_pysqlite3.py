"""A machine for which pysqlite3 has no wheel: Python's own SQLite serves, if it is one that may."""

import json
import platform
import sys
from pathlib import Path

import pytest

from tests.support.client import event
from tests.support.process import ServerProcess, run

WITHOUT = """
import sys
sys.modules["pysqlite3"] = sys.modules["pysqlite3.dbapi2"] = None
"""
FIXED = (
    """
import sys
try:
    import pysqlite3
    sys.modules["sqlite3"] = pysqlite3
except ImportError:
    pass  # then this interpreter's own is what the tests run with
"""
    + WITHOUT
)
TOO_OLD = (
    """
import sqlite3
sqlite3.sqlite_version, sqlite3.sqlite_version_info = "3.40.1", (3, 40, 1)
"""
    + WITHOUT
)
ORIGIN = f"Python {platform.python_version()}"


@pytest.fixture
def interpreter(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment variables with which an interpreter runs the parameter before anything else."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(request.param)
    return {"PYTHONPATH": str(tmp_path / "site")}


@pytest.mark.parametrize("interpreter", [FIXED], indirect=True)
def test_a_fixed_one_of_the_interpreter_serves_and_is_named(interpreter: dict[str, str], data_dir: Path) -> None:
    with ServerProcess(data_dir, env=interpreter) as server:
        assert server.request("POST", "/ingest/events/sync", json=event()).status_code == 200
        assert server.request("POST", "/ingest/events", json=event()).status_code == 202
        assert server.stop() == 0
    ready = next(line for line in map(json.loads, server.log.splitlines()) if line["event"] == "server.ready")
    assert ready["sqlite_from"] == ORIGIN
    told = run("doctor", "--port", "0", "--data-dir", str(data_dir), env=interpreter)
    assert told.returncode == 0
    assert f"{ready['sqlite']} ({ORIGIN})\n" in told.stdout
    verified = run("verify", "--data-dir", str(data_dir), env=interpreter)
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize("interpreter", [TOO_OLD], indirect=True)
@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["keys", "create", "--env", "test", "--scope", "read"]])
def test_an_old_one_ends_the_start_with_what_to_do(
    interpreter: dict[str, str], command: list[str], data_dir: Path
) -> None:
    ended = run(*command, "--data-dir", str(data_dir), env=interpreter)
    assert ended.returncode == 1
    said = ended.stderr.splitlines()[-1]
    assert said.startswith("bq-server: ")
    for each in (f"SQLite 3.40.1 ({ORIGIN})", "3.51.3 or newer", "3.44.6 or 3.50.7", "pysqlite3"):
        assert each in said
    assert "Traceback" not in ended.stderr
    assert not list(data_dir.glob("facts.sqlite3*"))


@pytest.mark.parametrize("interpreter", [TOO_OLD], indirect=True)
def test_doctor_names_an_old_one_as_a_problem(interpreter: dict[str, str], data_dir: Path) -> None:
    told = run("doctor", "--port", "0", "--data-dir", str(data_dir), env=interpreter)
    assert told.returncode == 1
    assert "problem  SQLite      SQLite 3.40.1" in told.stdout


def test_where_it_has_a_wheel_it_is_what_runs(data_dir: Path) -> None:
    told = run("doctor", "--port", "0", "--data-dir", str(data_dir))
    here = (sys.platform, platform.machine()) in {("linux", "x86_64"), ("darwin", "arm64")}
    assert ("(pysqlite3)\n" in told.stdout) is here
