"""The pages that lead through the house name what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = ("CONTRIBUTING.md", "SECURITY.md", "docs/reliability.md")


@pytest.mark.parametrize("guide", GUIDES)
def test_the_files_it_names_exist(guide: str) -> None:
    named = re.findall(r"`((?:bq_server|harness|loadtests|tests|docs|\.ci)/[\w./-]+)`", (ROOT / guide).read_text())
    assert [each for each in named if not (ROOT / each).exists()] == []


@pytest.mark.parametrize("guide", GUIDES)
def test_the_tests_it_names_exist(guide: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / guide).read_text()))
    held = {
        name for path in ROOT.glob("tests/**/test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert named <= held


def test_each_room_is_on_the_map() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    rooms = {path.parent.name for path in (ROOT / "bq_server").glob("*/__init__.py")} - {"examples"}
    assert {room for room in rooms if f"`{room}`" not in guide} == set()
