"""`bq-server keys`: API keys, also while a server runs."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bq_server.cli.options import CONFIG, DATA_DIR, complete, fail, load

if TYPE_CHECKING:
    from bq_server.runtime.data_directory import DataDirectory
    from bq_server.store.database import Database


class KeyScope(StrEnum):
    """What a key may do."""

    INGEST = "ingest"
    READ = "read"
    METRICS = "metrics"
    WEBHOOKS = "webhooks"
    ADMIN = "admin"


app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@app.command()
def create(
    env: Annotated[Literal["live", "test"], typer.Option(help="The environment the key acts on.")],
    scope: Annotated[
        list[KeyScope],
        typer.Option(help="What the key may do; give it again for more. admin includes the others."),
    ],
    name: Annotated[str, typer.Option(help="A word to know the key by.")] = "",
    data_dir: DATA_DIR = None,
    config: CONFIG = None,
) -> None:
    """Make a key and print it. It is shown only now: what is kept is its hash."""
    import secrets

    from bq_server.clock import system_clock
    from bq_server.ids import IdSource
    from bq_server.store import keys

    async def add() -> str:
        key = keys.generate(env, secrets.token_bytes)
        async with _database(data_dir, config) as database, database.transaction() as connection:
            await keys.add(
                connection, key, tuple(item.value for item in dict.fromkeys(scope)), name, IdSource(), system_clock()
            )
        return key

    typer.echo(complete(add()))


@app.command("list")
def list_keys(data_dir: DATA_DIR = None, config: CONFIG = None) -> None:
    """List the keys, without what would open anything."""
    from rich.console import Console
    from rich.table import Table

    from bq_server.moments import format_timestamp
    from bq_server.store import keys

    async def every() -> list[keys.ApiKey]:
        async with _database(data_dir, config, make=False) as database, database.read() as connection:
            return await keys.every(connection)

    table = Table("id", "environment", "scopes", "name", "created", "revoked", box=None)
    for key in complete(every()):
        revoked = format_timestamp(key.revoked_at) if key.revoked_at is not None else ""
        scopes = " ".join(sorted(key.scopes))
        table.add_row(key.key_id, key.scope.environment, scopes, key.name, format_timestamp(key.created_at), revoked)
    Console(width=None if typer.get_text_stream("stdout").isatty() else 200).print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="From `keys list`.")],
    data_dir: DATA_DIR = None,
    config: CONFIG = None,
) -> None:
    """Make a key invalid. A running server refuses it within seconds."""
    from bq_server.clock import system_clock
    from bq_server.store import keys

    async def end() -> bool:
        async with _database(data_dir, config, make=False) as database, database.transaction() as connection:
            return await keys.revoke(connection, key_id, system_clock())

    if not complete(end()):
        fail(f"there is no key {key_id}: `bq-server keys list` shows the ids")


@asynccontextmanager
async def _database(data_dir: Path | None, config: Path | None, *, make: bool = True) -> "AsyncIterator[Database]":
    """The database, whether a server is running on it or not; its schema is left alone while one is.

    Where there is none yet, one is made, or with `make` false the program ends.
    """
    from bq_server.runtime.data_directory import DataDirectory, DataDirectoryUnusable
    from bq_server.runtime.logs import configure
    from bq_server.store.database import Database, StoreUnavailable
    from bq_server.store.migrations import SchemaTooNew, SchemaTooOld

    settings = load({} if data_dir is None else {"data_dir": data_dir}, config)
    configure(settings.log_format, settings.log_level)
    directory = DataDirectory(settings.data_dir)
    with ExitStack() as stack:
        try:
            if not make:
                directory.require_database()
            alone = _locked(stack, directory)
        except DataDirectoryUnusable as error:
            fail(str(error))
        try:
            async with Database.open(directory.database, may_migrate=alone) as database:
                yield database
        except (SchemaTooNew, SchemaTooOld, StoreUnavailable) as error:
            fail(str(error))


def _locked(stack: ExitStack, directory: "DataDirectory") -> bool:
    """Hold the directory if nobody else does; whether it is held. Raises `DataDirectoryUnusable`."""
    from bq_server.runtime.data_directory import DataDirectoryUnusable

    try:
        stack.enter_context(directory.locked(wait_seconds=1))
    except DataDirectoryUnusable as error:
        try:
            directory.require_database()  # with one, a server runs there
        except DataDirectoryUnusable:
            raise error from None
        return False
    return True
