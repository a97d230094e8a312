"""`bq-server facts`: what events became, asked of a server that runs."""

import json
from typing import Annotated
from urllib.parse import urlencode

import typer

from bq_server.cli.remote import AS_JSON, READ_KEY, URL, call

app = typer.Typer(help="Look at facts: what events became.", no_args_is_help=True)


@app.callback()
def _facts() -> None:
    """A group, also while it has one command."""


@app.command("list")
def list_facts(
    participant: Annotated[str, typer.Option(help="Only of this participant.")] = "",
    event: Annotated[str, typer.Option(help="Only of events with this name.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    as_json: AS_JSON = False,
    url: URL = "http://127.0.0.1:8080",
    api_key: READ_KEY = "",
) -> None:
    """List facts, the newest first."""
    asked = {"participant_id": participant, "event_name": event, "limit": limit}
    query = urlencode({name: value for name, value in asked.items() if value})
    facts = call(url, "GET", f"/api/v1/facts?{query}", api_key)["facts"]
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
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
