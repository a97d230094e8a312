"""Collects what the documentation site is built from, in build/site-source: `python -m tools.site gather`.

`python -m tools.site check` looks at what was built: no page may load anything from elsewhere.

The tree is the repository's own, so that links between documents hold as they are: every document, and every file that
one links to. A directory that one links to gets a page that lists it. The API reference is made from the OpenAPI
document of a server started for the purpose.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx

from harness.private_server import PrivateServer
from tools.api_reference import reference

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "build" / "site-source"
BUILT = ROOT / "build" / "site"
FIRST = tuple(map(Path, ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")))
_LOADED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*>""")
_LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]+)")


def documents() -> Iterator[Path]:
    """Every document of the site, from the root of the repository."""
    yield from FIRST
    yield from (path.relative_to(ROOT) for path in sorted((ROOT / "docs").rglob("*.md")))


def linked(document: Path) -> Iterator[Path]:
    """The files and directories that a document links to. Raises `FileNotFoundError`."""
    for target in _LINK.findall((ROOT / document).read_text("utf-8")):
        path = (ROOT / document.parent / target).resolve()
        if not path.exists():
            raise FileNotFoundError(f"{document} links to {target}, which doesn't exist")
        yield path.relative_to(ROOT)


def wanted(first: Iterable[Path]) -> set[Path]:
    """The documents, what they link to, and what that links to or contains."""
    found, waiting = set[Path](), set(first)
    while waiting:
        path = waiting.pop()
        found.add(path)
        if (ROOT / path).is_dir():
            waiting |= {each.relative_to(ROOT) for each in (ROOT / path).iterdir() if each.is_file()} - found
        elif path.suffix == ".md":
            waiting |= set(linked(path)) - found
    return found


def with_listings(document: Path, text: str) -> str:
    """A document's text whose links to directories lead to the pages that list them."""

    def lead(link: re.Match[str]) -> str:
        is_directory = (ROOT / document.parent / link[1]).is_dir()
        return f"{link[0].rstrip('/')}/README.md" if is_directory else link[0]

    return _LINK.sub(lead, text)


def listing(directory: Path) -> str:
    """A page that lists a directory: documents by their titles, other files by their names."""
    lines = [f"# {directory.name.capitalize()}", ""]
    for path in sorted(path for path in (ROOT / directory).iterdir() if path.is_file()):
        title = path.read_text("utf-8").partition("\n")[0].removeprefix("# ") if path.suffix == ".md" else path.name
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"


def gather() -> None:
    """Write the tree."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for path in wanted(documents()):
        target = SOURCE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            target.mkdir(exist_ok=True)
            (target / "README.md").write_text(listing(path), "utf-8")
        elif path.suffix == ".md":
            target.write_text(with_listings(path, (ROOT / path).read_text("utf-8")), "utf-8")
        else:
            shutil.copyfile(ROOT / path, target)
    own = [sys.executable, "-m", "bq_server"]
    with PrivateServer(command=own, environment={"PYTHONPATH": str(ROOT)}) as server:
        document = httpx.get(f"{server.url}/openapi.json").raise_for_status().json()
    (SOURCE / "docs" / "openapi.json").write_text(json.dumps(document, indent=1, ensure_ascii=False), "utf-8")
    (SOURCE / "docs" / "api.md").write_text(reference(document), "utf-8")


def check() -> None:
    """Raises `SystemExit` if a page loads something from elsewhere: it must be readable without the Internet."""
    pages = sorted(BUILT.rglob("*.html"))
    if not pages:
        sys.exit(f"{BUILT} has no pages")
    for page in pages:
        if found := _LOADED.search(page.read_text("utf-8")):
            sys.exit(f"{page} loads {found[0]}")


if __name__ == "__main__":
    {"gather": gather, "check": check}[sys.argv[1]]()
