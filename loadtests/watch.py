"""What a private server holds over time: memory, and bytes in its data directory."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from loadtests.usage import tree_usage

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Sight:
    """One look, in seconds from the start and in bytes."""

    at: float
    server: int
    """Resident memory of the server's processes."""
    stream_server: int
    database: int
    wal: int
    stream: int
    """The stream server's directory."""


@dataclass(slots=True)
class Watch:
    """Looks every so many seconds while its context is open, from a thread that sleeps otherwise."""

    pid: int
    data_directory: Path
    period: float
    seen: list[Sight] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        started = time.monotonic()
        while True:
            if sight := look(self.pid, self.data_directory, time.monotonic() - started):
                self.seen.append(sight)
            if self._ended.wait(self.period):
                return


def look(pid: int, data_directory: Path, at: float) -> Sight | None:
    """What there is now; None where the system doesn't tell."""
    usage = tree_usage(pid)
    if usage is None:
        return None
    stream = sum(_size(path) for path in data_directory.glob("*/**/*"))
    return Sight(
        at=at,
        server=usage.server.resident_bytes,
        stream_server=usage.stream.resident_bytes,
        database=sum(_size(path) for path in data_directory.glob("*.db")),
        wal=sum(_size(path) for path in data_directory.glob("*-wal")),
        stream=stream,
    )


def told(seen: Sequence[Sight]) -> str:
    """A table of what was seen, in megabytes."""
    lines = [f"{'seconds':>8}{'server':>9}{'Valkey':>9}{'database':>10}{'WAL':>9}{'stream':>9}   MB"]
    for each in seen:
        sizes = (each.server, each.stream_server, each.database, each.wal, each.stream)
        server, stream_server, database, wal, stream = (f"{size / MB:.1f}" for size in sizes)
        lines.append(f"{each.at:>8.0f}{server:>9}{stream_server:>9}{database:>10}{wal:>9}{stream:>9}")
    return "\n".join(lines)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0
