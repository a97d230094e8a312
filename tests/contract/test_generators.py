"""What public generators make of the OpenAPI document compiles, and does what its users came for."""

import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.client import Project
from tests.support.process import ServerProcess

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = ROOT / "build" / "contract" / "bin"
TYPESCRIPT = HERE / "generated_typescript"
GAME = {"points": [{"code": "levels", "on": "level_completed", "award": "properties.level"}]}
CONFIGURATION = """
package_name_override: bq_generated
post_hooks: []
content_type_overrides:
  application/x-ndjson: application/octet-stream
"""

needs_python = pytest.mark.skipif(not PYTHON.is_dir(), reason="needs the packages that `make clients` installs")
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (TYPESCRIPT / "node_modules").is_dir(),
    reason="needs node and the packages that `make clients` installs",
)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program to its end; what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(cwd), "NO_COLOR": "1", "COLUMNS": "200"}
    ran = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture
def document(server: ServerProcess, tmp_path: Path) -> Path:
    """The document in a file, in a directory of its own."""
    path = tmp_path / "openapi.json"
    path.write_text(httpx.get(f"{server.url}/openapi.json", verify=False).text)
    return path


@needs_python
def test_generated_python_works(document: Path, bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    where = document.parent
    (where / "generator.yaml").write_text(CONFIGURATION)
    run(
        *(PYTHON / "openapi-python-client", "generate", "--fail-on-warning", "--meta", "none"),
        *("--path", document, "--config", "generator.yaml", "--output-path", "bq_generated"),
        cwd=where,
    )
    shutil.copy(HERE / "generated" / "use.py", where)
    run(PYTHON / "mypy", "--strict", "--python-executable", PYTHON / "python", "use.py", cwd=where)
    assert run(PYTHON / "python", "use.py", server.url, bq.keys["test"], cwd=where) == "done\n"


@needs_node
def test_generated_typescript_works(document: Path, bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    where = document.parent
    for name in ("package.json", "tsconfig.json", "use.ts"):
        shutil.copy(TYPESCRIPT / name, where)
    (where / "node_modules").symlink_to(TYPESCRIPT / "node_modules")
    binaries = TYPESCRIPT / "node_modules" / ".bin"
    run(binaries / "openapi-typescript", document, "-o", "schema.d.ts", cwd=where)
    run(binaries / "tsc", "-p", ".", cwd=where)
    assert run("node", "use.js", server.url, bq.keys["test"], cwd=where) == "done\n"
