"""Restoring a backup into a new data directory, or its store into PostgreSQL and its queue into that directory.

Everything is prepared in a directory inside the new one and then renamed into place, the database last: a data
directory that is a mount point, as in a container, can't be renamed, and its parent may not be writable. A database of
PostgreSQL is filled in one transaction, which commits last.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from bq_server.backup import archive
from bq_server.backup.archive import BackupError, Manifest
from bq_server.backup.snapshot import sync
from bq_server.clock import Clock
from bq_server.events import Event, Scope
from bq_server.ids import IdSource
from bq_server.moments import HOUR, format_timestamp
from bq_server.runtime.data_directory import RESTORING, DataDirectory
from bq_server.runtime.streams_used import place_of
from bq_server.store import environments, installation
from bq_server.store.audit_log import Act, Actor
from bq_server.store.database import Database
from bq_server.store.database_copy import DatabaseDamaged, examine
from bq_server.store.migrations import available
from bq_server.stream.backlog import Kept
from bq_server.stream.claims import Claim, EventClaims
from bq_server.stream.connection import READ_TIMEOUT, connect
from bq_server.stream.dead_letters import read_letter
from bq_server.stream.embedded import EmbeddedValkey
from bq_server.stream.initial_load import fill
from bq_server.stream.keys import StreamKeys

Resets = Mapping[Scope, int]
"""How often an environment was reset: it is part of the claims on its idempotency keys."""

NOTHING = {"lock", "lost+found"}
"""What an empty data directory may contain."""


class Restore:
    """Puts one backup into one data directory."""

    def __init__(
        self,
        source: Path,
        directory: DataDirectory,
        url: str | None,
        keys: StreamKeys,
        *,
        window_hours: int,
        ids: IdSource,
        clock: Clock,
        store_url: str | None = None,
    ) -> None:
        """`store_url`: the PostgreSQL that is to keep the store; None for a file in the directory."""
        self._store_url = store_url
        self._source = source
        self._directory = directory
        self._url = url
        self._keys = keys
        self._window_hours = window_hours
        self._ids = ids
        self._clock = clock

    async def run(self) -> Manifest:
        """Restore all of it, or leave everything as it was.

        The copy is a separate installation: with the id of the original, both could consume the same stream. Raises
        `BackupError`, `DataDirectoryUnusable`, and what the stream and the store raise.
        """
        manifest = archive.check(self._source)
        newest = available()[-1][0]
        if manifest.schema_version > newest:
            raise BackupError(
                f"{self._source} has schema version {manifest.schema_version}, and this bq-server knows versions up "
                f"to {newest}: restore it with bq-server {manifest.version} or newer"
            )
        target = self._directory.path
        made = not target.exists()
        try:
            with self._directory.locked():
                self._require_empty()
                await self._require_unused_store()
                await self._fill(manifest)
        except BaseException as error:
            if made and target.is_dir():
                shutil.rmtree(target)
            if isinstance(error, OSError):
                raise BackupError(f"the data directory {target} can't be written: {error.strerror}") from error
            raise
        return manifest

    def _require_empty(self) -> None:
        target = self._directory.path
        found = {entry.name for entry in target.iterdir()} - NOTHING
        unfinished = {path.name for path in self._directory.unfinished}
        if unfinished and found <= unfinished | {"stream"}:
            # Left by a killed restore: it began in an empty directory, so all of this is its own.
            for name in found:
                shutil.rmtree(target / name)
        elif found:
            raise BackupError(
                f"the data directory {target} is not empty (it contains {', '.join(sorted(found)[:3])}): "
                "name a new one with --data-dir, or move its contents away"
            )

    async def _fill(self, manifest: Manifest) -> None:
        target = self._directory.path
        staging = DataDirectory(Path(mkdtemp(prefix=RESTORING, dir=target)))
        try:
            archive.unpack(self._source, staging.path)
            await self._fill_stream(manifest, staging, *await self._adopt(manifest, staging.database))
            with self._placed(staging.database):
                if staging.stream.exists():
                    (staging.stream / "valkey.log").unlink(missing_ok=True)
                    sync(staging.stream)
                    staging.stream.rename(self._directory.stream)
            with suppress(OSError):  # everything is there; only a hint would be missing
                self._directory.whereabouts.add(place_of(self._url, self._keys.prefix))
        except BaseException:
            shutil.rmtree(self._directory.stream, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(staging.path)
            sync(target)
        sync(target.parent)

    async def _require_unused_store(self) -> None:
        if self._store_url is not None:
            from bq_server.store.postgresql.file_copy import require_unused

            await require_unused(self._store_url)

    @contextmanager
    def _placed(self, database: Path) -> Iterator[None]:
        """Put the database where it belongs, after what is done in the block: a server refuses a stream without one."""
        if self._store_url is None:
            yield
            database.rename(self._directory.database)
        else:
            from bq_server.store.postgresql.file_copy import filled_from_file

            with filled_from_file(database, self._store_url):
                yield

    async def _adopt(self, manifest: Manifest, path: Path) -> tuple[str, Resets]:
        """Check the unpacked database, upgrade its schema and make it a separate installation.

        Returns the installation's id, and how often each environment was reset.
        """
        try:
            contents = examine(path)
        except DatabaseDamaged as error:
            raise BackupError(f"{self._source}: {error}") from error
        if (contents.facts, contents.schema_version) != (manifest.facts, manifest.schema_version):
            raise BackupError(
                f"{self._source} is not a backup of bq-server: its database is not the one that its manifest describes"
            )
        async with Database.open(path) as database, database.transaction() as connection:
            resets = {scope: each.resets for scope, each in (await environments.every(connection)).items()}
            act = Act("backup_restored", None, Actor(command="restore"), self._clock)
            told = {"facts": manifest.facts, "queued": manifest.queued, "dead_letters": manifest.dead_letters}
            await act.keep(connection, taken_at=format_timestamp(manifest.taken_at), **told)
            return await installation.renew(connection, self._ids, self._clock()), resets

    async def _fill_stream(self, manifest: Manifest, staging: DataDirectory, owner: str, resets: Resets) -> None:
        async with AsyncExitStack() as stack:
            url = self._url
            if url is None:
                valkey = EmbeddedValkey(staging.stream)
                stack.push_async_callback(valkey.stop)
                await valkey.start()
                url = valkey.url
            claims = EventClaims(self._keys, resets)
            # A dead letter older than the time for which its key is remembered may have been sent again since.
            forgotten = manifest.taken_at - self._window_hours * HOUR
            await fill(
                await stack.enter_async_context(connect(url, timeout=READ_TIMEOUT)),
                self._keys,
                _dead(staging.path / archive.DEAD, forgotten, claims),
                _queued(staging.path / archive.QUEUE, claims),
                newest=manifest.newest_message_id,
                owner=owner,
                window_hours=self._window_hours,
            )


def _dead(path: Path, forgotten: int, claims: EventClaims) -> Iterator[tuple[Kept, Claim | None]]:
    for message_id, value in archive.lines(path):
        claim = _claim(message_id, read_letter(message_id, value).payload, claims)
        remembered = claim is not None and claim.received_at > forgotten
        yield Kept(message_id, value), claim if remembered else None


def _queued(path: Path, claims: EventClaims) -> Iterator[tuple[Kept, Claim | None]]:
    for message_id, payload in archive.lines(path):
        yield Kept(message_id, payload), _claim(message_id, payload, claims)


def _claim(message_id: str, payload: bytes, claims: EventClaims) -> Claim | None:
    """The claim that the message was accepted with, recreated: a repeat of it must still be recognized."""
    try:
        event = Event.from_payload(payload, message_id)
    except (ValueError, TypeError):
        return None  # an unreadable one has none, and becomes a dead letter again
    return claims.of(event, message_id)
