"""The time zones as one file that Python imports from, the same every time."""

import zipfile
from importlib.resources import files
from pathlib import Path

_EARLIEST = (1980, 1, 1, 0, 0, 0)


def write_zones(directory: Path) -> Path:
    """Pack the zones of `tzdata`, without what repeats them as text.

    They are not compressed: the executable compresses the whole better than each of its parts.
    """
    package = Path(str(files("tzdata")))
    file = directory / "tzdata.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(package.rglob("*")):
            if path.is_file() and (path.suffix == ".py" or path.read_bytes().startswith(b"TZif")):
                entry = zipfile.ZipInfo(str(path.relative_to(package.parent)), _EARLIEST)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes())
    return file
