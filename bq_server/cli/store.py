"""`bq-server store`: the store as a whole."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bq_server.cli.options import STORE, complete, fail, with_settings
from bq_server.settings import Settings

if TYPE_CHECKING:
    from bq_server.store.backend import StoreAddress

app = typer.Typer(help="Move the store between a file and PostgreSQL.", no_args_is_help=True)


@app.callback()
def _store() -> None:
    """A group even with only one command."""


@app.command("move")
@with_settings(STORE)
def move_store(
    settings: Settings,
    to: Annotated[
        str,
        typer.Option("--to", metavar="URL|DIR", help="postgresql://..., or a data directory for a store in a file."),
    ],
) -> None:
    """Move all facts, states, games and keys to another store while no server runs; the queue stays where it is.

    The other store must be empty. Run the same command again to resume an interrupted move. Afterwards the old store
    can't be served from: start the server with the new --store-url, or without it.
    """
    from bq_server.runtime.data_directory import DataDirectory, DataDirectoryUnusable
    from bq_server.runtime.logs import configure
    from bq_server.store.database import StoreUnavailable
    from bq_server.store.migrations import SchemaTooNew
    from bq_server.store.move import MoveRefused, move

    configure(settings.log_format, settings.log_level)
    source = DataDirectory(settings.data_dir)
    into_file = not to.startswith(("postgresql://", "postgres://"))
    target: StoreAddress = DataDirectory(Path(to)).database if into_file else to
    with ExitStack() as stack:
        try:
            source.require_store(settings.store_url)
            for directory in {source.path, Path(to)} if into_file else {source.path}:
                stack.enter_context(DataDirectory(directory).locked(wait_seconds=1))
            address = source.store(settings.store_url)
            for each in (address, target):
                complete(_made_ready(each))
            count = move(address, target, _progress)
        except (DataDirectoryUnusable, MoveRefused, SchemaTooNew, StoreUnavailable) as error:
            fail(str(error))
    typer.echo(f"{count} rows moved")


async def _made_ready(address: "StoreAddress") -> None:
    """Upgrade its schema, and check that nobody serves from it."""
    from bq_server.store.database import Database

    async with Database.open(address, moving=True) as database:
        await database.hold()


def _progress(table: str, done: int, total: int) -> None:
    typer.echo(f"{table}: {done} of {total}", err=True)
