"""Draws the imports between the rooms of `bq_server` into docs/architecture.md: `python -m tools.house_map`.

The order of the rooms is the one that import-linter enforces (pyproject.toml). Each import is a mark in the row of the
room that imports; a mark to the left of the diagonal would be an import upwards.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- the map: python -m tools.house_map -->\n", "<!-- end of the map -->\n"
TITLES = {"__main__"}
"""Not rooms: what starts the program."""

Imports = Mapping[str, frozenset[str]]
"""For each room, the rooms that its modules import."""


def rooms() -> list[str]:
    """The rooms from top to bottom; those on one level stand side by side and may not import one another."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each["type"] == "layers")
    return [room.strip() for level in layers for room in level.split("|") if room.strip() not in TITLES]


def imports() -> Imports:
    """Every import between rooms, those for type checkers included."""
    graph = grimp.build_graph("bq_server", cache_dir=None)
    found: dict[str, set[str]] = {room: set() for room in rooms()}
    for module in graph.modules:
        room = _room(module)
        if room in found:
            found[room] |= {_room(each) for each in graph.find_modules_directly_imported_by(module)} & found.keys()
    return {room: frozenset(others - {room}) for room, others in found.items()}


def upward(order: Sequence[str], found: Imports) -> list[tuple[str, str]]:
    """The imports of rooms further up."""
    return [(room, other) for place, room in enumerate(order) for other in order[:place] if other in found[room]]


def circles(found: Imports) -> set[str]:
    """The rooms in a cycle of imports."""
    left = {room: set(others) for room, others in found.items()}
    while removable := {room for room, others in left.items() if not others & left.keys()}:
        left = {room: others for room, others in left.items() if room not in removable}
    return set(left)


def draw(order: Sequence[str], found: Imports) -> str:
    """The map, as text."""
    width = max(map(len, order))
    places = range(1, len(order) + 1)
    tens, units = (
        "".join(f" {mark}" for mark in marks) for marks in zip(*(f"{place:>2}" for place in places), strict=True)
    )
    lines = [f"{'':{width + 4}}{head}" for head in (tens, units)]
    for place, room in zip(places, order, strict=True):
        marks = ("╲" if other == room else "●" if other in found[room] else "·" for other in order)
        lines.append(f"{place:>2} {room:<{width}} " + "".join(f" {mark}" for mark in marks))
    return "\n".join(lines)


def placed(page: str, drawn: str) -> str:
    """The page with this map in place of the one it has."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}```text\n{drawn}\n```\n{END}{rest.split(END)[1]}"


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def main() -> None:
    """Draw it into the page."""
    PAGE.write_text(placed(PAGE.read_text("utf-8"), draw(rooms(), imports())), "utf-8")


if __name__ == "__main__":
    main()
