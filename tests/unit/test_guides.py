"""The pages that lead through the house name what is there."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GUIDES = ("CONTRIBUTING.md", "SECURITY.md", "docs/reliability.md", "docs/architecture.md")


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


def test_help_lists_every_target_that_is_for_people() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert named is not None
    listed = set(re.findall(r"^([\w-]+):.*  ## \S", makefile, re.MULTILINE))
    assert set(named[1].split()) - listed == {"wrk", "fastify"}  # steps of `make bench`


def test_no_module_has_grown_past_its_subject() -> None:
    """Past 400 lines a module has two subjects: find where they part."""
    lines = {
        str(path.relative_to(ROOT)): path.read_text("utf-8").count("\n")
        for room in ("bq_server", "harness", "loadtests", "tests", "tools")
        for path in (ROOT / room).rglob("*.py")
    }
    assert len(lines) > 900, "the modules were not found"
    assert {path: count for path, count in lines.items() if count > 400} == {}


def test_contributing_shows_only_commands_there_are() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for name in set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text())):
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name


def test_what_is_committed_is_checked_as_the_whole_run_checks_it() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    makefile = (ROOT / "Makefile").read_text()
    for hook in hooks:
        assert re.search(rf"^{hook['entry'].removeprefix('make ')}:.*  ## \S", makefile, re.MULTILINE), hook["entry"]
    examples = {
        "make lint": ["bq_server/cli/app.py", "tests/unit/test_guides.py", "pyproject.toml"],
        "make site": ["README.md", "docs/game.md", "zensical.toml", "requirements/site.txt"],
        "make console": ["clients/console/source/app.tsx", "clients/console/package.json"],
    }
    for entry, paths in examples.items():
        (pattern,) = [hook["files"] for hook in hooks if hook["entry"] == entry]
        assert [path for path in paths if not re.search(pattern, path)] == []
    # Whatever a file is, tests that read it run before it is pushed.
    assert [hook["entry"] for hook in hooks if hook.get("always_run") and hook["stages"] == ["pre-push"]] == [
        "make test"
    ]


def test_each_wish_has_a_file_that_names_what_it_needs() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (.*) \|$", guide.partition("## What to open first")[2], re.MULTILINE)[1:]
    assert len(rows) >= 10
    for wish, opened in rows:
        file = next(ROOT / each for each in re.findall(r"`([\w./-]+/[\w.-]+)`", opened))
        for name in re.findall(r"^[^(,;]*\(`(\w+)`\)", opened):
            assert name in file.read_text(), wish
