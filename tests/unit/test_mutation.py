"""Mutants: which operators are mistaken, how, and that a program really has the mistake."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tools.mutation.__main__ import every_site, main
from tools.mutation.operators import mutated, sites

SOURCE = """
def limits(values: list[int] | None, most: int = 1 + 2) -> bool:
    assert most > 0
    if values and not most:
        most += 1
    return values is None or all(-1 < value <= most for value in values if value)
"""


def test_every_operator_that_runs_has_its_mutants_and_no_type_or_assertion_has() -> None:
    assert sorted((site.line, site.mistake) for site in sites("a", SOURCE)) == sorted([
        (2, "+ -> -"),
        (4, "and -> or"),
        (4, "not (...)"),
        (5, "+= -> -="),
        (6, "is -> is not"),
        (6, "or -> and"),
        (6, "< -> <="),
        (6, "<= -> <"),
        (6, "not (...)"),
    ])  # fmt: skip


def test_a_mutant_differs_in_one_operator() -> None:
    originals = ast.unparse(ast.parse(SOURCE)).splitlines()
    for site in sites("a", SOURCE):
        changed = ast.unparse(mutated(SOURCE, site.line, site.column, site.number)).splitlines()
        assert sum(one != other for one, other in zip(originals, changed, strict=True)) == 1, site


def test_a_mutant_that_is_not_there_is_an_error() -> None:
    with pytest.raises(LookupError):
        mutated(SOURCE, 4, 7, 2)


def test_a_program_has_the_mistake(tmp_path: Path) -> None:
    (tmp_path / "smaller.py").write_text("def smaller(a, b):\n    return a < b\n")
    program = (
        "from tools.mutation.mutated import install\ninstall('smaller:2:11:0')\n"
        "from smaller import smaller\nprint(smaller(1, 1))"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{program}"]
    for _ in range(2):  # and no bytecode of it is kept
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
        assert done.stdout == "True\n"
    assert not list(tmp_path.rglob("*.pyc"))


def test_the_command_lists_the_mutants_of_the_game(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(every_site()) > 1000
    assert main(["--list", "--only", "bq_server.game.step:"]) == 0
    assert all(line.startswith("bq_server.game.step:") for line in capsys.readouterr().out.splitlines())
    assert main(["--only", "no such module"]) == 2
