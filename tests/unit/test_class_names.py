"""One word, one meaning: a public class name is used once."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("bq_server", "harness", "loadtests", "tools")


@cache
def places() -> dict[str, list[str]]:
    """Where each class is, of whose name no underscore says that only its module uses it."""
    found: dict[str, list[str]] = defaultdict(list)
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def test_no_class_name_is_used_twice() -> None:
    found = places()
    assert len(found) > 300, "the classes were not found"
    assert {name: at for name, at in found.items() if len(at) > 1} == {}


def test_no_class_is_a_gerund() -> None:
    """A class is a thing: `Drain`, not `Draining`."""
    nouns = {"Finding", "LedgerFinding", "Keyring", "Ranking", "Recording", "FactReading", "PartReading"}
    gerunds = {name for name in places() if name.endswith("ing") and not name.endswith("Warning")}
    assert gerunds - nouns == set()


def test_modules_are_nouns() -> None:
    """What a module holds, or is about: seldom a gerund, and then a term of its own."""
    terms = {"processing", "routing", "signing", "tracing", "fact_reading"}
    names = {part for room in ROOMS for path in (ROOT / room).rglob("*.py") for part in path.relative_to(ROOT).parts}
    gerunds = {name.removesuffix(".py") for name in names if name.removesuffix(".py").endswith("ing")}
    assert gerunds - terms == set()
