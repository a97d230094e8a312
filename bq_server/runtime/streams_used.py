"""Where accepted events of this data directory may still be waiting: a server on a different stream must report it."""

import os
from pathlib import Path
from urllib.parse import urlsplit

EMBEDDED = "the embedded stream server"
DEFAULT_PORT = 6379


def place_of(url: str | None, prefix: str) -> str:
    """What to call the stream of these settings: without the user and the password of its URL."""
    if url is None:
        return EMBEDDED
    parts = urlsplit(url)
    if parts.scheme.endswith(("+sentinel", "+cluster")):  # there may be more hosts tomorrow: the name stays
        return f"{parts.scheme}://{parts.path}, prefix {prefix}"
    where = f"{parts.hostname or 'localhost'}:{parts.port or DEFAULT_PORT}" if parts.scheme != "unix" else ""
    return f"{parts.scheme}://{where}{parts.path}, prefix {prefix}"


def _same(place: str, other: str) -> bool:
    """Whether two names are of one place: a URL that names no database means the first."""
    return place == other or _of_first_database(place) == _of_first_database(other)


def _of_first_database(place: str) -> str:
    url, separator, prefix = place.partition(", prefix ")
    return place if url.startswith("unix:") else f"{url.removesuffix('/0').removesuffix('/')}{separator}{prefix}"


class StreamsUsed:
    """Keeps a line for each stream that was used and had not been seen empty when its server stopped.

    Methods that write raise `OSError`.
    """

    def __init__(self, embedded: Path, outside: Path) -> None:
        """The file beside the embedded stream, which moves with it, and the one for all others."""
        self._embedded = embedded
        self._outside = outside

    def others(self, place: str) -> list[str]:
        """Every place except this one."""
        return [each for file in (self._embedded, self._outside) for each in _places(file) if not _same(each, place)]

    def add(self, place: str) -> None:
        """Note that events may wait there from now on."""
        file = self.file_of(place)
        known = _places(file)
        if not any(_same(each, place) for each in known):
            _write(file, [*known, place])

    def remove(self, place: str) -> None:
        """Note that nothing waits there."""
        file = self.file_of(place)
        known = _places(file)
        if len(others := [each for each in known if not _same(each, place)]) < len(known):
            _write(file, others)

    def file_of(self, place: str) -> Path:
        """The file that has a place's line."""
        return self._embedded if place == EMBEDDED else self._outside


def _places(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return []


def _write(file: Path, places: list[str]) -> None:
    if not places:
        file.unlink()
        return
    new = file.with_name(f"{file.name}.new")
    with open(new, "w", encoding="utf-8", opener=_private) as lines:
        lines.writelines(f"{place}\n" for place in places)
    new.replace(file)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
