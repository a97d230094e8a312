"""Archives that are the same every time: many small files as one, since the executable makes each at every start."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

_EARLIEST = (1980, 1, 1, 0, 0, 0)


def write_archive(file: Path, entries: Mapping[str, Path]) -> Path:
    """Write files into an archive under these names, in order of the names; returns the archive.

    They are not compressed: the executable compresses the whole better than each of its parts.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, path in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return file


def write_scenarios(directory: Path, source: Path) -> Path:
    """Write the scenarios that lie in `source` into an archive in `directory`; returns the archive."""
    paths = [path for path in source.rglob("*") if path.is_file()]
    return write_archive(directory / "scenarios.zip", {str(path.relative_to(source)): path for path in paths})
