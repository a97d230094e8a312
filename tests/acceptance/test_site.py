"""The documentation site: what it is built from is whole. Building it is `make site`."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.process import ServerProcess
from tools import site
from tools.api_reference import reference

ROOT = Path(__file__).parents[2]


def pages(entry: Any) -> Iterator[str]:
    """The pages of a part of the navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        for each in entry.values() if isinstance(entry, dict) else entry:
            yield from pages(each)


def test_every_document_is_in_the_navigation() -> None:
    navigation = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    made = {"docs/api.md", "docs/decisions/README.md"}
    linked = {"loadtests/README.md"}
    documents = {str(path) for path in site.documents() if path.parent.name != "decisions"}
    assert set(pages(navigation)) == documents | made | linked


def test_what_documents_link_to_is_taken_along() -> None:
    wanted = site.wanted(site.documents())
    assert {Path("docs/decisions"), Path("packaging/bq-server.service"), Path("clients/python/README.md")} <= wanted
    assert "[examples](examples/README.md)" in site.with_listings(Path("docs/clients.md"), "[examples](examples)")
    assert "(0001-idempotency-is-decided-by-facts-then-claims.md)" in site.listing(Path("docs/decisions"))


def test_the_reference_has_every_operation_and_every_link_in_it_leads_somewhere(server: ServerProcess) -> None:
    document = httpx.get(f"{server.url}/openapi.json", verify=False).json()
    page = reference(document)
    anchors = re.findall(r"\{ #(\S+) \}$", page, re.MULTILINE)
    assert len(anchors) == len(set(anchors))
    for route in document["paths"].values():
        assert {operation["operationId"] for operation in route.values()} <= set(anchors)
    links = set(re.findall(r"\]\(#([^)]+)\)", page))
    assert links
    assert links <= set(anchors)


@pytest.mark.parametrize(
    ("tag", "loads"),
    [
        ('<script src="https://cdn.example/x.js">', True),
        ('<link rel="stylesheet" href="//fonts.example/x.css">', True),
        ('<script src="assets/x.js">', False),
        ('<a href="https://valkey.io">', False),
    ],
)
def test_a_page_that_loads_something_from_elsewhere_is_found(
    tag: str, loads: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "BUILT", tmp_path)
    with pytest.raises(SystemExit, match="no pages"):
        site.check()
    (tmp_path / "index.html").write_text(tag)
    if loads:
        with pytest.raises(SystemExit, match="loads"):
            site.check()
    else:
        site.check()
