"""The blocks that lead to a first effect, exactly as the documents show them; only the server's address differs."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.test_typescript_client import INSTALLED
from tests.support.process import ServerProcess

ROOT = Path(__file__).parents[2]
SHOWN_ADDRESS = "http://127.0.0.1:8080"


def block(document: str, heading: str) -> str:
    """The first block of shell under a heading."""
    section = (ROOT / document).read_text("utf-8").split(f"\n{heading}\n")[1]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[tuple[Path, ServerProcess]]:
    """A source tree as `make serve` leaves it, and the server that serves its `bq-data`."""
    program = tmp_path / ".venv" / "bin" / "bq-server"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m bq_server "$@"\n')
    program.chmod(0o755)
    leftovers = shutil.ignore_patterns("build", "*.egg-info", "__pycache__", "dist")
    shutil.copytree(ROOT / "clients", tmp_path / "clients", ignore=leftovers, symlinks=True)
    with ServerProcess(tmp_path / "bq-data") as server:
        yield tmp_path, server


def told(shell: str, directory: Path, server: ServerProcess) -> str:
    """What a block prints, run in a shell of its own, without the network."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BQ_")}
    environment |= {
        "BQ_URL": server.url,
        "PIP_NO_INDEX": "1",  # what pip would fetch is in the environment of the tests
        "PIP_NO_BUILD_ISOLATION": "0",
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "npm_config_prefer_offline": "true",  # as `make clients` has left it
    }
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", shell.replace(SHOWN_ADDRESS, server.url)],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_shell(tree: tuple[Path, ServerProcess]) -> None:
    printed = told(block("README.md", "## A first effect"), *tree)
    answer = printed.splitlines()[-1]
    assert '"type":"points"' in answer
    assert '"code":"first_cup"' in answer


def test_python(tree: tuple[Path, ServerProcess]) -> None:
    printed = told(block("docs/clients.md", "### Python"), *tree)
    assert "'type': 'points'" in printed
    assert "'code': 'first_cup'" in printed


@pytest.mark.skipif(not INSTALLED, reason="needs node and the packages that `make clients` installs")
def test_typescript(tree: tuple[Path, ServerProcess]) -> None:
    printed = told(block("docs/clients.md", "### TypeScript"), *tree)
    assert "type: 'points'" in printed
    assert "code: 'first_cup'" in printed
