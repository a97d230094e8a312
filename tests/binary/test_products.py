"""What `make binary` makes, and what it says of itself."""

import hashlib
import json
import re
import socket
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import typer.main

from bq_server import __version__
from bq_server.cli import app
from bq_server.runtime.unpacked import STAMP
from tests.binary.archive import entries, everything
from tests.binary.program import Program

HERE = Path(__file__).parents[2]
MOST_BYTES = 45_000_000
MOST_FILES = 200
GLIBC = (2, 35)
"""The oldest that the documentation promises to work with."""

C_LIBRARY = {f"lib{name}" for name in ("c.so.6", "m.so.6", "dl.so.2", "rt.so.1", "pthread.so.0", "util.so.1")} | {
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
}
LIBRARIES = {
    "libssl": "openssl",
    "libcrypto": "openssl",
    "libffi": "libffi",
    "libz": "zlib",
    "libbz2": "bzip2",
    "liblzma": "xz utils (liblzma)",
    "libuuid": "libuuid",
    "libgcc_s": "gcc runtime library",
    "libstdc++": "gcc runtime library",
}
BOOTSTRAP = {f"pyimod0{each}" for each in ("1_archive", "2_importers", "3_ctypes")} | {
    "pyiboot01_bootstrap",
    "pyi_rth_inspect",
    "pyi_rth_pkgutil",
    "pyi_rth_multiprocessing",
}
"""What the bootloader starts with, under its own terms."""

MARKS = [
    ("valkey-server", b"Lua.org", "Lua"),
    ("valkey-server", b"lua_cjson.c", "lua-cjson"),
    ("valkey-server", b"cmsgpack", "lua-cmsgpack"),
    ("valkey-server", b"integral size %d", "Lua struct"),
    ("valkey-server", b"tobit", "Lua BitOp"),
    ("valkey-server", b"hdr_record_value", "hdr_histogram"),
    ("valkey-server", b"fpconv_dtoa", "fpconv"),
    ("valkey-server", b"je_malloc", "jemalloc"),
    ("valkey-server", b"lzf_compress", "LibLZF"),
    ("valkey-server", b"src/valkey.c", "libvalkey"),
    ("yaml/", b"while scanning a tag", "libyaml"),
    ("uvloop/", b"libuv-worker", "libuv"),
    ("pyexpat", b"expat_", "Expat"),
    ("_decimal", b"mpd_", "libmpdec"),
    ("pydantic_core", b"/rust/deps/", "Rust standard library"),
]
"""In which file, what shows that a library is there, and its name in the licences."""

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
    terms = [re.split(r"  +", line)[-1].split(" OR ") for line in listed.splitlines()]
    # Where there is a choice, the other licence is the one that this program is under.
    plain = [each for each in terms if all("GPL" in one and "WITH" not in one for one in each)]
    assert plain == [], "something under the plain GPL is inside"


def test_every_bundled_package_is_in_the_licences(unpacked: Path, onedir: Program) -> None:
    listed = onedir.run("licenses").stdout.casefold().replace("_", "-")
    inside = {path.name.partition("-")[0] for path in (unpacked / "_internal").glob("*.dist-info")}
    assert inside, "no package metadata is inside: this test is blind"
    assert [name for name in inside if name.casefold().replace("_", "-") not in listed] == []


@pytest.fixture(scope="module")
def inside(dist: Path) -> dict[str, bytes]:
    """Every file and module in the one file."""
    found = everything(dist / "bq-server")
    assert len(found) > 1000, "hardly anything was found inside: these tests are blind"
    return found


@pytest.fixture(scope="module")
def elf(inside: dict[str, bytes]) -> dict[str, bytes]:
    """The programs and libraries in it."""
    found = {name: data for name, data in inside.items() if data[:4] == b"\x7fELF"}
    assert len(found) > 50, "hardly any library was found inside: these tests are blind"
    return found


def _owners(top: str) -> set[str]:
    """What a file or module of that name belongs to, in the words of `bq-server licenses`."""
    if top in sys.stdlib_module_names or top.startswith(("_sysconfigdata", "libpython", "python3", "_pyi", "pyi")):
        return {"python"}
    if top in LIBRARIES:
        return {LIBRARIES[top]}
    return {owner.casefold().replace("_", "-") for owner in packages_distributions().get(top, ())}


def test_every_file_and_module_belongs_to_something_in_the_licences(inside: dict[str, bytes], onedir: Program) -> None:
    told = onedir.run("licenses").stdout.casefold().splitlines()
    listed = {re.split(r"  +", line)[0].replace("_", "-") for line in told}
    tops = {re.split(r"[/.]", name.removeprefix("PYZ/"))[0] for name in inside if not name.startswith("base_library")}
    ours = {"0bq-server", "bq_server", "harness", "entry"}
    # The metadata of a package begins with the package's own name and version.
    metadata = {top for top in tops if re.search(r"-\d+$", top)}
    assert len(tops) > 100
    assert sorted(top for top in tops - ours - metadata - BOOTSTRAP if not _owners(top) & listed) == []
    assert {"lua (in valkey)", "libyaml (in pyyaml)", "libuv (in uvloop)", "expat (in python)"} <= listed


@pytest.mark.parametrize(("within", "mark", "name"), MARKS, ids=[name for _, _, name in MARKS])
def test_a_library_within_is_listed_where_it_is_there(
    elf: dict[str, bytes], onedir: Program, within: str, mark: bytes, name: str
) -> None:
    there = any(mark in data for file, data in elf.items() if within in file)
    listed = any(line.startswith(f"{name} (in ") for line in onedir.run("licenses").stdout.splitlines())
    assert listed == there


def test_every_rust_crate_that_can_be_read_out_of_a_file_is_listed(elf: dict[str, bytes], onedir: Program) -> None:
    crate = re.compile(rb"(?:registry/src/[^/\0]+|/rust/deps)/([A-Za-z0-9_-]+?)-(\d+\.\d+\.\d+)/")
    found = {(name.decode(), version.decode()) for data in elf.values() for name, version in crate.findall(data)}
    assert len(found) > 20, "hardly any crate was found: this test is blind"
    rows = [re.split(r" \(in .*?\)  +", line) for line in onedir.run("licenses").stdout.splitlines()]
    listed = {(row[0], row[1].split(" ")[0]) for row in rows if len(row) == 2}
    assert sorted(found - listed) == []


def test_nothing_names_the_machine_that_built_it(inside: dict[str, bytes], dist: Path) -> None:
    assert b"bq-server" in inside["0bq-server.stamp"]
    places = {sys.base_prefix, str(sysconfig.get_config_var("abs_builddir")), str(HERE), str(Path.home())}
    names = [re.escape(place.encode()) for place in places if place.count("/") > 1 or place == "/root"]
    if len(socket.gethostname()) >= 6:  # a shorter one is found in anything
        names.append(re.escape(socket.gethostname().encode()))
    told = re.compile(rb"(?:" + b"|".join(names) + rb")(?![A-Za-z0-9_])")
    # The wheels of Rust packages tell of the containers that their makers built them in, and libpq has a certificate.
    innocent = re.compile(rb"/root/\.cargo/|\.postgresql/root\.crt")
    found = {file: told.search(innocent.sub(b"", data)) for file, data in inside.items()}
    assert {file: match[0] for file, match in found.items() if match} == {}


def test_nothing_looks_for_libraries_in_a_fixed_place(elf: dict[str, bytes], tmp_path: Path) -> None:
    for name, data in elf.items():
        file = tmp_path / "library"
        file.write_bytes(data)
        shown = subprocess.run(["readelf", "-d", file], capture_output=True, text=True, check=True).stdout
        paths = re.findall(r"\(R(?:UN)?PATH\).*\[(.*)\]", shown)
        assert not any(path.startswith("/") for each in paths for path in each.split(":")), f"{name}: {paths}"


def test_what_tells_whose_it_is_is_unpacked_first(dist: Path) -> None:
    unpacked_in_order = [name for kind, name, _ in entries(dist / "bq-server") if kind not in "mMszo"]
    assert unpacked_in_order[0] == STAMP


def test_every_time_zone_is_inside(inside: dict[str, bytes]) -> None:
    named = (files("tzdata") / "zones").read_text("ascii").split()
    assert len(named) > 500
    assert [
        name for name in named if not inside.get(f"tzdata.zip/tzdata/zoneinfo/{name}", b"").startswith(b"TZif")
    ] == []


def test_few_files_are_unpacked(dist: Path) -> None:
    """Each takes longer to make than to fill, at every start."""
    unpacked = [name for kind, name, _ in entries(dist / "bq-server") if kind not in "mMszo"]
    assert len(unpacked) <= MOST_FILES


def test_only_what_is_needed_is_inside(unpacked: Path, dist: Path) -> None:
    names = [str(path.relative_to(unpacked)).casefold() for path in unpacked.rglob("*")]
    assert any("valkey-server" in name for name in names)
    found = [name for name in names for unwanted in NOT_INSIDE if re.search(rf"(^|/){unwanted}[-./]", name)]
    assert found == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_tells_how_to_use_it(onedir: Program, command: tuple[str, ...]) -> None:
    told = onedir.run(*command, "--help")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(" ".join(["Usage: bq-server", *command]))


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
