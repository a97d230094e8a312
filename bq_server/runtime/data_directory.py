"""The data directory: what is in it, and the lock that lets one server at a time use it."""

import fcntl
import os
import pwd
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct
from pydantic import SecretStr

from bq_server.runtime.streams_used import EMBEDDED, StreamsUsed

RESTORING = ".restoring-"
"""Name of the directory in which a restore prepares everything."""

OTHERS = 0o077
"""The mode bits of everybody but the owner."""

OPEN_ADVICE = "others can read it: give the server a directory of its own, on a file system with permissions"
"""Advice for what is still readable by others when the server has started."""

NEIGHBOURS = frozenset({"lost+found"})
"""What the root of a file system contains."""


class DataDirectoryUnusable(Exception):
    """The data directory can't be used. The message says why and what to do."""


class DataDirectory(Struct, frozen=True):
    """A directory that only this user may access."""

    path: Path

    @property
    def database(self) -> Path:
        """The SQLite file of facts and keys."""
        return self.path / "facts.sqlite3"

    def store(self, url: SecretStr | None) -> Path | str:
        """Where facts and keys are: at the URL of the settings, or else in the file."""
        return self.database if url is None else url.get_secret_value()

    @property
    def stream(self) -> Path:
        """Where the embedded stream server keeps its append-only file."""
        return self.path / "stream"

    @property
    def whereabouts(self) -> StreamsUsed:
        """The streams in which events may be waiting."""
        return StreamsUsed(self.stream / "places", self.path / "streams")

    @property
    def unfinished(self) -> list[Path]:
        """What a killed restore left behind."""
        return sorted(self.path.glob(f"{RESTORING}*"))

    def require_store(self, url: SecretStr | None) -> None:
        """As `require_database`, where the settings name no other store."""
        if url is None:
            self.require_database()

    def require_database(self) -> None:
        """Raises `DataDirectoryUnusable` if no server was ever started there, or if its files are somebody else's."""
        try:
            if not self.database.is_file():
                raise DataDirectoryUnusable(
                    f"there is no database in {self.path}: name the server's data directory with --data-dir"
                )
        except PermissionError:
            self._require_owner()
            raise DataDirectoryUnusable(f"the data directory {self.path} can't be read by its own owner") from None

    def require_facts_of_stream(self) -> None:
        """Raises `DataDirectoryUnusable` if there is a stream without the database that its events belong to."""
        if not self.database.exists() and (self.stream / "appendonlydir").exists():
            raise DataDirectoryUnusable(self.lost_facts())

    def lost_facts(self, name: str | None = None) -> str:
        """What to do where the database, of that name, is gone or not the one to which the stream's events belong."""
        return (
            f"{name or self.database} is missing or not the one that the queue in {self.stream} belongs to: "
            f"restore a backup into a new directory, or move {self.stream} away to begin without what is queued"
        )

    def waiting_elsewhere(self, place: str) -> str:
        """What to report if events may be waiting in a stream that isn't the one in use."""
        how = "without --redis-url" if place == EMBEDDED else "with its --redis-url"
        return (
            f"events may wait in {place}, which this server used before: start it {how} until nothing waits there, or "
            f"remove that line from {self.whereabouts.file_of(place)}"
        )

    def require_finished(self) -> None:
        """Raises `DataDirectoryUnusable` if a restore was killed: a server would start with nothing there."""
        if unfinished := self.unfinished:
            raise DataDirectoryUnusable(
                f"a restore into {self.path} was not finished: run `bq-server restore` again, or remove {unfinished[0]}"
            )

    def create(self) -> None:
        """Create it if it doesn't exist. Raises `DataDirectoryUnusable`."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = "it is a file" if self.path.is_file() else error.strerror
            raise DataDirectoryUnusable(
                f"the data directory {self.path} can't be created: {reason}; choose another with --data-dir"
            ) from error

    def close_to_others(self) -> None:
        """Remove the permissions of others on what is in it, as far as that is possible.

        A directory with other contents is left as it is: only the server's files in it are restricted.
        """
        itself = self.path.resolve()
        for path in self.open_to_others():
            if path != itself or self._is_ours_alone():
                with suppress(OSError):  # `open_to_others` will report it
                    path.chmod(stat.S_IMODE(path.lstat().st_mode) & ~OTHERS)

    def open_to_others(self) -> list[Path]:
        """What others than its owner may read, of the directory itself and everything that the server keeps in it."""
        itself, stream = self.path.resolve(), self.stream.resolve()  # either may be a link to another disk
        kept = [itself, itself / "lock", itself / "streams", *itself.glob(f"{self.database.name}*")]
        kept += [stream, *stream.rglob("*")]
        return [path for path in kept if _is_open(path)]

    def _is_ours_alone(self) -> bool:
        names = {self.stream.name, "streams", "lock"} | NEIGHBOURS
        return all(
            entry.name in names or entry.name.startswith((self.database.name, RESTORING))
            for entry in self.path.iterdir()
        )

    def _require_owner(self) -> None:
        """Raises `DataDirectoryUnusable` for anyone but its owner: somebody else's files would lock the owner out."""
        status = self.path.stat()
        if status.st_uid != os.geteuid():
            raise DataDirectoryUnusable(
                f"the data directory {self.path} belongs to {_user(status.st_uid)}: run this as that user, or the "
                "server can't use what is created there"
            )

    def require_unused(self) -> None:
        """Raises `DataDirectoryUnusable` if a server is using it. Creates nothing; the directory may not even exist."""
        if (self.path / "lock").exists():
            with self.locked():
                pass

    @contextmanager
    def locked(self, *, wait_seconds: float = 0) -> Iterator[None]:
        """Hold the directory for this process; the kernel releases it however the process ends.

        Waits for that long, for a command that holds it for a moment.

        Raises `DataDirectoryUnusable`, naming the process that holds it, or the user to whom it belongs; what belongs
        to somebody else is left untouched.
        """
        self.create()
        self._require_owner()
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirectoryUnusable(f"the data directory {self.path} can't be written: {error.strerror}") from error
        try:
            if not _lock(descriptor, wait_seconds):
                holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
                raise DataDirectoryUnusable(
                    f"another bq-server (process {holder}) is using the data directory {self.path}: "
                    "stop it, or choose another with --data-dir"
                )
            try:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            except OSError as error:
                raise DataDirectoryUnusable(
                    f"the data directory {self.path} can't be written: {error.strerror}"
                ) from error
            yield
        finally:
            os.close(descriptor)


def _is_open(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and bool(mode & OTHERS)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _lock(descriptor: int, wait_seconds: float) -> bool:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True
