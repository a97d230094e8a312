"""Mutants: which operators are mistaken, how, and that a program really has the mistake."""

import ast
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tools.mutation import switch
from tools.mutation.__main__ import main
from tools.mutation.mutated import CACHE_VARIABLE
from tools.mutation.operators import MutationSite, every_site, mutated, sites
from tools.mutation.switched import switched

SOURCE = """
def limits(values: list[int] | None, most: int = 1 + 2) -> bool:
    assert most > 0
    if values and not most:
        most += 1
    return values is None or all(-1 < value <= most for value in values if value)
"""

BRANCHES = '''"""A docstring."""
from __future__ import annotations

def smaller(a, b):
    return a < b

def counted(values, most=2 + 1):
    found = 0
    for value in values:
        if value and value in (1, 2) or not value:
            found += 1
        elif (last := value) is not None and 2 < last <= 5:
            found -= last - 1
    kept = [value for value in values if value if value != 3]
    while values and not most > 5:
        values.pop()
    return found, kept, "a" if found else "b"
'''
CALLS = ["smaller(1, 2)", "smaller(2, 2)", "smaller(3, 2)", *(
    f"counted({values})" for values in ([], [0], [1, 2, 3], [5, 5], [0] * 9, [6, 2], [3])
)]  # fmt: skip


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


def results(tree: ast.Module, calls: Sequence[str]) -> list[object]:
    """What a module's code comes to, of its own or with a mutant."""
    space: dict[str, Any] = {}
    exec(compile(tree, "a", "exec"), space)  # noqa: S102 - our own code
    found: list[object] = []
    for call in calls:
        try:
            found.append(eval(call, space))  # noqa: S307
        except Exception as error:  # noqa: BLE001 - some mutants raise
            found.append(type(error))
    return found


@pytest.fixture
def every_mutant(monkeypatch: pytest.MonkeyPatch) -> tuple[list[MutationSite], ast.Module]:
    """All of them in one tree."""
    monkeypatch.setattr(switch, "_operators", [])
    monkeypatch.setattr(switch, "_state", bytearray())
    found = sites("a", BRANCHES)
    switch.prepare(found)
    return found, switched("a", BRANCHES, {site.name: number for number, site in enumerate(found)})


def test_with_a_switch_each_mutant_is_what_it_is_alone(
    every_mutant: tuple[list[MutationSite], ast.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, tree = every_mutant
    assert results(tree, CALLS) == results(ast.parse(BRANCHES), CALLS)
    for number, site in enumerate(found):
        monkeypatch.setattr(switch, "_active", frozenset({number}))
        alone = results(mutated(BRANCHES, site.line, site.column, site.number), CALLS)
        assert results(tree, CALLS) == alone, site


def test_a_switch_knows_what_was_reached_and_what_a_mutant_would_have_changed(
    every_mutant: tuple[list[MutationSite], ast.Module],
) -> None:
    found, tree = every_mutant
    results(tree, ["smaller(1, 2)"])
    states = {site.mistake: switch._state[number] for number, site in enumerate(found) if site.line == 5}
    assert states == {"< -> <=": switch.REACHED}
    results(tree, ["smaller(1, 1)"])
    states = {site.mistake: switch._state[number] for number, site in enumerate(found) if site.line == 5}
    assert states == {"< -> <=": switch.DIFFERED}
    assert {switch._state[number] for number, site in enumerate(found) if site.line > 7} == {0}


def test_a_running_program_switches_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "_operators", [])
    monkeypatch.setattr(switch, "_state", bytearray(b"\x02\x00"))
    monkeypatch.setattr(switch, "_active", frozenset())
    path = str(tmp_path / "socket")
    monkeypatch.setenv(switch.SOCKET_VARIABLE, path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(1)
        switch.obey()
        program, _ = listening.accept()
        with program:
            assert switch.ask(program, [1], 2) == b"\x02\x00"
            assert switch.on(1)
            assert not switch.on(0)
            assert switch.ask(program, [0, 1], 2) == b"\x02\x02"
            assert switch.on(0)
            assert switch.on(1)
            assert switch.ask(program, [], 2) == b"\x02\x02"
            assert not switch.on(1)


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


def test_a_tool_that_starts_it_again_may_keep_the_code(tmp_path: Path) -> None:
    module = tmp_path / "smaller.py"
    module.write_text("def smaller(a, b):\n    return a < b\n")
    program = (
        "from tools.mutation.mutated import install\ninstall('smaller:2:11:0')\n"
        "from smaller import smaller\nprint(smaller(1, 1))"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{program}"]
    environment = {**os.environ, CACHE_VARIABLE: str(tmp_path)}
    for source in (module.read_text(), "no code any more"):
        module.write_text(source)
        done = subprocess.run(
            command, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == "True\n"


def test_the_command_lists_the_mutants_of_the_game(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(every_site()) > 1000
    assert main(["--list", "--only", "bq_server.game.step:"]) == 0
    assert all(line.startswith("bq_server.game.step:") for line in capsys.readouterr().out.splitlines())
    assert main(["--only", "no such module"]) == 2
