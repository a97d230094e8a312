"""Removes the build machine's paths from what is packed, so that no file in an executable contains them."""

import struct
import sysconfig
from pathlib import Path
from pprint import pformat

NAMED = tuple(
    dict.fromkeys(
        place
        for name in ("abs_builddir", "abs_srcdir", "installed_base", "prefix", "exec_prefix", "base")
        if (place := str(sysconfig.get_config_var(name) or "")).count("/") > 2
    )
)
"""Where this machine's Python was built and is installed; `/usr` and `/usr/local` reveal nothing."""

_DYNAMIC, _DYNSYM = 6, 11
_NULL, _RPATH, _RUNPATH = 0, 15, 29


def cleaned(file: Path, to: Path, *, ours: bool) -> Path:
    """A copy of an ELF file without library search paths; the Python built here loses its paths too."""
    data = bytearray(file.read_bytes())
    if data[:6] == b"\x7fELF\x02\x01":
        _without_run_path(data, file)
    if ours:
        for place in sorted(NAMED, key=len, reverse=True):
            # Linkers let a string start within another: Python uses the release, with which a path ends.
            above, _, last = place.encode().rpartition(b"/")
            data = data.replace(place.encode(), b"/" + b"-" * (len(above) - 1) + b"/" + last)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(data)
    to.chmod(0o755)
    return to


def _without_run_path(data: bytearray, file: Path) -> None:
    """Remove absolute DT_RPATH and DT_RUNPATH from a 64-bit little-endian ELF file, and blank their strings."""
    (sections,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, sections + size * index) for index in range(count)]
    for _, kind, _, _, start, length, link, *_ in headers:
        if kind != _DYNAMIC:
            continue
        strings = headers[link][4]
        entries = [struct.unpack_from("<qQ", data, start + 16 * index) for index in range(length // 16)]
        kept = []
        for tag, value in entries:
            end = data.index(0, strings + value) if tag in (_RPATH, _RUNPATH) else 0
            if not end or not any(each.startswith(b"/") for each in data[strings + value : end].split(b":")):
                kept.append((tag, value))
                continue
            used = range(value, end - strings)
            if any(tag in (1, 14) and other in used for tag, other in entries) or _named_in(data, headers, used):
                raise SystemExit(f"{file}: a name shares its bytes with the run path, which can't be taken out")
            data[strings + value : end] = bytes(len(used))
        kept += [(_NULL, 0)] * (len(entries) - len(kept))
        for index, entry in enumerate(kept):
            struct.pack_into("<qQ", data, start + 16 * index, *entry)


def _named_in(data: bytearray, headers: list[tuple[int, ...]], used: range) -> bool:
    """Whether a dynamic symbol has its name within that part of the strings."""
    for _, kind, _, _, start, length, *_ in headers:
        if kind == _DYNSYM:
            return any(struct.unpack_from("<I", data, start + at)[0] in used for at in range(0, length, 24))
    return False


def write_sysconfig(directory: Path) -> tuple[str, str, str]:
    """How Python was built, without where: `zoneinfo` uses one of these values, so the module can't be left out."""
    name: str = sysconfig._get_sysconfigdata_name()  # type: ignore[attr-defined]  # noqa: SLF001 - as sysconfig does
    told = vars(__import__(name))["build_time_vars"]
    plain = {key: value for key, value in told.items() if key == "TZPATH" or "/" not in str(value)}
    file = directory / f"{name}.py"
    file.write_text(f"build_time_vars = {pformat(plain)}\n", "utf-8")
    return name, str(file), "PYMODULE"
