"""Requests made up from the OpenAPI document, right and wrong, to every route: no answer is undocumented."""

import os
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.process import ServerProcess

ROOT = Path(__file__).parents[2]
SCHEMATHESIS = ROOT / "build" / "contract" / "bin" / "st"
SECONDS = 60
"""After which it makes up no more. What the document gives as examples and limits comes first."""

CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")


@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="needs the packages that `make clients` installs")
def test_no_answer_is_undocumented(data_dir: Path, tmp_path: Path) -> None:
    with ServerProcess(data_dir) as server:
        paths = httpx.get(f"{server.url}/openapi.json", verify=False).json()["paths"]
        operations = sum(len(methods) for methods in paths.values())
        ran = subprocess.run(
            [
                *(SCHEMATHESIS, "run", f"{server.url}/openapi.json", "--url", server.url),
                *("--header", f"X-API-Key: {server.key}", "--checks", ",".join(CHECKS)),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--max-time", str(SECONDS)),
                *("--generation-deterministic", "--no-color"),
            ],
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.contract.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert server.stop() == 0
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
    assert f"Selected: {operations}/{operations}" in ran.stdout
