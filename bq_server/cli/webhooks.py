"""`bq-server webhooks`: webhook endpoints and deliveries, over the API of a running server."""

import json
from typing import Annotated, Any, get_args

import typer

from bq_server.cli.options import fail
from bq_server.cli.remote import URL, call, segment
from bq_server.cli.words import printable

PATH = "/api/v1/webhooks/endpoints"

app = typer.Typer(help="Manage webhook endpoints and their deliveries.", no_args_is_help=True)

API_KEY = Annotated[
    str,
    typer.Option(
        "--api-key", envvar="BQ_API_KEY", help="A key with the scope webhooks; it determines the environment."
    ),
]
ENDPOINT = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Its id, from `webhooks list`.", show_default=False)]


@app.command()
def add(
    to: Annotated[str, typer.Argument(metavar="ADDRESS", help="http:// or https://.", show_default=False)],
    event: Annotated[
        list[str] | None, typer.Option("--event", help="An event to send; repeat it for more. By default all.")
    ] = None,
    description: Annotated[str, typer.Option(help="A note to recognize it by.")] = "",
    top_ranks: Annotated[
        int, typer.Option(min=1, max=100, help="Ranks that leaderboard.rank_changed is sent for.")
    ] = 10,
    vendor_headers: Annotated[
        bool, typer.Option("--vendor-headers", help="Requests also carry the headers of the vendor's webhooks.")
    ] = False,
    url: URL = "http://127.0.0.1:8080",
    api_key: API_KEY = "",
) -> None:
    """Create an endpoint and print its id and its secret, which is shown only now."""
    body = {
        "url": to,
        "event_types": event or _every(),
        "description": description,
        "top_ranks": top_ranks,
        "vendor_headers": vendor_headers,
    }
    made = _call(url, "POST", "", api_key, body)
    typer.echo(made["endpoint_id"])
    typer.echo(made["secret"])


@app.command("list")
def list_endpoints(url: URL = "http://127.0.0.1:8080", api_key: API_KEY = "") -> None:
    """List the endpoints of the environment."""
    found = _call(url, "GET", "", api_key)["endpoints"]
    if not found:
        typer.echo("no endpoints", err=True)
    for each in found:
        state = f"off: {each['off_because']}" if each["off_because"] else "on"
        if each["failing_since"]:
            state += f", failing since {each['failing_since']}"
        about = printable(each["description"])
        typer.echo(f"{each['endpoint_id']}  {each['url']}  {state}  {each['waiting']} waiting  {about}")
        typer.echo(f"    {', '.join(each['event_types'])}")


@app.command()
def remove(endpoint: ENDPOINT, url: URL = "http://127.0.0.1:8080", api_key: API_KEY = "") -> None:
    """Remove an endpoint with all its deliveries."""
    _call(url, "DELETE", f"/{segment(endpoint)}", api_key)
    typer.echo(f"{endpoint} removed")


@app.command()
def deliveries(
    endpoint: ENDPOINT,
    state: Annotated[
        str | None, typer.Option(help="Only deliveries in this state: waiting, delivered or aside.")
    ] = None,
    url: URL = "http://127.0.0.1:8080",
    api_key: API_KEY = "",
) -> None:
    """List an endpoint's recent deliveries, newest first, with the result of the last try."""
    query = "?limit=200" + (f"&state={segment(state)}" if state else "")
    found = _call(url, "GET", f"/{segment(endpoint)}/deliveries{query}", api_key)["deliveries"]
    if not found:
        typer.echo("no deliveries yet", err=True)
    for each in found:
        tries = each["tries"]
        last = f"{tries[-1]['status'] or 'no answer'} {tries[-1]['answer']!r}" if tries else "not tried yet"
        typer.echo(
            f"{each['delivery_id']}  {each['created_at']}  {each['event_type']}  {printable(each['participant_id'])}  "
            f"{each['state']}  {'1 try' if len(tries) == 1 else f'{len(tries)} tries'}  {last}"
        )


@app.command()
def retry(
    endpoint: ENDPOINT,
    delivery: Annotated[
        str, typer.Argument(metavar="DELIVERY", help="Its id, from `webhooks deliveries`.", show_default=False)
    ],
    url: URL = "http://127.0.0.1:8080",
    api_key: API_KEY = "",
) -> None:
    """Retry a delivery at once, whatever its state."""
    _call(url, "POST", f"/{segment(endpoint)}/deliveries/{segment(delivery)}/retry", api_key)
    typer.echo(f"{delivery} will be sent")


@app.command()
def replay(
    endpoint: ENDPOINT,
    since: Annotated[str | None, typer.Option(help="From this time on, ISO 8601. By default all.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    url: URL = "http://127.0.0.1:8080",
    api_key: API_KEY = "",
) -> None:
    """Send an endpoint's deliveries of a time range again, under the same ids. Reaches back 3 days."""
    span = {name: value for name, value in (("since", since), ("until", until)) if value}
    count = _call(url, "POST", f"/{segment(endpoint)}/replay", api_key, span)["deliveries"]
    typer.echo("1 delivery will be sent again" if count == 1 else f"{count} deliveries will be sent again")


def _every() -> list[str]:
    from bq_server.processing.event_types import EventType

    return list(get_args(EventType))


def _call(url: str, method: str, path: str, api_key: str, body: Any = None) -> Any:
    if not api_key:
        fail("give a key with the scope webhooks: --api-key or BQ_API_KEY", code=2)
    return call(url, method, PATH + path, api_key, None if body is None else json.dumps(body).encode())
