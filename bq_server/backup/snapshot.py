"""Taking a backup, whether or not a server runs.

The order makes it complete: the queue is read first, then the dead letters, then the database is copied. An event
accepted before the first step is in one of them, whatever the server does meanwhile; being in two is harmless, since a
fact is unique by its event id.
"""

import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from bq_server import __version__
from bq_server.backup import archive
from bq_server.backup.archive import BackupError, Manifest
from bq_server.clock import Clock
from bq_server.runtime.data_directory import DataDirectory
from bq_server.store import database_copy
from bq_server.store.backend import StoreAddress, backend_of
from bq_server.stream.backlog import Backlog, Kept
from bq_server.stream.connection import READ_TIMEOUT, StreamUnavailable, connect, owner_of
from bq_server.stream.dead_letters import read_letter, write_letter
from bq_server.stream.embedded import stream_url
from bq_server.stream.keys import StreamKeys

WORKPLACE = ".bq-backup-"
"""Prefix of the directories in which backups are assembled."""


async def take(
    directory: DataDirectory,
    url: str | None,
    keys: StreamKeys,
    target: Path,
    *,
    replace: bool,
    clock: Clock,
    store_url: str | None = None,
) -> Manifest:
    """Write a backup of the directory and its stream to `target`, completely or not at all.

    `url` names the stream server if it isn't the embedded one, and `store_url` the PostgreSQL server that keeps the
    facts if there is no file. Raises `BackupError`, `DataDirectoryUnusable`, and what the stream and the store raise.
    """
    if store_url is None:
        directory.require_database()
    store = store_url or directory.database
    _require_free(target, replace=replace)
    try:
        with _workplace(target) as parts:
            manifest = await _collect(directory, store, url, keys, parts, clock)
            made = parts / "backup"
            archive.write(made, manifest, parts)
            if archive.check(made) != manifest:
                raise BackupError(f"{made} does not read back as it was written: the disk can't be trusted")
            _require_free(target, replace=replace)
            made.rename(target)
        sync(target.parent)
    except OSError as error:
        raise BackupError(f"the backup can't be written to {target.parent}: {error.strerror}") from error
    return manifest


@contextmanager
def _workplace(target: Path) -> Iterator[Path]:
    """A directory beside `target`, removed at the end; what killed backups left there is removed first."""
    for left in target.parent.glob(f"{WORKPLACE}*"):
        with suppress(OSError), _held(left):
            shutil.rmtree(left)
    with TemporaryDirectory(prefix=WORKPLACE, dir=target.parent) as name, ExitStack() as stack:
        with suppress(OSError):  # some file systems can't lock directories: there nothing is ever considered abandoned
            stack.enter_context(_held(Path(name)))
        yield Path(name)


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Lock the directory, at the latest until this process ends. Raises `OSError` if somebody else has."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _require_free(target: Path, *, replace: bool) -> None:
    if target.is_dir() or (target.exists() and not replace):
        raise BackupError(f"{target} already exists: choose another name, or replace it with --force")


def sync(directory: Path) -> None:
    """Sync the entries of a directory to disk. Raises `OSError`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _collect(
    directory: DataDirectory, store: StoreAddress, url: str | None, keys: StreamKeys, parts: Path, clock: Clock
) -> Manifest:
    """Copy everything into the directory `parts`, and describe it."""
    taken_at = clock()
    async with AsyncExitStack() as stack:
        connected = connect(url or await stream_url(stack, directory), timeout=READ_TIMEOUT)
        client = await stack.enter_async_context(connected)
        try:
            owner = await owner_of(client, keys)
        except StreamUnavailable as error:
            advice = "" if url else ": a server that was started with --redis-url needs it here too"
            raise BackupError(f"the stream server of {directory.path} does not answer ({error}){advice}") from error
        backlog = Backlog(client, keys)
        while True:
            before = database_copy.resets(store)
            newest = await backlog.newest()
            queued = await _write(_first_tries(backlog.queued(newest)), parts / archive.QUEUE)
            dead = await _write(_letters(backlog.dead()), parts / archive.DEAD)
            await _copy(store, parts / archive.DATABASE)
            if database_copy.resets(parts / archive.DATABASE) == before:
                break
            # An environment was reset meanwhile: what was queued before must not come back.
            for name in archive.MEMBERS:
                (parts / name).unlink()
    contents = database_copy.examine(parts / archive.DATABASE)
    if owner != contents.installation_id:
        raise BackupError(
            f"the stream under the prefix {keys.prefix!r} doesn't belong to {backend_of(store).name}: give the "
            "--redis-url and --redis-prefix of its server, and start that server once"
        )
    return Manifest(
        version=__version__,
        schema_version=contents.schema_version,
        installation_id=contents.installation_id,
        taken_at=taken_at,
        newest_message_id=newest,
        facts=contents.facts,
        queued=queued,
        dead_letters=dead,
        members={name: archive.measure(parts / name) for name in archive.MEMBERS},
    )


async def _copy(store: StoreAddress, target: Path) -> None:
    if isinstance(store, Path):
        database_copy.copy(store, target)
    else:
        from bq_server.store.postgresql.file_copy import copy_to_file  # with the driver, which few need

        await copy_to_file(store, target)


async def _first_tries(messages: AsyncIterator[Kept]) -> AsyncIterator[Kept]:
    """All except those that are also dead letters being retried, which are backed up as letters."""
    async for message in messages:
        if not message.retried:
            yield message


async def _letters(messages: AsyncIterator[Kept]) -> AsyncIterator[Kept]:
    """Dead letters, as they were before they were retried: no message of the copy is a retry."""
    async for message in messages:
        letter = read_letter(message.message_id, message.content)
        yield message if letter.retried_as is None else Kept(message.message_id, write_letter(letter))


async def _write(messages: AsyncIterator[Kept], path: Path) -> int:
    """Write them as lines; returns how many."""
    count = 0
    with path.open("x", encoding="ascii") as file:
        async for message in messages:
            file.write(archive.line(message.message_id, message.content))
            count += 1
    return count
