"""What is committed was built from what is here: by these packages, byte for byte."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.browser.conftest import ROOT

SOURCE = ROOT / "clients" / "console"
SITE = ROOT / "bq_server" / "console" / "site"


def files_of(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_committed_files_are_those_of_a_build(tmp_path: Path) -> None:
    built = tmp_path / "site"
    for command in (["npx", "--no-install", "tsc"], ["node", "build.mjs", str(built)]):
        ran = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    made, committed = files_of(built), files_of(SITE)
    assert made.keys() == committed.keys(), "make console, and commit what it makes"
    assert [name for name in made if made[name] != committed[name]] == []


def test_the_lock_names_no_host() -> None:
    lock = (SOURCE / "package-lock.json").read_text()
    assert "http" not in lock
    assert json.loads(lock)["packages"]


@pytest.mark.parametrize("word", ["dangerouslySetInnerHTML", "innerHTML", "eval(", "http://", "https://"])
def test_the_source_makes_no_markup_of_texts_and_names_nobody_else(word: str) -> None:
    allowed = {"webhooks.tsx"} if word == "https://" else set()  # the example of a field
    found = [path.name for path in (SOURCE / "source").rglob("*.ts*") if word in path.read_text()]
    assert set(found) <= allowed
