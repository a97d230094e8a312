"""Ask a public source of advisories about every pinned package: `make audit-packages`.

The source speaks the API of OSV (osv.dev). Exits 0 if it knows of nothing, 1 if it does, 3 if it can't be asked, which
is reported and is no clean bill of health.
"""

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SOURCE = "https://api.osv.dev"
PAGE = 500
"""Packages per query."""

SECONDS = 30.0

FOUND, NOT_ASKED = 1, 3

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


class Package(NamedTuple):
    """A pinned package."""

    ecosystem: str
    name: str
    version: str


class Unreachable(Exception):
    """The source doesn't respond, or with something else."""


def pinned(root: Path) -> dict[Package, set[str]]:
    """Every pinned package, and the files that pin it."""
    found: dict[Package, set[str]] = {}
    for path in sorted((root / "requirements").glob("*.txt")):
        for name, version in _PIN.findall(path.read_text()):
            found.setdefault(Package("PyPI", name.lower(), version), set()).add(str(path.relative_to(root)))
    for path in sorted(each for each in root.glob("**/package-lock.json") if "node_modules" not in each.parts):
        for where, about in json.loads(path.read_text())["packages"].items():
            if where and "version" in about:
                name = about.get("name", where.rpartition("node_modules/")[2])
                found.setdefault(Package("npm", name, about["version"]), set()).add(str(path.relative_to(root)))
    return found


def advisories(packages: list[Package], source: str) -> Iterator[tuple[Package, str]]:
    """What the source knows: a package and the id of an advisory at a time. Raises `Unreachable`."""
    for start in range(0, len(packages), PAGE):
        page = packages[start : start + PAGE]
        queries = [{"package": {"name": p.name, "ecosystem": p.ecosystem}, "version": p.version} for p in page]
        results = _ask(f"{source}/v1/querybatch", {"queries": queries}).get("results")
        if not isinstance(results, list) or len(results) != len(page):
            raise Unreachable("its answer doesn't match the query")
        for package, result in zip(page, results, strict=True):
            for each in (result or {}).get("vulns", []):
                yield package, each["id"]


def _ask(url: str, question: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(question).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise Unreachable(str(getattr(error, "reason", error))) from error


def main(source: str = SOURCE, root: Path = ROOT) -> int:
    """Ask, and print the answer; returns the exit code."""
    packages = pinned(root)
    try:
        found = list(advisories(sorted(packages), source.rstrip("/")))
    except Unreachable as error:
        print(f"{source} can't be asked ({error}): NOTHING WAS CHECKED of {len(packages)} packages", file=sys.stderr)
        return NOT_ASKED
    for package, advisory in found:
        where = ", ".join(sorted(packages[package]))
        print(f"{package.name} {package.version} ({package.ecosystem}): {advisory}, pinned in {where}")
    print(f"{len(packages)} packages asked about at {source}: {len(found) or 'no'} advisories")
    return FOUND if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if sys.argv[1:] else SOURCE))
