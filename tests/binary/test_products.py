"""What `make binary` makes, and what it says of itself."""

import hashlib
import json
import re
import resource
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from bq_server import __version__
from bq_server.cli import app
from tests.binary.program import Program

MOST_BYTES = 45_000_000
HELP_SECONDS = 0.5
GLIBC = (2, 35)
"""The oldest that the documentation promises to work with."""

C_LIBRARY = {f"lib{name}" for name in ("c.so.6", "m.so.6", "dl.so.2", "rt.so.1", "pthread.so.0", "util.so.1")} | {
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
}
NOT_INSIDE = ("locust", "gevent", "greenlet", "pytest", "hypothesis", "pip", "setuptools", "readline", "libreadline")


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in sorted(getattr(group, "commands", {}).items()):
        yield from _commands(command, (*path, name))


COMMANDS = list(_commands(typer.main.get_command(app)))


def test_the_one_file_is_small_enough(dist: Path) -> None:
    size = (dist / "bq-server").stat().st_size
    assert size <= MOST_BYTES, f"dist/bq-server has {size / 1e6:.1f} MB"


@pytest.mark.parametrize("product", ["bq-server", "bq-server-dir.tar.gz"])
def test_checksums(dist: Path, product: str) -> None:
    digest = hashlib.sha256((dist / product).read_bytes()).hexdigest()
    assert (dist / f"{product}.sha256").read_text() == f"{digest}  {product}\n"


def test_the_archive_tells_nothing_of_who_packed_it(dist: Path) -> None:
    with tarfile.open(dist / "bq-server-dir.tar.gz") as archive:
        entries = archive.getmembers()
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {(0, 0, "", "")}
    assert len({entry.mtime for entry in entries}) == 1
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)


def test_version(program: Program, request: pytest.FixtureRequest) -> None:
    form = request.node.callspec.params["program"]
    assert program.run("version").stdout == f"{__version__}\n"
    told = json.loads(program.run("version", "--json").stdout)
    assert (told["version"], told["built_from"]) == (__version__, form)
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", told["commit"]), told
    assert tuple(map(int, told["sqlite"].split("."))) >= (3, 51, 3)


def test_licenses(program: Program) -> None:
    listed = program.run("licenses").stdout
    for name in ("Valkey ", "Python ", "SQLite ", "OpenSSL ", "PyInstaller bootloader ", "pydantic ", "tzdata "):
        assert any(line.startswith(name) for line in listed.splitlines()), f"{name}is not listed:\n{listed}"
    full = program.run("licenses", "--full").stdout
    for words in ("Valkey contributors", "PYTHON SOFTWARE FOUNDATION LICENSE", "Bootloader Exception"):
        assert words in full
    own = [line for line in listed.splitlines() if "GPL" in line and not line.rstrip().endswith("exception")]
    assert not any("GPL" in line and "WITH" not in line for line in own), "something under the plain GPL is inside"


def test_every_bundled_package_is_in_the_licences(unpacked: Path, onedir: Program) -> None:
    listed = onedir.run("licenses").stdout.casefold().replace("_", "-")
    inside = {path.name.partition("-")[0] for path in (unpacked / "_internal").glob("*.dist-info")}
    assert inside, "no package metadata is inside: this test is blind"
    assert [name for name in inside if name.casefold().replace("_", "-") not in listed] == []


def test_only_what_is_needed_is_inside(unpacked: Path, dist: Path) -> None:
    names = [str(path.relative_to(unpacked)).casefold() for path in unpacked.rglob("*")]
    assert any("valkey-server" in name for name in names)
    found = [name for name in names for unwanted in NOT_INSIDE if re.search(rf"(^|/){unwanted}[-./]", name)]
    assert found == []
    executable = (dist / "bq-server").read_bytes()
    for line in (b"/root/", b"/home/"):
        assert line not in executable, f"the executable names a place of the machine that built it: {line!r}"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_quick(onedir: Program, command: tuple[str, ...]) -> None:
    """Counted in the processor's time, which is the same whatever else this machine is doing."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = onedir.run(*command, "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert told.returncode == 0, told.stderr
    assert "Usage:" in told.stdout
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert took < HELP_SECONDS, f"bq-server {' '.join(command)} --help took {took:.2f} s"


def test_no_file_needs_a_library_that_is_not_inside(unpacked: Path, dist: Path) -> None:
    """But the C library's own. The bootloader comes before the bundle can be found: it may need nothing else at all."""
    inside = {path.name for path in unpacked.rglob("*.so*")}
    for path in [dist / "bq-server", *unpacked.rglob("*")]:
        if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
            shown = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
            needed = set(re.findall(r"NEEDED.*\[(.+)\]", shown)) - C_LIBRARY
            assert needed <= (set() if path.name == "bq-server" else inside), f"{path.name} needs {needed}"


def test_glibc(unpacked: Path) -> None:
    """The newest symbol version that any file asks for is the oldest C library that will do."""
    newest: dict[tuple[int, ...], str] = {}
    files = [path for path in unpacked.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert len(files) > 20, "hardly any ELF file was found: this test is blind"
    for path in files:
        shown = subprocess.run(["readelf", "--version-info", path], capture_output=True, text=True, check=True).stdout
        for version in re.findall(r"GLIBC_([0-9.]+)", shown):
            newest.setdefault(tuple(map(int, version.split("."))), path.name)
    needed = max(newest)
    assert needed <= GLIBC, f"{newest[needed]} needs glibc {needed}; promised is {GLIBC}"
