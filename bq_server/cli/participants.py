"""`bq-server participants`: what a participant's facts came to, from a running server."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from bq_server.cli.remote import AS_JSON, READ_KEY, URL, call, segment

app = typer.Typer(help="Show participants.", no_args_is_help=True)


@app.callback()
def _participants() -> None:
    """A group, also while it has one command."""


@app.command()
def show(
    participant_id: Annotated[
        str, typer.Argument(metavar="PARTICIPANT", help="The participant's id.", show_default=False)
    ],
    as_json: AS_JSON = False,
    url: URL = "http://127.0.0.1:8080",
    api_key: READ_KEY = "",
) -> None:
    """Show a participant's state."""
    state = call(url, "GET", f"/api/v1/gamify/participants/{segment(participant_id)}/state", api_key)
    if as_json:
        typer.echo(json.dumps(state, ensure_ascii=False))
        return
    from bq_server.cli.tables import print_table

    print_table(("what", "code", "where it stands"), _rows(state))


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
