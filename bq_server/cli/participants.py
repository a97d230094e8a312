"""`bq-server participants`: what a participant's facts came to, and a person's rights, asked of a server that runs."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from bq_server.cli.options import fail
from bq_server.cli.remote import ADMIN_KEY, AS_JSON, READ_KEY, URL, call, segment

PATH = "/api/v1/admin/participants"

CLEANING_SECONDS = 3600.0
"""Longest wait for files to be written anew: as long as a copy of a very large database takes."""

PARTICIPANT = Annotated[str, typer.Argument(metavar="PARTICIPANT", help="As events name it.", show_default=False)]

app = typer.Typer(help="Look at participants, export what is kept of one, erase one.", no_args_is_help=True)


@app.command()
def show(
    participant_id: PARTICIPANT,
    as_json: AS_JSON = False,
    url: URL = "http://127.0.0.1:8080",
    api_key: READ_KEY = "",
) -> None:
    """Show everything that a participant's facts came to."""
    state = call(url, "GET", f"/api/v1/gamify/participants/{segment(participant_id)}/state", api_key)
    if as_json:
        typer.echo(json.dumps(state, ensure_ascii=False))
        return
    from bq_server.cli.tables import print_table

    print_table(("what", "code", "where it stands"), _rows(state))


@app.command()
def export(
    participant_id: PARTICIPANT,
    url: URL = "http://127.0.0.1:8080",
    api_key: ADMIN_KEY = "",
) -> None:
    """Print everything that is kept of one participant, as JSON."""
    body = json.dumps({"participant_id": participant_id}).encode()
    found = call(url, "POST", f"{PATH}/export", api_key, body, CLEANING_SECONDS)
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


@app.command()
def erase(
    participant_id: PARTICIPANT,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    clean_up: Annotated[
        bool, typer.Option("--clean-up/--later", help="Whether the files are cleaned up at once.")
    ] = True,
    url: URL = "http://127.0.0.1:8080",
    api_key: ADMIN_KEY = "",
) -> None:
    """Take everything of a participant out for good; the facts stay as nobody's, without properties.

    The files are then written anew, for which none of the events that are accepted meanwhile becomes a fact. With many
    to erase, or a large database, erase with --later and call `participants clean-up` once.
    """
    if not yes:
        if not typer.get_text_stream("stdin").isatty():
            fail("this takes everything of the participant out for good: say so with --yes")
        typer.confirm(f"This takes everything of {participant_id} out for good. Go on?", abort=True)
    body = json.dumps({"participant_id": participant_id, "clean_up": clean_up}).encode()
    done = call(url, "POST", f"{PATH}/erase", api_key, body, CLEANING_SECONDS)
    letters = f", {done['dead_letters']} dead letters removed" if done["dead_letters"] else ""
    typer.echo(f"erased: {done['facts']} facts are nobody's now{letters}")
    if not clean_up:
        typer.echo("files may still hold remains: `bq-server participants clean-up`")
    else:
        _tell_of_stream(clean=done["stream_clean"])


@app.command("clean-up")
def clean_up(url: URL = "http://127.0.0.1:8080", api_key: ADMIN_KEY = "") -> None:
    """Write the files anew, so that nothing is left of participants who were erased."""
    done = call(url, "POST", f"{PATH}/clean-up", api_key, b"{}", CLEANING_SECONDS)
    typer.echo(f"cleaned up after {done['erasures']} erasure{'' if done['erasures'] == 1 else 's'}")
    _tell_of_stream(clean=done["stream_clean"])


def _tell_of_stream(*, clean: bool) -> None:
    if not clean:
        typer.echo("the stream server's own files could not be written anew: see docs/privacy.md", err=True)


def _rows(state: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """A line for each thing that the state tells of."""
    yield "points", "", str(state["points"]["balance"])
    for name in ("tier", "badges", "streaks", "challenges", "leaderboards"):
        found = state[name]
        for each in found if isinstance(found, list) else [found]:
            if each is not None:
                code = next((key for key in each if key == "code" or key.endswith("_code")), "")
                told = {key: value for key, value in each.items() if key != code and value not in (None, [], {})}
                yield name, str(each.get(code, "")), ", ".join(f"{key} {_word(value)}" for key, value in told.items())


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
