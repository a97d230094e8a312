"""`bq-server backup` and `bq-server restore`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bq_server.cli.options import complete, fail, reveal, with_settings
from bq_server.settings import Settings

if TYPE_CHECKING:
    from bq_server.backup.archive import Manifest

PLACES = ["data_dir", "store_url", "redis_url", "redis_prefix"]


@with_settings(PLACES)
def backup(
    settings: Settings,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
) -> None:
    """Write everything the server keeps to one file. Works while it runs.

    This is the database and the queue in the stream: every event accepted before this command started is in it. The
    file is written under a temporary name, read back and checked before it gets its name. It holds participants' data
    and the hashes of keys, so only its owner may read it. A store on PostgreSQL is in it as it is in a file.
    """
    from bq_server.backup.snapshot import take
    from bq_server.clock import system_clock
    from bq_server.runtime.data_directory import DataDirectory
    from bq_server.stream.cluster import keys_at

    directory, url = DataDirectory(settings.data_dir), reveal(settings.redis_url)
    keys = keys_at(url, settings.redis_prefix)
    store_url = reveal(settings.store_url)
    work = take(directory, url, keys, file, replace=force, clock=system_clock, store_url=store_url)
    with _ending():
        manifest = complete(work)
    typer.echo(f"{file}: {_told(manifest)}, {file.stat().st_size / 1e6:.1f} MB")


@with_settings(PLACES)
def restore(
    settings: Settings,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `backup` wrote.", show_default=False)],
) -> None:
    """Fill a new or empty data directory from a backup, completely or not at all.

    The queue is restored into the embedded stream of that directory, or with --redis-url into that server, under an
    unused prefix. With --store-url everything else goes into that database of PostgreSQL, which must be empty.
    """
    from bq_server.backup.restore import Restore
    from bq_server.clock import system_clock
    from bq_server.ids import IdSource
    from bq_server.runtime.data_directory import DataDirectory
    from bq_server.runtime.logs import configure
    from bq_server.stream.cluster import keys_at

    configure(settings.log_format, settings.log_level)

    directory, url = DataDirectory(settings.data_dir), reveal(settings.redis_url)
    keys = keys_at(url, settings.redis_prefix)
    window, store_url = settings.idempotency_window_hours, reveal(settings.store_url)
    work = Restore(
        file, directory, url, keys, window_hours=window, ids=IdSource(), clock=system_clock, store_url=store_url
    )
    with _ending():
        manifest = complete(work.run())
    typer.echo(f"{directory.path}: {_told(manifest)}")


def _told(manifest: "Manifest") -> str:
    from bq_server.moments import format_timestamp

    return (
        f"{manifest.facts} facts, {manifest.queued} queued messages, {manifest.dead_letters} dead letters "
        f"of {format_timestamp(manifest.taken_at)}"
    )


@contextmanager
def _ending() -> Iterator[None]:
    """Turns expected errors into an exit with a message."""
    from bq_server.backup.archive import BackupError
    from bq_server.runtime.data_directory import DataDirectoryUnusable
    from bq_server.store.database import StoreUnavailable
    from bq_server.store.database_copy import DatabaseDamaged
    from bq_server.store.migrations import SchemaTooNew
    from bq_server.stream.connection import StreamUnavailable, StreamUnusable

    known = (BackupError, DataDirectoryUnusable, DatabaseDamaged, StoreUnavailable, SchemaTooNew)
    try:
        yield
    except (*known, StreamUnavailable, StreamUnusable) as error:
        fail(str(error))
