"""What is inside the packages that are packed: libraries that were compiled or copied into them."""

import json
import re
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

from bq_server.cli.licenses import LicensedPart

WITHIN: dict[str, dict[str, tuple[str, str, str, str]]] = {
    "Valkey": {
        "Lua": (r"\$Lua: Lua ([0-9.]+)", "MIT", "redis-server", ""),
        "lua-cjson": (r"lua_cjson\.c()", "MIT", "redis-server", ""),
        "lua-cmsgpack": (r"lua-cmsgpack ([0-9.]+)", "", "redis-server", ""),
        "Lua struct": (r"lua_struct\.c()", "MIT", "redis-server", ""),
        "Lua BitOp": (r"lua_bit\.c()", "MIT", "redis-server", ""),
        "hdr_histogram": (r"hdr_histogram\.c()", "BSD-2-Clause OR CC0-1.0", "", ""),
        "fpconv": (r"fpconv_dtoa\.c()", "BSL-1.0", "", ""),
        "libvalkey": (r"src/valkey\.c()", "BSD-3-Clause", "", ""),
        "LibLZF": (r"lzf_compress()", "BSD-2-Clause OR GPL-2.0-or-later", "redis-server", ""),
        "crcspeed": (r"crcspeed64little()", "", "", ""),
        "pqsort": (r"pqsort()", "BSD-3-Clause", "redis-server", ""),
        "mt19937-64": (r"init_genrand64()", "BSD-3-Clause", "", ""),
        "SHA-1 by Steve Reid": (r"SHA1Transform()", "public domain", "", ""),
        "jemalloc": (r"je_malloc()", "BSD-2-Clause", "redis-server", ""),
    },
    "PyYAML": {"libyaml": (r"(?:\0|^)(0\.[0-9]+\.[0-9]+)\0", "MIT", "libyaml-0-2", "yaml")},
    "uvloop": {"libuv": (r"\0(1\.[0-9]{2}\.[0-9]+)\0", "MIT", "libuv1", "loop")},
    "httptools": {
        "llhttp": (r"llhttp_method_name()", "MIT", "", "parser"),
        "http-parser": (r"http_parser_parse_url()", "MIT", "", "url_parser"),
    },
    "hiredis": {"hiredis, the C library": (r"hiredisAllocFns()", "BSD-3-Clause", "", "")},
    "Python": {
        "Expat": (r"expat_([0-9.]+)", "MIT", "libexpat1", "pyexpat"),
        "libmpdec": (r"\0(2\.[0-9]+\.[0-9]+)\0", "BSD-2-Clause", "", "_decimal"),
        "BLAKE2": (r"PyInit__blake2()", "CC0-1.0", "", "_blake2"),
        "tiny_sha3": (r"PyInit__sha3()", "MIT", "", "_sha3"),
        "LibTomCrypt": (r"PyInit__(?:md5|sha1|sha256|sha512)()", "public domain", "", ""),
    },
}
"""The containing package, the library, its marks (a text with its version, licence, Debian package, a file's start)."""

RUST = {
    "addr2line": "Apache-2.0 OR MIT",
    "gimli": "MIT OR Apache-2.0",
    "hashbrown": "MIT OR Apache-2.0",
    "miniz_oxide": "MIT OR Zlib OR Apache-2.0",
    "rustc-demangle": "MIT OR Apache-2.0",
}
"""What Rust's standard library contains."""

UNKNOWN = "see its authors"
_NO_TEXT = "What this program was built from does not include the text of this licence; the authors provide it."
_CRATE = re.compile(rb"registry/src/[^/\0]+/([A-Za-z0-9_-]+?)-([0-9]+\.[0-9]+\.[0-9]+[A-Za-z0-9.+-]*)/")
_STANDARD = re.compile(rb"/rust/deps/([A-Za-z0-9_-]+?)-([0-9]+\.[0-9]+\.[0-9]+)/")
_COMPILER = re.compile(rb"rustc version ([0-9.]+)")


def within(whole: str, files: list[Path]) -> Iterator[LicensedPart]:
    """The libraries known to be in these ELF files of a package, each only if it is really there."""
    contents = [(file.name, file.read_bytes().decode("latin-1")) for file in files]
    for name, (told, identifier, package, begins) in WITHIN.get(whole, {}).items():
        found = (re.search(told, data) for file, data in contents if file.startswith((begins, f"_{begins}")))
        if match := next((each for each in found if each), None):
            yield LicensedPart(f"{name} (in {whole})", match[1] or "", identifier or UNKNOWN, _text(package))


def crates(whole: str, distribution: Distribution, files: list[Path]) -> Iterator[LicensedPart]:
    """The Rust crates in a package: those that it lists, and those that are found in its files."""
    data = b"".join(file.read_bytes() for file in files)
    compiler = _COMPILER.search(data)
    standard = {(name.decode(), version.decode()) for name, version in _STANDARD.findall(data)}
    if compiler is None and not standard and not _CRATE.search(data):
        return
    known: dict[tuple[str, str], str] = {}
    for file in sorted(distribution.files or (), key=str):
        if "/sboms/" in str(file):
            for each in json.loads(file.read_text("utf-8"))["components"]:
                if each.get("scope") != "excluded":  # used to build it, but not part of it
                    terms = [one.get("expression") or one["license"].get("id", "") for one in each.get("licenses", ())]
                    known[each["name"], each["version"]] = " AND ".join(filter(None, terms))
    for name, version in _CRATE.findall(data):
        known.setdefault((name.decode(), version.decode()), "")
    for name, version in standard:
        known.setdefault((name, version), RUST.get(name, ""))
    known["Rust standard library", compiler[1].decode() if compiler else ""] = "MIT OR Apache-2.0"
    for (name, version), identifier in sorted(known.items()):
        yield LicensedPart(f"{name} (in {whole})", version, identifier or UNKNOWN, _NO_TEXT)


def copied(whole: str, distribution: Distribution) -> Iterator[LicensedPart]:
    """Python packages that were copied into another."""
    if any(str(file).startswith("typer/_click/") for file in distribution.files or ()):
        yield LicensedPart(f"Click (in {whole})", "", "BSD-3-Clause", _NO_TEXT)


def _text(package: str) -> str:
    text = Path("/usr/share/doc", package, "copyright")
    if not package or not text.is_file():
        return _NO_TEXT
    return f"{_NO_TEXT}\nWhat Debian states for its package {package}, which has the same in it or is the same:\n\n" + (
        text.read_text("utf-8").strip()
    )
