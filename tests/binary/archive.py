"""What is inside the one-file executable, read as its bootloader and its importer read it."""

import io
import marshal
import struct
import zipfile
import zlib
from pathlib import Path

_MAGIC = b"MEI\014\013\012\013\016"
_COOKIE = struct.Struct("!8sIIII64s")
_ENTRY = struct.Struct("!IIIIBc")


def entries(executable: Path) -> list[tuple[str, str, bytes]]:
    """Kind, name and contents, in the archive's order."""
    data = executable.read_bytes()
    cookie = data.rindex(_MAGIC)
    _, length, table, table_length, _, _ = _COOKIE.unpack_from(data, cookie)
    start = cookie + _COOKIE.size - length
    at, found = start + table, []
    while at < start + table + table_length:
        size, offset, packed_length, _, packed, kind = _ENTRY.unpack_from(data, at)
        name = data[at + _ENTRY.size : at + size].rstrip(b"\0").decode()
        contents = data[start + offset : start + offset + packed_length]
        found.append((kind.decode(), name, zlib.decompress(contents) if packed else contents))
        at += size
    return found


def modules(archive: bytes) -> dict[str, bytes]:
    """The marshalled code of each module in the archive of modules."""
    (table,) = struct.unpack_from("!I", archive, 8)
    return {
        name: zlib.decompress(archive[offset : offset + length])
        for name, (_, offset, length) in marshal.loads(archive[table:])  # noqa: S302 - our own
        if length
    }


def everything(executable: Path) -> dict[str, bytes]:
    """Every file, and every module in an archive within."""
    found = {}
    for kind, name, contents in entries(executable):
        found[name] = contents
        if kind == "z":
            del found[name]
            found |= {f"PYZ/{module}": code for module, code in modules(contents).items()}
        elif name.endswith(".zip"):
            del found[name]
            with zipfile.ZipFile(io.BytesIO(contents)) as archive:
                found |= {f"{name}/{each}": archive.read(each) for each in archive.namelist()}
    return found
