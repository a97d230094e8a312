"""`bq-server dead`: the dead letters of all environments, whether or not a server runs."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import Struct

from bq_server.cli.options import complete, fail, reveal, with_settings
from bq_server.cli.words import json_text
from bq_server.settings import Settings

if TYPE_CHECKING:
    from bq_server.ingest.dead_letters import Letter
    from bq_server.store.audit_log import Action
    from bq_server.stream.dead_letters import DeadLetters

PLACES = ["data_dir", "store_url", "redis_url", "redis_prefix"]
REASON_CHARACTERS = 80
AT_ONCE = 100
"""Messages handled while the store's write lock is held, and named in one entry of the audit log."""

app = typer.Typer(help="Manage dead letters: accepted messages that can't be processed.", no_args_is_help=True)

IDS = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Message ids, from `dead list`.", show_default=False)
]
EVERY = Annotated[bool, typer.Option("--all", help="All dead letters, instead of ids.")]


@app.command("list")
@with_settings(PLACES)
def list_letters(settings: Settings) -> None:
    """List the dead letters with their reasons, the latest accepted first."""
    from bq_server.cli.tables import print_table
    from bq_server.moments import format_timestamp

    rows = []
    for each in complete(_every(settings)):
        why = each.letter.reason
        shown = why if len(why) <= REASON_CHARACTERS else why[: REASON_CHARACTERS - 1] + "…"
        event = each.event
        told = ("", "", "") if event is None else ("/".join(event.scope), event.event_name, event.participant_id)
        rows.append((each.letter.message_id, *told, format_timestamp(each.letter.died_at), shown))
    print_table(("id", "environment", "event", "participant", "given up", "why"), rows)


@app.command("show")
@with_settings(PLACES)
def show(
    settings: Settings,
    message_id: Annotated[str, typer.Argument(metavar="ID", help="From `dead list`.", show_default=False)],
) -> None:
    """Print one dead letter as JSON."""

    async def find() -> "Letter | None":
        from bq_server.ingest.dead_letters import letter_of

        async with _letters(settings) as letters:
            return next((letter_of(each) for each in await letters.get([message_id])), None)

    found = complete(find())
    if found is None:
        fail(f"there is no dead letter {message_id}: `bq-server dead list` shows the ids")
    typer.echo(json_text(_document(found), indent=2))


@app.command("retry")
@with_settings(PLACES)
def retry(settings: Settings, message_ids: IDS = None, every: EVERY = False) -> None:
    """Put messages back into the stream. The server retries them at once, or at its next start.

    Each keeps its id. It becomes a fact, or a dead letter again.
    """
    how = _Handling("dead_letters_retried", "dead retry", lambda letters: letters.retry)
    done = complete(_handle(settings, message_ids, every=every, how=how))
    typer.echo(f"{_counted(done)} put back into the stream")


@app.command("drop")
@with_settings(PLACES)
def drop(
    settings: Settings,
    message_ids: IDS = None,
    every: EVERY = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Remove dead letters permanently: their events will never count. Save them first with `dead export`."""
    if not yes:
        if not typer.get_text_stream("stdin").isatty():
            fail("this removes accepted events permanently: confirm with --yes")
        typer.confirm("This removes accepted events permanently. Continue?", abort=True)
    how = _Handling("dead_letters_dropped", "dead drop", lambda letters: letters.drop)
    done = complete(_handle(settings, message_ids, every=every, how=how))
    typer.echo(f"{_counted(done)} removed")


@app.command("export")
@with_settings(PLACES)
def export(
    settings: Settings,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A file that doesn't exist yet; by default standard output."),
    ] = None,
) -> None:
    """Write the dead letters as NDJSON, one per line."""
    lines = "".join(f"{json_text(_document(each))}\n" for each in complete(_every(settings)))
    if file is None:
        typer.echo(lines, nl=False)
        return
    try:
        with open(file, "x", encoding="utf-8", opener=_for_the_owner) as target:
            target.write(lines)
    except OSError as error:
        fail(f"{file} can't be written: {error.strerror}")


def _for_the_owner(path: str, flags: int) -> int:
    import os

    return os.open(path, flags, 0o600)  # it holds participants' data


def _counted(done: list[str]) -> str:
    return "1 message" if len(done) == 1 else f"{len(done)} messages"


def _document(found: "Letter") -> dict[str, Any]:
    """A dead letter as JSON data; one that contains no event is shown as its bytes, in hexadecimal."""
    from bq_server.moments import format_timestamp

    letter, event = found.letter, found.event
    document: dict[str, Any] = {
        "message_id": letter.message_id,
        "reason": letter.reason,
        "died_at": format_timestamp(letter.died_at),
    }
    if event is None:
        return document | {"payload": letter.payload.hex()}
    return document | {
        "project": event.scope.project,
        "environment": event.scope.environment,
        "event_id": event.event_id,
        "event_name": event.event_name,
        "participant_id": event.participant_id,
        "properties": json.loads(event.properties),
        "occurred_at": format_timestamp(event.occurred_at),
        "received_at": format_timestamp(event.received_at),
        "idempotency_key": event.idempotency_key,
    }


async def _every(settings: Settings) -> "list[Letter]":
    from bq_server.ingest.dead_letters import letter_of

    async with _letters(settings) as letters:
        return [letter_of(each) async for each in letters.latest_first()]


class _Handling(Struct, frozen=True):
    """What is done with messages."""

    action: "Action"
    command: str
    by: "Callable[[DeadLetters], Callable[[list[str]], Awaitable[list[str]]]]"


async def _handle(settings: Settings, message_ids: list[str] | None, *, every: bool, how: _Handling) -> list[str]:
    from bq_server.clock import system_clock
    from bq_server.runtime.data_directory import DataDirectory
    from bq_server.store.audit_log import Act, Actor
    from bq_server.store.database_copy import kept

    if bool(message_ids) == every:
        fail("give message ids, or --all", code=2)
    async with _letters(settings) as letters:
        chosen = message_ids or [each.message_id async for each in letters.latest_first()]
        store = DataDirectory(settings.data_dir).store(settings.store_url)
        actor = Actor(command=how.command)
        begun = Act("dead_letter_handling_begun", None, actor, system_clock)
        act = Act(how.action, None, actor, system_clock)
        done: list[str] = []
        for start in range(0, len(chosen), AT_ONCE):
            found = await letters.get(chosen[start : start + AT_ONCE])
            asked = [each.message_id for each in found if each.retried_as is None]
            if not asked:
                continue
            # The stream server takes no part in the transaction: what is interrupted leaves the intention.
            with kept(store, begun) as (_, about):
                about |= {"handling": how.action, "message_ids": asked}
            with kept(store, act) as (_, about):
                some = await how.by(letters)(asked)
                if some:
                    about |= {"messages": len(some), "message_ids": some}
            done += some
    if message_ids and (missing := [each for each in message_ids if each not in done]):
        fail(f"there is no dead letter {', '.join(missing)}: `bq-server dead list` shows the ids")
    return done


@asynccontextmanager
async def _letters(settings: Settings) -> "AsyncIterator[DeadLetters]":
    """The dead letters of the data directory's stream, whether a server runs on it or not."""
    from bq_server.runtime.data_directory import DataDirectory, DataDirectoryUnusable
    from bq_server.runtime.logs import configure
    from bq_server.store.database import StoreUnavailable
    from bq_server.store.database_copy import installation_id
    from bq_server.stream.cluster import keys_at
    from bq_server.stream.connection import READ_TIMEOUT, StreamUnavailable, StreamUnusable, connect, owner_of
    from bq_server.stream.dead_letters import DeadLetters
    from bq_server.stream.embedded import stream_url

    configure(settings.log_format, "error")
    directory, keys = DataDirectory(settings.data_dir), keys_at(reveal(settings.redis_url), settings.redis_prefix)
    async with AsyncExitStack() as stack:
        try:
            directory.require_store(settings.store_url)
            url = reveal(settings.redis_url) or await stream_url(stack, directory)
            client = await stack.enter_async_context(connect(url, timeout=READ_TIMEOUT))
            owner = await owner_of(client, keys)
            if owner != installation_id(directory.store(settings.store_url)):
                fail(
                    f"the stream under the prefix {keys.prefix!r} doesn't belong to {directory.path}: give the "
                    "--redis-url and --redis-prefix of its server, and start that server once"
                )
            yield DeadLetters(client, keys)
        except (DataDirectoryUnusable, StoreUnavailable, StreamUnavailable, StreamUnusable) as error:
            fail(str(error))
