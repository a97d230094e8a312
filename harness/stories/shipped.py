"""The scenarios that come with the program: a directory in the source, a single archive in the executable.

The executable makes a file of everything that is data each time it starts, so that two hundred small ones would delay
every command.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from zipfile import ZipFile

ARCHIVE = "scenarios.zip"
"""Beside where the directory would be. Its entries are named by their paths in that."""


def shipped() -> Path:
    """The directory of the scenarios, or where it would be."""
    directory = Path(str(files("harness") / "scenarios"))
    here = Path.cwd()
    return directory.relative_to(here) if directory.is_relative_to(here) else directory


def read(path: Path) -> bytes:
    """The bytes of a file, or of what the archive has in its place. Raises `OSError`."""
    # Resolved, since `..` leads nowhere from a directory that is only in the archive.
    file = path.resolve()
    found = _packed().get(file)
    return file.read_bytes() if found is None else found


def files_within(directory: Path) -> Iterator[Path]:
    """All files in a directory, recursively, or of what the archive has in its place, in no particular order."""
    if directory.is_dir():
        yield from (each for each in directory.rglob("*") if each.is_file())
    elif is_packed(directory):
        yield from (directory / each.relative_to(directory.resolve()) for each in _packed())


def is_packed(directory: Path) -> bool:
    """Whether a directory is that of the scenarios, and an archive stands in its place."""
    return bool(_packed()) and directory.resolve() == shipped().resolve()


@cache
def _packed() -> Mapping[Path, bytes]:
    """By absolute path, what the archive holds; nothing where there is none."""
    archive = Path(str(files("harness") / ARCHIVE))
    if not archive.is_file():
        return {}
    place = shipped().resolve()
    with ZipFile(archive) as packed:
        return {place / name: packed.read(name) for name in packed.namelist()}
