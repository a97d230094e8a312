"""Where accepted events of this data directory may still wait: a server that is given another stream must say so."""

import os
from pathlib import Path
from urllib.parse import urlsplit

EMBEDDED = "the embedded stream server"
DEFAULT_PORT = 6379


def place_of(url: str | None, prefix: str) -> str:
    """What to call the stream that these settings name: without the user and the password of its URL."""
    if url is None:
        return EMBEDDED
    parts = urlsplit(url)
    where = f"{parts.hostname or 'localhost'}:{parts.port or DEFAULT_PORT}" if parts.scheme != "unix" else ""
    return f"{parts.scheme}://{where}{parts.path}, prefix {prefix}"


class Whereabouts:
    """A file with a line for each stream that was used and, when its server stopped, had not been seen empty.

    Methods that write raise `OSError`.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def others(self, place: str) -> list[str]:
        """Every place but this one."""
        return [each for each in self._places() if each != place]

    def add(self, place: str) -> None:
        """Note that events may wait there from now on."""
        if place not in (known := self._places()):
            self._write([*known, place])

    def remove(self, place: str) -> None:
        """Note that nothing waits there."""
        if place in (known := self._places()):
            self._write([each for each in known if each != place])

    def _places(self) -> list[str]:
        try:
            return self._file.read_text("utf-8").splitlines()
        except (FileNotFoundError, UnicodeDecodeError):
            return []

    def _write(self, places: list[str]) -> None:
        if not places:
            self._file.unlink()
            return
        self._file.parent.mkdir(mode=0o700, exist_ok=True)
        new = self._file.with_name(f"{self._file.name}.new")
        with open(new, "w", encoding="utf-8", opener=_private) as file:
            file.writelines(f"{place}\n" for place in places)
        new.replace(self._file)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
