"""`bq-server events`: send events to a running server."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from bq_server.cli.options import fail
from bq_server.cli.remote import URL, call
from bq_server.cli.tail import tail
from bq_server.cli.words import in_words, printable

app = typer.Typer(help="Send events, and watch what they become.", no_args_is_help=True)
app.command("tail")(tail)

PATH = "/api/v1/ingest/events"
API_KEY = Annotated[
    str,
    typer.Option(
        "--api-key",
        envvar="BQ_API_KEY",
        help="A key with the scope ingest, for a dry run also read; it determines the environment.",
    ),
]


@app.command()
def send(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The event's name.", show_default=False)],
    participant: Annotated[
        str, typer.Argument(metavar="PARTICIPANT", help="The participant's id.", show_default=False)
    ],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Properties; a value that is JSON is parsed, any other is text."),
    ] = None,
    file: Annotated[
        str, typer.Option("--json", metavar="FILE", help="Properties as a JSON object; - reads standard input.")
    ] = "",
    sync: Annotated[bool, typer.Option("--sync", help="Wait for the fact, and print what it caused.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what it would cause.")] = False,
    times: Annotated[int, typer.Option(min=1, max=10_000, help="Send it this many times, one after the other.")] = 1,
    timestamp: Annotated[str, typer.Option(help="When it happened, ISO 8601; now by default.")] = "",
    idempotency_key: Annotated[
        str, typer.Option(help="Repeats under one key become one fact, and get the first answer.")
    ] = "",
    voids: Annotated[
        str, typer.Option(help="The idempotency key of an event that counts as if it had never been.")
    ] = "",
    url: URL = "http://127.0.0.1:8080",
    api_key: API_KEY = "",
) -> None:
    """Send an event, and print the id of its message or, with --sync, of its fact.

    `amount=40` is a number, `vip=true` a boolean, `color=red` and `size='"40"'` are text.
    """
    event: dict[str, Any] = {"event_name": name, "participant_id": participant, "properties": _properties(file, pairs)}
    if timestamp:
        event["timestamp"] = timestamp
    if idempotency_key:
        event["idempotency_key"] = idempotency_key
    if voids:
        event["voids"] = voids
    body = json.dumps(event).encode()
    for _ in range(1 if dry_run else times):
        if dry_run:
            _tell_rehearsal(call(url, "POST", f"{PATH}/sync?dry_run=true", api_key, body))
        elif sync:
            _tell_fact(call(url, "POST", f"{PATH}/sync?include=effects", api_key, body))
        else:
            message_id = call(url, "POST", PATH, api_key, body)["message_id"]
            typer.echo(message_id)
    if not (dry_run or sync):
        where = f"{url.rstrip('/')}/api/v1/ingest/messages/{message_id}"
        typer.echo(f"accepted. What became of it: bq-server tail, or GET {where}?include=effects", err=True)


def _tell_fact(answer: dict[str, Any]) -> None:
    typer.echo(answer["fact_id"])
    _warn(answer.get("warnings") or ())
    for effect in answer["effects"]:
        typer.echo(f"    {printable(in_words(effect))}")
    if not answer["effects"]:
        typer.echo("    it caused nothing; --dry-run shows why")


def _tell_rehearsal(answer: dict[str, Any]) -> None:
    typer.echo("it would repeat a fact" if answer["would_be"] == "duplicate" else "it would be a fact")
    _warn(answer["warnings"])
    for effect in answer["effects"]:
        typer.echo(f"    {printable(in_words(effect))}")
    for each in answer["definitions"]:
        part = f" ({each['part']})" if each["part"] else ""
        way = f", {each['value']:g} of {each['target']:g}" if each["target"] is not None else ""
        why = f": {printable(each['message'])}" if each["message"] else ""
        typer.echo(f"    {each['definition']}{part} {each['verdict'].replace('_', ' ')}{way}{why}")
    if not answer["definitions"]:
        typer.echo("    no definition of the game listens to it")


def _warn(warnings: Any) -> None:
    for each in warnings:
        typer.echo(f"bq-server: {printable(each['field'])}: {printable(each['detail'])}", err=True)


def _properties(file: str, pairs: list[str] | None) -> dict[str, Any]:
    """The properties of the file, overridden by those given as arguments."""
    found = _read(file) if file else {}
    named: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key:
            fail(f"{pair!r} is not a property: write KEY=VALUE", code=2)
        if key in named:
            fail(f"the property {key} is given twice", code=2)
        named[key] = _value(value)
    return found | named


def _value(text: str) -> Any:
    """The parsed JSON, or else the text."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


def _read(file: str) -> dict[str, Any]:
    try:
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        found = json.loads(text, parse_constant=_no_constant)
    except OSError as error:
        fail(f"{file} can't be read: {error.strerror}", code=2)
    except ValueError as error:
        fail(f"{'standard input' if file == '-' else file} is not JSON: {error}", code=2)
    if not isinstance(found, dict):
        fail(f"{'standard input' if file == '-' else file} must contain a JSON object with the properties", code=2)
    return found
