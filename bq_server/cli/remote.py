"""Requests from commands to a running server."""

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from bq_server.cli.options import fail

URL = Annotated[str, typer.Option("--url", envvar="BQ_URL", help="The server.")]
READ_KEY = Annotated[
    str,
    typer.Option("--api-key", envvar="BQ_API_KEY", help="A key with the scope read; it determines the environment."),
]
AWARD_KEY = Annotated[
    str,
    typer.Option("--api-key", envvar="BQ_API_KEY", help="A key with the scope award; it determines the environment."),
]
ADMIN_KEY = Annotated[
    str,
    typer.Option("--api-key", envvar="BQ_API_KEY", help="A key with the scope admin; it determines the environment."),
]
AS_JSON = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]

TIMEOUT_SECONDS = 60.0


class RequestRefused(Exception):
    """The server refused. The message is its detail."""

    def __init__(self, status: int, detail: str, fields: list[str]) -> None:
        super().__init__(detail)
        self.status = status
        self.fields = fields
        """What is wrong with each invalid field."""


def call(
    url: str, method: str, path: str, api_key: str, body: bytes | None = None, seconds: float = TIMEOUT_SECONDS
) -> Any:
    """A request to a server within a time limit; ends the program with a message if it is refused."""
    try:
        return ask(url, method, path, api_key, body, seconds)
    except RequestRefused as error:
        for said in error.fields:
            typer.echo(said, err=True)
        fail(str(error))


def ask(
    url: str, method: str, path: str, api_key: str, body: bytes | None = None, seconds: float = TIMEOUT_SECONDS
) -> Any:
    """A request to a server within a time limit. Raises `RequestRefused`; ends the program if no server answers."""
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
        fields = [f"{each['field']}: {each['detail']}" for each in problem.get("errors", [])]
        raise RequestRefused(error.code, problem.get("detail", f"{url} answered {error.code}"), fields) from None
    except (URLError, OSError, ValueError) as error:
        fail(f"{url} can't be reached: {getattr(error, 'reason', error)}")


def segment(name: str) -> str:
    """A name as one segment of a path. Dots alone would be taken for `.` or `..`."""
    return quote(name, safe="").replace(".", "%2E")
