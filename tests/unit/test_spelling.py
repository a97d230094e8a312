"""The pages are spelt one way: British, with -ize. Names of the API, of code and of other programs stay as they are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

OTHERWISE = {
    r"behavior": "behaviour",
    r"canceled|canceling": "cancelled",
    r"catalogs?": "catalogue",
    r"centers?|centered": "centre",
    r"colors?|colored": "colour",
    r"defense": "defence",
    r"enroll|enrollments?": "enrol",
    r"favor\w*": "favour",
    r"fulfill|fulfills|fulfillment": "fulfil",
    r"gray": "grey",
    r"honor\w*": "honour",
    r"labeled|labeling": "labelled",
    r"misspelled|spelled": "spelt",
    r"neighbors?": "neighbour",
    r"signaled|signaling": "signalled",
    r"\w+(?:ogn|gan|mal|ial|tim|mar|thor|tom|nim|xim|ner|chron|nal|gor|has|rit|lel)is(?:e|es|ed|ing|ation)": "-ize",
    r"analyz\w+": "analyse",
}
WORDS = {
    "otherwise",
    "likewise",
    "exercise",
    "premise",
    "promise",
    "rise",
    "arise",
    "comprise",
    "enterprise",
    "disguise",
}


def prose(page: Path) -> str:
    """The text of a page without code, links' targets and HTML."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`|\]\([^)]*\)|<[^>\n]*>|https?://\S+", " ", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_spelt_as_the_others(page: Path) -> None:
    text = prose(page)
    found = {
        word: better
        for pattern, better in OTHERWISE.items()
        for word in re.findall(rf"\b(?:{pattern})\b", text, re.IGNORECASE)
        if word.lower() not in WORDS
    }
    assert found == {}
