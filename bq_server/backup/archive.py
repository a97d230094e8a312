"""The file of a backup: a gzipped tar of a manifest and three members, in this order and nothing else.

`manifest.json`, then `facts.sqlite3` (the database), `queue` (the messages that were not yet facts, oldest first) and
`dead` (dead letters). The last two are lines of a message id, a space and hexadecimal content. Members are found by
their position and written under our own names: no name in the file decides where anything is written.
"""

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict
from pydantic_core import from_json

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE, QUEUE, DEAD = MEMBERS = ("facts.sqlite3", "queue", "dead")

CHUNK = 1 << 20
LARGEST_MANIFEST = 1 << 16
COMPRESSION = 3
"""A higher level takes several times as long for a few per cent."""


class BackupError(Exception):
    """A backup can't be taken or restored. The message says why and what to do."""


class ArchiveMember(BaseModel):
    """The size in bytes and the SHA-256 of a member."""

    model_config = ConfigDict(frozen=True)

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a backup contains."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    version: str
    """Version of the bq-server that took it."""
    schema_version: int
    installation_id: str | None
    taken_at: int
    """Microseconds since the epoch, UTC: when the copying began. Everything accepted before is in it."""
    newest_message_id: str
    facts: int
    queued: int
    dead_letters: int
    members: Mapping[str, ArchiveMember]


def measure(path: Path) -> ArchiveMember:
    """The size and checksum of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return ArchiveMember(bytes=path.stat().st_size, sha256=digest.hexdigest())


def write(path: Path, manifest: Manifest, parts: Path) -> None:
    """Write the archive from the members in the directory `parts`, and sync it to disk. Raises `OSError`."""
    with open(path, "xb", opener=_private) as file:
        with (
            gzip.GzipFile("", "wb", COMPRESSION, file, mtime=manifest.taken_at // 1_000_000) as zipped,
            tarfile.open(fileobj=zipped, mode="w|") as tar,
        ):
            text = manifest.model_dump_json(indent=2).encode() + b"\n"
            _add(tar, MANIFEST, manifest, len(text), io.BytesIO(text))
            for name in MEMBERS:
                with (parts / name).open("rb") as part:
                    _add(tar, name, manifest, manifest.members[name].bytes, part)
        file.flush()
        os.fsync(file.fileno())


def check(path: Path) -> Manifest:
    """Read the whole file and compare every member with its checksum.

    Raises `BackupError` for a file that isn't a backup, is damaged or truncated, or was written by a newer program.
    """
    return _read(path, None)


def unpack(path: Path, into: Path) -> Manifest:
    """Write the members into a directory, and sync them to disk. Raises `BackupError` as `check` does."""
    return _read(path, into)


def lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """The message ids and contents of an unpacked `queue` or `dead`. Raises `BackupError`."""
    with path.open("r", encoding="ascii") as file:
        for line in file:
            message_id, _, content = line.rstrip("\n").partition(" ")
            try:
                yield message_id, bytes.fromhex(content)
            except ValueError:
                raise BackupError(f"the backup's {path.name} has a line that can't be read") from None


def line(message_id: str, content: bytes) -> str:
    """A message as a line of `queue` or `dead`."""
    return f"{message_id} {content.hex()}\n"


def _read(path: Path, into: Path | None) -> Manifest:
    with _reading(path), path.open("rb") as file, gzip.GzipFile(fileobj=file) as unzipped:
        with tarfile.open(fileobj=unzipped, mode="r|") as tar:
            manifest = _manifest(_next(path, tar, MANIFEST).read(LARGEST_MANIFEST), path)
            for name in MEMBERS:
                found = _take(_next(path, tar, name), None if into is None else into / name)
                if found != manifest.members.get(name):
                    raise BackupError(f"{path} is damaged: the checksum of its {name} doesn't match")
            if tar.next() is not None:
                raise BackupError(f"{path} is not a backup of bq-server: it has further members")
        while unzipped.read(CHUNK):
            pass  # gzip's own checksum follows the last byte
    return manifest


def _next(path: Path, tar: tarfile.TarFile, name: str) -> IO[bytes]:
    """The next member, which must be a plain file of that name."""
    info = tar.next()
    content = tar.extractfile(info) if info is not None and info.isreg() and info.name == name else None
    if content is None:
        raise BackupError(f"{path} is damaged or not a backup of bq-server: {name} is not where it belongs")
    return content


def _manifest(text: bytes, path: Path) -> Manifest:
    found = from_json(text)
    if isinstance(found, dict) and isinstance(found.get("format"), int) and found["format"] > FORMAT:
        raise BackupError(
            f"{path} has the backup format {found['format']}, and this bq-server knows formats up to {FORMAT}: "
            f"restore it with bq-server {found.get('version')} or newer"
        )
    return Manifest.model_validate(found)


def _take(source: IO[bytes], target: Path | None) -> ArchiveMember:
    """Read a member to its end, and write it to the target if one is given."""
    digest, size = hashlib.sha256(), 0
    with ExitStack() as stack:
        with _writing(target):
            copy = None if target is None else stack.enter_context(open(target, "xb", opener=_private))
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if copy is not None:
                with _writing(target):
                    copy.write(chunk)
        if copy is not None:
            with _writing(target):
                copy.flush()
                os.fsync(copy.fileno())
    return ArchiveMember(bytes=size, sha256=digest.hexdigest())


def _add(tar: tarfile.TarFile, name: str, manifest: Manifest, size: int, content: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, manifest.taken_at // 1_000_000
    tar.addfile(info, content)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what reading raises into `BackupError`."""
    try:
        yield
    except (EOFError, zlib.error, tarfile.TarError, gzip.BadGzipFile) as error:
        raise BackupError(f"{path} is damaged, truncated or not a backup of bq-server: {error}") from error
    except ValueError as error:
        raise BackupError(f"{path} is not a backup of bq-server: its {MANIFEST} can't be read") from error
    except OSError as error:
        raise BackupError(f"{path} can't be read: {error.strerror}") from error


@contextmanager
def _writing(path: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(f"{path} can't be written: {error.strerror}") from error
