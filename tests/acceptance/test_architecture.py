"""docs/architecture.md: the map is drawn from the imports, and an event goes through the files that the page names."""

import re
from pathlib import Path

from tools import house_map
from tools.walk import walk

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
MOST_ACCEPTING, MOST_PROCESSING = 13, 16
"""Most steps: half of the files that readers of the first release had to open."""


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def steps(title: str) -> list[str]:
    return re.findall(r"^\| \d+ \| `([\w/.]+)` \|", section(title), re.MULTILINE)


def helpers(title: str) -> set[str]:
    return set(re.findall(r"`([\w/]+\.\w+)`", section(title).partition("\nHelpers")[2]))


def test_the_map_is_what_the_imports_draw() -> None:
    drawn = house_map.draw(house_map.rooms(), house_map.imports())
    assert house_map.placed(PAGE, drawn) == PAGE, "draw it again: python -m tools.house_map"


def test_no_import_goes_up_and_none_in_a_circle() -> None:
    found = house_map.imports()
    assert house_map.upward(house_map.rooms(), found) == []
    assert house_map.circles(found) == set()


def test_what_goes_up_and_what_goes_in_a_circle_is_found() -> None:
    order = ["a", "b", "c"]
    circle = {"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"b"})}
    assert house_map.upward(order, circle) == [("c", "b")]
    assert house_map.circles(circle) == {"a", "b", "c"}
    assert house_map.circles({"a": frozenset({"b", "c"}), "b": frozenset({"c"}), "c": frozenset()}) == set()


def test_an_event_goes_through_the_files_that_the_page_names() -> None:
    walked = walk()
    for title, traced, most in (
        ("From the socket to the 202", walked.accepting, MOST_ACCEPTING),
        ("From the stream to committed state", walked.processing, MOST_PROCESSING),
    ):
        named = steps(title)
        assert [each for each in traced if each in named] == named, f"{title}: the steps, in their order"
        assert set(traced) - set(named) == helpers(title), f"{title}: the helpers"
        assert 0 < len(named) <= most


def test_every_other_file_that_the_page_names_exists() -> None:
    for named in re.findall(r"`([\w-]+(?:/[\w-]+)+\.\w+)`", PAGE):
        assert (ROOT / named).exists() or (ROOT / "bq_server" / named).exists(), named
