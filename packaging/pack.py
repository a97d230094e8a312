"""Finishing a build: a reproducible archive, and checksums."""

import gzip
import hashlib
import tarfile
from pathlib import Path


def pack(directory: Path, archive: Path, moment: int) -> None:
    """Put a directory into a .tar.gz that depends only on the names, modes and contents of its files."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = moment
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=9, fileobj=file, mtime=moment) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for path in sorted([directory, *directory.rglob("*")], key=str):
            name = str(path.relative_to(directory.parent))
            tar.add(path, name, recursive=False, filter=plain)


def write_checksum(file: Path) -> None:
    """Write `FILE.sha256` beside a file, for `sha256sum -c`."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n", "ascii")
