"""`bq-server console`: a link that signs in to the console of a running server."""

import json
import sys
import time
from typing import Annotated, Literal

import typer

from bq_server.cli.keys import KeyScope, add_key, microseconds
from bq_server.cli.options import STORE, complete, fail, with_settings
from bq_server.cli.remote import URL, RequestRefused, ask
from bq_server.settings import Settings

HONOURED_SECONDS = 10.0
"""Within which a running server knows a key that was just created."""

POLL_SECONDS = 0.2
MOST_SECONDS = 30 * 86_400


@with_settings(STORE)
def console(
    settings: Settings,
    env: Annotated[Literal["live", "test"], typer.Option(help="The environment to look at.")] = "test",
    scope: Annotated[
        list[KeyScope] | None,
        typer.Option(help="What the session may do; repeat it for more.", show_default="admin"),
    ] = None,
    lasts: Annotated[str, typer.Option(metavar="DURATION", help="How long the session lasts.")] = "PT12H",
    browser: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open the link in a browser; by default if the output is a terminal."),
    ] = None,
    url: URL = "http://127.0.0.1:8080",
    api_key: Annotated[
        str, typer.Option("--api-key", envvar="BQ_API_KEY", help="Sign in with this key instead of a new one.")
    ] = "",
) -> None:
    """Print a link that signs in to the console once, within 5 minutes.

    A key is made for it in the data directory, named console, that ends with the session; `keys revoke` ends it before.
    With --api-key none is made, and the server may be on another machine.
    """
    life = microseconds("--lasts", lasts)
    seconds = life // 1_000_000
    if not 60 <= seconds <= MOST_SECONDS:
        fail("--lasts must be at least PT1M and at most P30D", code=2)
    key = api_key or complete(add_key("console", env, scope or [KeyScope.ADMIN], "console", life, settings, make=False))
    made = _link(url, key, seconds, patient=not api_key)
    link = url.rstrip("/") + made["path"]
    typer.echo(link)
    if sys.stdout.isatty() if browser is None else browser:
        import webbrowser

        if not webbrowser.open(link):
            typer.echo("bq-server: no browser could be opened: open the link yourself", err=True)


def _link(url: str, key: str, seconds: int, *, patient: bool) -> dict[str, str]:
    """A new link. The server doesn't know a new key immediately."""
    body = json.dumps({"lasts_seconds": seconds}).encode()
    deadline = time.monotonic() + HONOURED_SECONDS
    while True:
        try:
            found: dict[str, str] = ask(url, "POST", "/api/v1/console/links", key, body)
        except RequestRefused as error:
            if error.status != 401 or not patient:
                fail(str(error))
            if time.monotonic() > deadline:
                fail(f"{url} doesn't know the new key: does it use another data directory?")
            time.sleep(POLL_SECONDS)
        else:
            return found
