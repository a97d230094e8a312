"""`bq-server game`: check a game document, and apply it to a running server."""

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bq_server.cli.options import consent, fail
from bq_server.cli.remote import URL, call
from bq_server.cli.words import in_words, printable

app = typer.Typer(help="Check and apply the rules of the game.", no_args_is_help=True)

FILE = Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON.")]
API_KEY = Annotated[
    str,
    typer.Option("--api-key", envvar="BQ_API_KEY", help="A key with the scope admin; it determines the environment."),
]

POLL_SECONDS = 0.2


class ExampleName(StrEnum):
    """The shipped examples, by the names of their files."""

    COFFEE = "coffee"
    LEARNING = "learning"


@app.command()
def check(file: FILE) -> None:
    """Report every mistake in a game document, with its line and column."""
    from bq_server.game.document.check import check as check_text

    checked = check_text(_read(file))
    for mistake in checked.mistakes:
        typer.echo(f"{file}:{mistake}", err=mistake.severity == "error")
    if checked.game is None:
        raise typer.Exit(1)
    listed = {kind: len(found) for kind, found in checked.game if isinstance(found, list) and found}
    counts = ", ".join(f"{count} {kind}" for kind, count in listed.items())
    typer.echo(f"{file}: ok: {counts or 'no definitions'}")


@app.command()
def explain(file: FILE) -> None:
    """Say what each rule of a game document does, in plain English."""
    from bq_server.game.document.check import check as check_text
    from bq_server.game.plain_english.explanation import explain as explain_game

    checked = check_text(_read(file))
    for mistake in checked.mistakes:
        typer.echo(f"{file}:{mistake}", err=True)
    if checked.game is None:
        raise typer.Exit(1)
    for line in explain_game(checked.game).splitlines():
        typer.echo(printable(line))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the game document, for editors that complete it."""
    from bq_server.game.document.definitions import game_schema

    typer.echo(json.dumps(game_schema(), indent=2, ensure_ascii=False))


@app.command()
def apply(
    file: FILE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    backfill: Annotated[bool, typer.Option("--backfill", help="Also count the facts already stored.")] = False,
    allow_removal: Annotated[
        bool, typer.Option("--allow-removal", help="Remove definitions of a live environment without asking.")
    ] = False,
    url: URL = "http://127.0.0.1:8080",
    api_key: API_KEY = "",
) -> None:
    """Show what applying a game would change, then apply it and wait until everything is recomputed.

    If it would remove definitions of a live environment, it asks first, or fails if there is no terminal.
    """
    text = _read(file)
    backfilling = "true" if backfill else "false"
    path = f"/api/v1/gamify/admin/game?backfill={backfilling}"
    plan = call(url, "PUT", f"{path}&dry_run=true", api_key, text)
    for warning in plan["warnings"]:
        typer.echo(f"{file}:{warning}", err=True)
    for word, mark in (("added", "+"), ("changed", "~"), ("removed", "-")):
        for definition in plan[word]:
            typer.echo(f"{mark} {definition}")
    typer.echo(
        f"{len(plan['added'])} added, {len(plan['changed'])} changed, {len(plan['removed'])} removed, "
        f"{plan['unchanged']} unchanged; {plan['participants_affected']} participants affected"
    )
    _tell_forecast(plan["forecast"])
    if dry_run:
        return
    if plan["removed"] and not allow_removal and not _is_of_test(api_key):
        what = f"this would remove {_counted(plan['removed'])} from the live game of {url}"
        consent(what, "Apply it?", "--allow-removal")
    applied = call(url, "PUT", path, api_key, text)
    typer.echo(f"applied as version {applied['version']}")
    if applied["recomputed"]:
        _follow(url, api_key)


@app.command()
def example(
    name: Annotated[
        ExampleName,
        typer.Argument(help="coffee: a loyalty game of the usual mechanics. learning: a course, finely tuned."),
    ] = ExampleName.COFFEE,
    show: Annotated[bool, typer.Option("--show", help="Only print the game and its events.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Replace the current game without asking.")] = False,
    url: URL = "http://127.0.0.1:8080",
    api_key: API_KEY = "",
) -> None:
    """Apply a shipped example game, play it, and print what each event caused.

    Only in a test environment, because its events are invented. Asks before it replaces another game.
    """
    from importlib.resources import files

    directory = files("bq_server.examples")
    document = (directory / f"{name.value}.yaml").read_text("utf-8")
    events = (directory / f"{name.value}.ndjson").read_text("utf-8")
    if show:
        typer.echo(document)
        typer.echo(events, nl=False)
        return
    if api_key and not _is_of_test(api_key):
        fail("the example replaces the game and posts invented events: it needs a key of a test environment", code=2)
    path = "/api/v1/gamify/admin/game"
    removed = call(url, "PUT", f"{path}?dry_run=true", api_key, document.encode())["removed"]
    if removed and not yes:
        consent(f"this would replace the test game of {url}, {_counted(removed)}", "Play the example?", "--yes")
    applied = call(url, "PUT", path, api_key, document.encode())
    typer.echo(f"the example game is applied as version {applied['version']}")
    who = ""
    for line in events.splitlines():
        event = json.loads(line)
        who = who or event["participant_id"]
        answer = call(url, "POST", "/api/v1/ingest/events/sync?include=effects", api_key, line.encode())
        typer.echo(f"{event['timestamp']}  {event['participant_id']}  {event['event_name']}")
        for effect in answer["effects"]:
            typer.echo(f"    {in_words(effect)}")
    typer.echo(f"see the state of {who}: curl {url}/api/v1/gamify/participants/{who}/state -H 'X-API-Key: ...'")


def _is_of_test(api_key: str) -> bool:
    """Whether a key acts on a test environment, which its prefix says."""
    return api_key.startswith("bq_test_")


def _counted(definitions: list[str]) -> str:
    return "1 definition" if len(definitions) == 1 else f"{len(definitions)} definitions"


def _tell_forecast(forecast: dict[str, Any] | None) -> None:
    """What a game will award for stored facts."""
    if not forecast or not forecast["total"]:
        return
    for each in forecast["payments"]:
        badges = f", {each['badges']} badges" if each["badges"] else ""
        typer.echo(f"pays {each['points']} points{badges} to {each['participants']} participants  ({each['cause']})")
    if not forecast["payments"]:
        typer.echo("pays nothing for stored facts")
    if forecast["examined"] < forecast["total"]:
        typer.echo(f"(so far: {forecast['examined']} of {forecast['total']} participants were examined in 10 s)")


def _follow(url: str, api_key: str) -> None:
    """Show a background refold until it is finished."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("computing anew", total=None)
        while True:
            refolds = call(url, "GET", "/api/v1/gamify/admin/game", api_key)["refolds"]
            open_ones = [refold for refold in refolds if refold["finished_at"] is None]
            if not open_ones:
                break
            done, total = (sum(refold[name] for refold in open_ones) for name in ("done", "total"))
            progress.update(task, completed=done, total=max(total, 1))
            time.sleep(POLL_SECONDS)
    typer.echo("recomputed for every participant")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"{file} can't be read: {error.strerror}", code=2)
