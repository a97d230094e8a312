"""`bq-server audit`: administrative actions in all environments, whether or not a server runs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bq_server.cli.options import STORE, complete, fail, with_settings
from bq_server.cli.remote import AS_JSON
from bq_server.cli.words import json_text
from bq_server.settings import Settings

if TYPE_CHECKING:
    from bq_server.store.audit_log import AuditEntry

app = typer.Typer(help="Read the audit log.", no_args_is_help=True)


@app.callback()
def _audit() -> None:
    """A group, even with only one command."""


@app.command("list")
@with_settings(STORE)
def list_entries(
    settings: Settings,
    action: Annotated[str | None, typer.Option(help="Only this action, such as game_applied.")] = None,
    key_id: Annotated[str | None, typer.Option("--key", metavar="ID", help="Only what this key did.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on, ISO 8601. By default all.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most this many.")] = 50,
    as_json: AS_JSON = False,
) -> None:
    """List administrative actions, newest first: what was done, when, and by which key or command."""
    from bq_server.moments import parse_timestamp
    from bq_server.store.audit_log import AuditFilter

    span = {}
    for name, text in (("since", since), ("until", until)):
        if text is not None:
            try:
                span[name] = parse_timestamp(text)
            except ValueError as error:
                fail(f"--{name} {text!r}: {error}", code=2)
    entries = complete(_entries(settings, AuditFilter(action, key_id, **span), limit))
    if as_json:
        typer.echo(json_text([_document(each) for each in entries]))
        return
    from bq_server.cli.tables import print_table

    rows = []
    for each in entries:
        document = _document(each)
        who = document["key_id"] or document["command"]
        about = ", ".join(f"{name} {_word(value)}" for name, value in each.about.items())
        rows.append((document["at"], document["environment"] or "", each.action, who, document["address"] or "", about))
    print_table(("when", "environment", "what", "who", "from", "about"), rows)


def _document(entry: "AuditEntry") -> dict[str, Any]:
    from bq_server.moments import format_timestamp

    return {
        "position": entry.position,
        "at": format_timestamp(entry.at),
        "project": None if entry.scope is None else entry.scope.project,
        "environment": None if entry.scope is None else entry.scope.environment,
        "action": entry.action,
        "key_id": entry.actor.key_id,
        "command": entry.actor.command,
        "address": entry.actor.address,
        "request_id": entry.actor.request_id,
        "about": entry.about,
    }


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


async def _entries(settings: Settings, wanted: Any, limit: int) -> "list[AuditEntry]":
    from bq_server.runtime.data_directory import DataDirectory, DataDirectoryUnusable
    from bq_server.store.audit_log import newest
    from bq_server.store.database import Database, StoreUnavailable
    from bq_server.store.migrations import SchemaTooNew, SchemaTooOld

    directory = DataDirectory(settings.data_dir)
    try:
        directory.require_store(settings.store_url)
        async with (
            Database.open(directory.store(settings.store_url), may_migrate=False) as database,
            database.read() as connection,
        ):
            return await newest(connection, None, wanted, limit)
    except SchemaTooOld:
        fail("the store was last used by an older version, which kept no audit log: start this one's server once")
    except (DataDirectoryUnusable, SchemaTooNew, StoreUnavailable) as error:
        fail(str(error))
