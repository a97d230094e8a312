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


def node(*arguments: str | Path, cwd: Path, bq: Project, server: ServerProcess) -> str:
    """Run a program; what it prints."""
    ran = subprocess.run(
        ["node", *arguments],
        cwd=cwd,
        env={**os.environ, "BQ_URL": server.url, "BQ_API_KEY": bq.keys["test"]},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_its_own_tests_pass(package: Path, bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    said = node("--test", "--test-reporter=tap", "test/client.test.mjs", cwd=package, bq=bq, server=server)
    assert "# fail 0" in said
    assert "a program that closes nothing loses nothing" in said


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
