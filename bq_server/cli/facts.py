"""`bq-server facts`: what events became, from a running server."""

import json
from typing import Annotated
from urllib.parse import urlencode

import typer

from bq_server.cli.remote import AS_JSON, READ_KEY, URL, call
from bq_server.cli.words import json_text

app = typer.Typer(help="List facts: what events became.", no_args_is_help=True)


@app.callback()
def _facts() -> None:
    """A group, even with only one command."""


@app.command("list")
def list_facts(
    participant: Annotated[str, typer.Option(help="Only facts of this participant.")] = "",
    event: Annotated[str, typer.Option(help="Only facts of events with this name.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 20,
    as_json: AS_JSON = False,
    url: URL = "http://127.0.0.1:8080",
    api_key: READ_KEY = "",
) -> None:
    """List facts, newest first."""
    asked = {"participant_id": participant, "event_name": event, "limit": limit}
    query = urlencode({name: value for name, value in asked.items() if value})
    facts = call(url, "GET", f"/api/v1/facts?{query}", api_key)["facts"]
    if as_json:
        typer.echo(json_text(facts))
        return
    from bq_server.cli.tables import print_table

    rows = [
        (
            each["occurred_at"],
            each["event_name"],
            each["participant_id"],
            json.dumps(each["properties"]),
            each["fact_id"],
        )
        for each in facts
    ]
    print_table(("occurred", "event", "participant", "properties", "fact"), rows)
