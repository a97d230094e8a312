"""The TypeScript client, compiled, against the real server: its own tests, and what its README shows."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.client import Project
from tests.support.process import ServerProcess

PACKAGE = Path(__file__).parents[2] / "clients" / "typescript"
INSTALLED = shutil.which("node") is not None and (PACKAGE / "node_modules").is_dir()
RUNTIMES = Path(__file__).parent / "runtimes"
OLDEST = next((RUNTIMES / "node_modules").glob("node-*/bin/node"), None)
"""Node 18, the oldest that the client promises to work with."""
GAME = {"points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}]}

pytestmark = pytest.mark.skipif(not INSTALLED, reason="needs node and the packages that `make clients` installs")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is installed: compiled."""
    package = tmp_path_factory.mktemp("client") / "node_modules" / "bq-client"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("node_modules", "dist"))
    compiler = PACKAGE / "node_modules" / "typescript" / "bin" / "tsc"
    compiled = subprocess.run(["node", compiler, "-p", package], capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stdout
    return package


def node(
    *arguments: str | Path, cwd: Path, bq: Project, server: ServerProcess, program: str | Path | None = "node"
) -> str:
    """Run a program; what it prints."""
    if program is None:
        pytest.skip("needs the Node that `make clients` installs, of Linux")
    ran = subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env={**os.environ, "BQ_URL": server.url, "BQ_API_KEY": bq.keys["test"]},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.parametrize("program", [pytest.param("node", id="node"), pytest.param(OLDEST, id="node18")])
def test_its_own_tests_pass(package: Path, bq: Project, server: ServerProcess, program: str | Path | None) -> None:
    bq.apply(GAME)
    arguments = ("--test", "--test-reporter=tap", "test/client.test.mjs")
    said = node(*arguments, cwd=package, bq=bq, server=server, program=program)
    assert "# fail 0" in said
    assert "a program that closes nothing loses nothing" in said


def test_the_oldest_node_is_the_one_that_the_package_names(package: Path, bq: Project, server: ServerProcess) -> None:
    oldest = node("--version", cwd=package, bq=bq, server=server, program=OLDEST)
    assert json.loads((package / "package.json").read_text())["engines"]["node"] == f">={oldest[1:3]}"


@pytest.mark.skipif(not (RUNTIMES / "node_modules").is_dir(), reason="needs the runtime that `make clients` installs")
def test_it_runs_at_the_edge(package: Path, bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    program = shutil.copy(RUNTIMES / "use.mjs", package / "test")
    edge = ("--no-warnings", "--experimental-vm-modules", RUNTIMES / "edge.mjs", program)
    assert json.loads(node(*edge, cwd=package, bq=bq, server=server)) == {
        "node": ["undefined"] * 3,
        "refused": "validation_failed",
        "unreachable": True,
        "rehearsed": "processed",
        "status": "processed",
        "effect": "points",
        "accepted": 2,
        "facts": 6,
        "balance": 240,
    }


def test_it_depends_on_no_other_package(package: Path) -> None:
    for module in (package / "dist").glob("*.js"):
        sources = re.findall(r'^(?:im|ex)port .* from "(.*)";$', module.read_text(), re.MULTILINE)
        assert all(source.startswith("./") for source in sources), module
    assert "dependencies" not in json.loads((package / "package.json").read_text())


def test_the_readme_runs(package: Path, bq: Project, server: ServerProcess) -> None:
    text = (package / "README.md").read_text().split("```js\n")[1].split("```")[0]
    program = package.parents[1] / "readme.mjs"
    program.write_text(text.replace("http://127.0.0.1:8080", server.url).replace("bq_test_...", bq.keys["test"]))
    assert "balance: 0" in node(program, cwd=program.parent, bq=bq, server=server)
    bq.drain()
    assert len(bq.facts()) == 3
