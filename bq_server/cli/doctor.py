"""`bq-server doctor`: what this machine and this data directory give the server."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bq_server.cli.options import reveal, with_settings
from bq_server.settings import Settings

if TYPE_CHECKING:
    from bq_server.stream.connection import Durability


@with_settings(["data_dir", "redis_url"])
def doctor(settings: Settings) -> None:
    """Name the SQLite, the stream server, the durability and the data directory in use; exit 1 if one is unfit."""
    from bq_server import __version__
    from bq_server.datadir import DataDirectory, DataDirectoryUnusable
    from bq_server.store import sqlite
    from bq_server.stream.connection import StreamUnavailable, StreamUnusable

    unfit = False
    typer.echo(f"bq-server    {__version__}")
    newest_enough = sqlite.VERSION_INFO >= sqlite.OLDEST
    unfit |= not newest_enough
    typer.echo(f"SQLite       {sqlite.VERSION}" + ("" if newest_enough else " (too old: it can corrupt a database)"))
    directory = DataDirectory(settings.data_dir)
    in_use = False
    state = "new"
    if settings.data_dir.exists():
        try:
            with directory.locked():
                state = "ready"
        except DataDirectoryUnusable as error:
            in_use = "another bq-server" in str(error)
            state = "in use by a running server" if in_use else str(error)
            unfit |= not in_use
    typer.echo(f"data         {settings.data_dir.resolve()} ({state})")
    try:
        durability = asyncio.run(_durability(reveal(settings.redis_url), directory.stream if in_use else None))
    except (StreamUnavailable, StreamUnusable) as error:
        typer.echo(f"stream       {error}")
        raise typer.Exit(1) from None
    typer.echo(f"stream       {durability.server}{'' if settings.redis_url else ' (embedded)'}")
    typer.echo(f"durability   {durability.promise}")
    if durability.may_evict:
        typer.echo(f"             maxmemory-policy {durability.maxmemory_policy} may drop the stream: set noeviction")
        unfit = True
    if unfit:
        raise typer.Exit(1)


async def _durability(url: str | None, running: Path | None) -> "Durability":
    """Ask the server that is named, or the one that runs in that directory, or one started for the question."""
    from bq_server.stream.connection import connect, inspect
    from bq_server.stream.embedded import EmbeddedValkey

    async with AsyncExitStack() as stack:
        if url is None and running is not None:
            url = EmbeddedValkey(running).url
        elif url is None:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="bq-doctor-"))
            valkey = EmbeddedValkey(Path(scratch))
            stack.push_async_callback(valkey.stop)
            await valkey.start()
            url = valkey.url
        return await inspect(await stack.enter_async_context(connect(url)))
