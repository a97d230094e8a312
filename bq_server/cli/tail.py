"""`bq-server tail`: what happens in an environment, as it happens."""

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bq_server.cli.remote import READ_KEY, URL
from bq_server.cli.words import in_brief, json_text, printable

if TYPE_CHECKING:
    from bq_server.cli.feed import FeedItem

PARTICIPANT = Annotated[str, typer.Option("--participant", help="Only what concerns this participant.")]
EVENT = Annotated[str, typer.Option("--event", help="Only facts and dead letters of events with this name.")]
WIDTH = 28
"""Least width of what precedes the properties."""


def tail(
    participant: PARTICIPANT = "",
    event: EVENT = "",
    types: Annotated[
        str,
        typer.Option(
            "--type", help="Only these types, separated by commas: fact.created, badge.awarded, message.dead, ..."
        ),
    ] = "",
    as_lines: Annotated[bool, typer.Option("--json", help="Each event as a line of JSON, for programs.")] = False,
    after: Annotated[
        str | None,
        typer.Option("--after", help="Start after this id; 0 starts with the oldest fact.", show_default=False),
    ] = None,
    url: URL = "http://127.0.0.1:8080",
    api_key: READ_KEY = "",
) -> None:
    """Print what happens as it happens: facts and what they caused, dead letters, changes of the game.

    Continues where it was after the server was unavailable. Ctrl-C ends it, with exit code 0.
    """
    from bq_server.cli.feed import FeedClient

    client = FeedClient(url, api_key, {"participant_id": participant, "event_name": event, "type": types}, after)
    color = coloured()
    try:
        for item in client.items():
            if as_lines:
                typer.echo(
                    json.dumps({"id": item.id, "type": item.type, "timestamp": item.timestamp, "data": item.data})
                )
            else:
                typer.echo(line_of(item), color=color)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def coloured() -> bool:
    """Whether the output is a terminal that wants colours."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def line_of(item: "FeedItem") -> str:
    """An event of the feed on one line."""
    at = typer.style(item.timestamp, dim=True)
    data = item.data
    match item.type:
        case "fact.created":
            name, who = printable(data["event_name"]), printable(data["participant_id"])
            head = f"{typer.style(name, bold=True)} {typer.style(who, fg='cyan')}"
            told = head + " " * max(0, WIDTH - len(name) - len(who))
            if data["properties"]:
                told += "  " + json_text(data["properties"])
            if data["effects"]:
                told += "  " + typer.style(f"-> {printable(in_brief(data['effects']))}", fg="green")
        case "effects.recomputed":
            told = f"recomputed {typer.style(printable(data['participant_id']), fg='cyan')}  "
            told += typer.style(f"-> {printable(in_brief(data['effects']))}", fg="green")
        case "streak.broken":
            who, effect = printable(data["participant_id"]), data["effect"]
            who = typer.style(who, fg="cyan")
            told = f"streak {printable(effect['code'])} of {who} broke, longest {effect['longest']}"
        case "leaderboard.rank_changed":
            who, board = printable(data["participant_id"]), printable(data["leaderboard_code"])
            before, after = (f"rank {each or '-'}" for each in (data["previous_rank"], data["rank"]))
            told = f"{board} ({data['period']}): {typer.style(who, fg='cyan')} {before} -> {after}"
        case "message.dead":
            name, who = printable(data["event_name"]), printable(data["participant_id"])
            told = typer.style(f"dead {data['message_id']} {name} {who}: {printable(data['reason'])}", fg="red")
        case "game.changed":
            parts = [
                f"{word} {', '.join(printable(each) for each in data[word])}"
                for word in ("added", "changed", "removed", "recomputed")
                if data[word]
            ]
            told = typer.style(f"game version {data['version']}: {'; '.join(parts) or 'other settings'}", fg="magenta")
        case "environment.reset":
            removed = ", its game too" if data["game_removed"] else ""
            told = typer.style(f"the environment was emptied{removed}", fg="yellow")
        case kind:
            told = f"{printable(kind)} {json_text(data)}"
    return f"{at}  {told}"
