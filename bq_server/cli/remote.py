"""Requests of commands to a server that runs."""

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from bq_server.cli.options import fail

URL = Annotated[str, typer.Option("--url", envvar="BQ_URL", help="The server.")]
READ_KEY = Annotated[
    str, typer.Option("--api-key", envvar="BQ_API_KEY", help="A key with the scope read; it names the environment.")
]
ADMIN_KEY = Annotated[
    str, typer.Option("--api-key", envvar="BQ_API_KEY", help="A key with the scope admin; it names the environment.")
]
AS_JSON = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]

TIMEOUT_SECONDS = 60.0


def call(
    url: str, method: str, path: str, api_key: str, body: bytes | None = None, seconds: float = TIMEOUT_SECONDS
) -> Any:
    """A request to a server, which may take so long; ends the program with a sentence when it is refused."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    if not url.startswith(("http://", "https://")):
        fail(f"--url {url} must start with http:// or https://", code=2)
    media_type = "application/yaml" if method == "PUT" else "application/json"
    headers = {"X-API-Key": api_key, "Content-Type": media_type}
    request = Request(url.rstrip("/") + path, data=body, method=method, headers=headers)  # noqa: S310 - see above
    try:
        with urlopen(request, timeout=seconds) as response:  # noqa: S310 - see above
            return json.load(response)
    except HTTPError as error:
        try:
            problem = json.load(error)
        except ValueError:
            fail(f"{url} answered {error.code}: is it a bq-server?")
        for each in problem.get("errors", []):
            typer.echo(f"{each['field']}: {each['detail']}", err=True)
        fail(problem.get("detail", f"{url} answered {error.code}"))
    except (URLError, OSError, ValueError) as error:
        fail(f"{url} can't be reached: {getattr(error, 'reason', error)}")


def segment(name: str) -> str:
    """A name as a part of a path of its own. Dots alone would be taken for steps of the path."""
    return quote(name, safe="").replace(".", "%2E")
