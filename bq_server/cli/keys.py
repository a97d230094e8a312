"""`bq-server keys`: API keys, whether or not a server runs."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bq_server.cli.options import STORE, complete, fail, with_settings
from bq_server.settings import Settings

if TYPE_CHECKING:
    from bq_server.runtime.data_directory import DataDirectory
    from bq_server.settings import RateLimit
    from bq_server.store.audit_log import Act, Action
    from bq_server.store.database import Database
    from bq_server.store.keys import ApiKey


class KeyScope(StrEnum):
    """What a key may do."""

    INGEST = "ingest"
    AWARD = "award"
    READ = "read"
    METRICS = "metrics"
    WEBHOOKS = "webhooks"
    ADMIN = "admin"


MOST_DAYS = 36_500
"""Longest life of a key that expires."""

app = typer.Typer(help="Create, list, rotate and revoke API keys.", no_args_is_help=True)


@app.command("create")
@with_settings(STORE)
def create(
    settings: Settings,
    env: Annotated[Literal["live", "test"], typer.Option(help="The environment the key acts on.")],
    scope: Annotated[
        list[KeyScope],
        typer.Option(help="What the key may do; repeat it for more. admin includes the others."),
    ],
    name: Annotated[str, typer.Option(help="A name to recognize the key by.")] = "",
    expires_in: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="How long the key is valid, such as P90D; by default for ever."),
    ] = None,
    rate_limit: Annotated[
        str | None,
        typer.Option(
            metavar="LIMIT",
            help="Its limit as requests/seconds, such as 1000/60, or off; by default the server's.",
        ),
    ] = None,
) -> None:
    """Create a key and print it. It is shown only now: only its hash is stored."""
    lasts = None if expires_in is None else microseconds("--expires-in", expires_in)
    limit = None if rate_limit is None else _rate_limit("--rate-limit", rate_limit)
    typer.echo(complete(add_key("keys create", env, scope, name, lasts, settings, limit)))


async def add_key(
    command: str,
    env: Literal["live", "test"],
    scope: list[KeyScope],
    name: str,
    lasts: int | None,
    settings: Settings,
    limit: "RateLimit | None" = None,
    *,
    make: bool = True,
) -> str:
    """A new key, which expires after so many microseconds. Without `make` the program ends if there is no database."""
    import secrets

    from bq_server.clock import system_clock
    from bq_server.ids import IdSource
    from bq_server.store import keys

    key, now = keys.generate(env, secrets.token_bytes), system_clock()
    scopes: tuple[keys.KeyScope, ...] = tuple(item.value for item in dict.fromkeys(scope))
    expires_at = None if lasts is None else now + lasts
    async with _database(settings, make=make) as database, database.transaction() as connection:
        added = await keys.add(connection, key, scopes, name, IdSource(), now, expires_at=expires_at, rate_limit=limit)
        await _act("key_created", command, added).keep(connection, **keys.described(added))
    return key


@app.command("list")
@with_settings(STORE)
def list_keys(settings: Settings) -> None:
    """List the keys, without their secrets."""
    from bq_server.cli.tables import print_table
    from bq_server.moments import SECOND, format_timestamp
    from bq_server.store import keys

    async def every() -> list[keys.ApiKey]:
        async with _database(settings, make=False) as database, database.read() as connection:
            return await keys.every(connection)

    def told(moment: int | None) -> str:
        return "" if moment is None else format_timestamp(moment - moment % SECOND)

    rows = []
    for key in complete(every()):
        times = [told(each) for each in (key.created_at, key.last_used_at, key.expires_at, key.revoked_at)]
        limit = "" if key.rate_limit is None else str(key.rate_limit)
        rows.append((key.key_id, key.scope.environment, " ".join(sorted(key.scopes)), key.name, *times, limit))
    print_table(("id", "environment", "scopes", "name", "created", "last used", "expires", "revoked", "limit"), rows)


@app.command("rotate")
@with_settings(STORE)
def rotate(
    settings: Settings,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="From `keys list`.")],
    overlap: Annotated[str, typer.Option(metavar="DURATION", help="How long the old key stays valid.")] = "P1D",
    expires_in: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="How long the new key is valid; as long as the old one was made to be."),
    ] = None,
) -> None:
    """Create a key with the scopes of another, print it, and let the other expire.

    The successor of a key that ends ends, too: --expires-in says when. Its end is printed beside it, to standard error.
    """
    import secrets

    from bq_server.clock import system_clock
    from bq_server.ids import IdSource
    from bq_server.moments import format_timestamp
    from bq_server.store import keys

    stays = microseconds("--overlap", overlap)
    lasts = None if expires_in is None else microseconds("--expires-in", expires_in)

    async def succeed() -> tuple[str, int | None] | None:
        async with _database(settings, make=False) as database, database.transaction() as connection:
            old = next((key for key in await keys.every(connection) if key.key_id == key_id), None)
            if old is None:
                return None
            environment: Literal["live", "test"] = "live" if old.scope.environment == "live" else "test"
            new = keys.generate(environment, secrets.token_bytes)
            added = await keys.rotate(connection, old, new, IdSource(), system_clock(), stays, lasts)
            if added is None:
                return None
            await _act("key_rotated", "keys rotate", added).keep(
                connection, **keys.described(added), in_place_of=key_id
            )
            return new, added.expires_at

    made = complete(succeed())
    if made is None:
        fail(f"there is no valid key {key_id}: `bq-server keys list` shows the ids")
    key, ends = made
    typer.echo(f"valid until {format_timestamp(ends)}" if ends is not None else "valid for ever", err=True)
    typer.echo(key)


@app.command("limit")
@with_settings(STORE)
def limit_key(
    settings: Settings,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="From `keys list`.")],
    limit: Annotated[
        str, typer.Argument(metavar="LIMIT", help="Requests/seconds, such as 1000/60; or off; or default.")
    ],
) -> None:
    """Give a key its own rate limit, no limit, or the server's again. A running server applies it within seconds."""
    from bq_server.store import keys

    wanted = None if limit == "default" else _rate_limit("LIMIT", limit)

    async def put() -> bool:
        async with _database(settings, make=False) as database, database.transaction() as connection:
            key = next((each for each in await keys.every(connection) if each.key_id == key_id), None)
            if key is None:
                return False
            await keys.limit(connection, key_id, wanted)
            await _act("key_limited", "keys limit", key).keep(connection, key=key_id, rate_limit=limit)
            return True

    if not complete(put()):
        fail(f"there is no key {key_id}: `bq-server keys list` shows the ids")


@app.command("revoke")
@with_settings(STORE)
def revoke(
    settings: Settings,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="From `keys list`.")],
) -> None:
    """Revoke a key. A running server refuses it within seconds."""
    from bq_server.clock import system_clock
    from bq_server.store import keys

    async def end() -> bool:
        async with _database(settings, make=False) as database, database.transaction() as connection:
            key = next((each for each in await keys.every(connection) if each.key_id == key_id), None)
            if key is None:
                return False
            if key.revoked_at is None:
                await keys.revoke(connection, key_id, system_clock())
                await _act("key_revoked", "keys revoke", key).keep(connection, **keys.described(key))
            return True

    if not complete(end()):
        fail(f"there is no key {key_id}: `bq-server keys list` shows the ids")


def _act(action: "Action", command: str, key: "ApiKey") -> "Act":
    from bq_server.clock import system_clock
    from bq_server.store.audit_log import Act, Actor

    return Act(action, key.scope, Actor(command=command), system_clock)


def _rate_limit(option: str, text: str) -> "RateLimit":
    from bq_server.settings import NO_RATE_LIMIT, rate_limit_of

    try:
        return rate_limit_of(text) or NO_RATE_LIMIT
    except ValueError as error:
        fail(f"{option} {text!r} {error}", code=2)


def microseconds(option: str, text: str) -> int:
    """A duration in microseconds; ends the program if it isn't one."""
    from datetime import timedelta

    from pydantic import TypeAdapter, ValidationError

    from bq_server.sandbox.clocks import Duration

    try:
        found: timedelta = TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        fail(f"{option} must be an ISO 8601 duration such as P90D or PT12H, not {text!r}")
    if found > timedelta(days=MOST_DAYS):
        fail(f"{option} must be at most {MOST_DAYS:,} days")
    return found // timedelta(microseconds=1)


@asynccontextmanager
async def _database(settings: Settings, *, make: bool = True) -> "AsyncIterator[Database]":
    """The database, whether or not a server is running on it; its schema is left alone while one is.

    If there is none yet, one is created; with `make` false, the program ends.
    """
    from bq_server.runtime.data_directory import DataDirectory, DataDirectoryUnusable
    from bq_server.runtime.logs import configure
    from bq_server.store.database import Database, StoreUnavailable
    from bq_server.store.migrations import SchemaTooNew, SchemaTooOld

    configure(settings.log_format, settings.log_level)
    directory = DataDirectory(settings.data_dir)
    with ExitStack() as stack:
        try:
            if not make:
                directory.require_store(settings.store_url)
            alone = settings.store_url is not None or _locked(stack, directory)
        except DataDirectoryUnusable as error:
            fail(str(error))
        try:
            async with Database.open(directory.store(settings.store_url), may_migrate=alone) as database:
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
            directory.require_database()  # if there is one, a server runs there
        except DataDirectoryUnusable:
            raise error from None
        return False
    return True
