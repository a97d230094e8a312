"""`bq-server participants`: participants and their rights, from a running server."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from bq_server.cli.options import fail
from bq_server.cli.remote import ADMIN_KEY, AS_JSON, AWARD_KEY, READ_KEY, URL, call, segment
from bq_server.cli.words import json_text

PATH = "/api/v1/admin/participants"

CLEANING_SECONDS = 3600.0
"""Longest wait for files to be rewritten: the time to copy a very large database."""

PARTICIPANT = Annotated[str, typer.Argument(metavar="PARTICIPANT", help="The participant's id.", show_default=False)]

app = typer.Typer(help="Show, alias, export and erase participants.", no_args_is_help=True)


@app.command()
def show(
    participant_id: PARTICIPANT,
    as_json: AS_JSON = False,
    url: URL = "http://127.0.0.1:8080",
    api_key: READ_KEY = "",
) -> None:
    """Show a participant's state."""
    state = call(url, "GET", f"/api/v1/gamify/participants/{segment(participant_id)}/state", api_key)
    if as_json:
        typer.echo(json_text(state))
        return
    from bq_server.cli.tables import print_table

    print_table(("what", "code", "where it stands"), _rows(state))


@app.command()
def alias(
    participant_id: PARTICIPANT,
    name: Annotated[str, typer.Argument(metavar="FROM", help="The other name, such as an anonymous id.")],
    url: URL = "http://127.0.0.1:8080",
    api_key: AWARD_KEY = "",
) -> None:
    """Let another name stand for a participant: past and future facts of it are the participant's.

    To undo it, make the fact void whose id is printed.
    """
    path = f"/api/v1/gamify/participants/{segment(participant_id)}/alias"
    done = call(url, "POST", path, api_key, json.dumps({"from": name}).encode())
    was = "was" if done["already_aliased"] else "is"
    typer.echo(f"{name} {was} {done['participant_id']} ({done['fact_id']})")


@app.command()
def export(
    participant_id: PARTICIPANT,
    url: URL = "http://127.0.0.1:8080",
    api_key: ADMIN_KEY = "",
) -> None:
    """Print everything that is kept about a participant, as JSON."""
    body = json.dumps({"participant_id": participant_id}).encode()
    found = call(url, "POST", f"{PATH}/export", api_key, body, CLEANING_SECONDS)
    typer.echo(json_text(found, indent=2))


@app.command()
def erase(
    participant_id: PARTICIPANT,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    clean_up: Annotated[bool, typer.Option("--clean-up/--later", help="Clean up the files at once, or later.")] = True,
    url: URL = "http://127.0.0.1:8080",
    api_key: ADMIN_KEY = "",
) -> None:
    """Erase a participant permanently; their facts stay, anonymous and without properties.

    Then the files are rewritten; events accepted meanwhile become facts afterwards. To erase many, or in a large
    database, erase with --later and run `participants clean-up` once.
    """
    if not yes:
        if not typer.get_text_stream("stdin").isatty():
            fail("this erases the participant permanently: confirm with --yes")
        typer.confirm(f"This erases {participant_id} permanently. Continue?", abort=True)
    body = json.dumps({"participant_id": participant_id, "clean_up": clean_up}).encode()
    done = call(url, "POST", f"{PATH}/erase", api_key, body, CLEANING_SECONDS)
    letters = f", {done['dead_letters']} dead letters removed" if done["dead_letters"] else ""
    typer.echo(f"erased: {done['facts']} facts are anonymous now{letters}")
    if not clean_up:
        typer.echo("files may still contain remains: run `bq-server participants clean-up`")
    else:
        _tell_of_stream(clean=done["stream_clean"])


@app.command("clean-up")
def clean_up(url: URL = "http://127.0.0.1:8080", api_key: ADMIN_KEY = "") -> None:
    """Rewrite the files, so that nothing is left of erased participants."""
    done = call(url, "POST", f"{PATH}/clean-up", api_key, b"{}", CLEANING_SECONDS)
    typer.echo(f"cleaned up after {done['erasures']} erasure{'' if done['erasures'] == 1 else 's'}")
    _tell_of_stream(clean=done["stream_clean"])


def _tell_of_stream(*, clean: bool) -> None:
    if not clean:
        typer.echo("the stream server's own files could not be rewritten: see docs/privacy.md", err=True)


def _rows(state: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The state, one line per item."""
    yield "points", "", str(state["points"]["balance"])
    for each in state["points"].get("currencies", ())[1:]:
        yield "points", each["code"], str(each["balance"])
    for name in ("tier", "badges", "streaks", "challenges", "leaderboards"):
        found = state[name]
        for each in found if isinstance(found, list) else [found]:
            if each is not None:
                code = next((key for key in each if key == "code" or key.endswith("_code")), "")
                told = {key: value for key, value in each.items() if key != code and value not in (None, [], {})}
                yield name, str(each.get(code, "")), ", ".join(f"{key} {_word(value)}" for key, value in told.items())


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)
