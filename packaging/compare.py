"""compare.py DIST DIST: what differs between the executables of two builds; exits 1 when that is a file of ours."""

import hashlib
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from PyInstaller.archive.readers import CArchiveReader, ZlibArchiveReader

OURS = ("0bq-server", "bq_server/", "harness/", "entry", "PYZ.pyz/bq_server", "PYZ.pyz/harness")
"""What we wrote, by the prefix of its name inside."""


def main() -> int:
    """Compare, print, and return the exit code."""
    one, other = (Path(argument) for argument in sys.argv[1:3])
    ours = 0
    for product, contents in (("bq-server", _one_file), ("bq-server-dir.tar.gz", _one_directory)):
        whole = _digest((one / product).read_bytes()) == _digest((other / product).read_bytes())
        before, after = dict(contents(one / product)), dict(contents(other / product))
        different = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        of_ours = [name for name in different if _is_ours(name)]
        counted = sum(map(_is_ours, before))
        print(
            f"{product}: {'the same bytes' if whole else 'other bytes'}; {len(before)} entries, {counted} of ours; "
            f"{len(different)} differ, {len(of_ours)} of ours"
        )
        for name in different:
            print(f"  {'ours' if name in of_ours else 'not ours'}: {name}")
        if not counted:
            raise SystemExit(f"{product} holds nothing of ours: the comparison is blind")
        ours += len(of_ours)
    return 1 if ours else 0


def _is_ours(name: str) -> bool:
    return name.removeprefix("bq-server-dir/_internal/").startswith(OURS)


def _one_file(executable: Path) -> Iterator[tuple[str, str]]:
    archive = CArchiveReader(str(executable))
    for name, entry in archive.toc.items():
        data = archive.extract(name)
        if name.endswith(".pyz"):
            yield from _modules(archive.open_embedded_archive(name), name)
        else:
            yield name, _digest(data + entry[-1].encode())
    yield "(bootloader)", _digest(executable.read_bytes()[: archive._start_offset])  # noqa: SLF001 - not offered otherwise


def _modules(archive: ZlibArchiveReader, within: str) -> Iterator[tuple[str, str]]:
    for name in archive.toc:
        yield f"{within}/{name}", _digest(archive.extract(name, raw=True) or b"")


def _one_directory(archive: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(archive) as tar:
        for entry in tar:
            file = tar.extractfile(entry) if entry.isreg() else None
            told = f"{entry.mode} {entry.mtime} {entry.linkname}".encode()
            yield entry.name, _digest((file.read() if file else b"") + told)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
