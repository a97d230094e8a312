"""The time zones as one file that Python imports from, the same every time."""

from importlib.resources import files
from pathlib import Path

from stored import write_archive


def write_zones(directory: Path) -> Path:
    """Pack the zones of `tzdata`, without what repeats them as text."""
    package = Path(str(files("tzdata")))
    wanted = [
        path
        for path in package.rglob("*")
        if path.is_file() and (path.suffix == ".py" or path.read_bytes().startswith(b"TZif"))
    ]
    return write_archive(directory / "tzdata.zip", {str(path.relative_to(package.parent)): path for path in wanted})
