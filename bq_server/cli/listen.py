"""`bq-server listen`: what happens, forwarded as webhooks to a program under development."""

import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bq_server.cli.options import fail
from bq_server.cli.remote import READ_KEY, URL
from bq_server.cli.tail import PARTICIPANT, coloured
from bq_server.cli.words import printable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from bq_server.cli.feed import FeedItem

TIMEOUT_SECONDS = 10.0


def listen(
    forward_to: Annotated[
        str, typer.Option("--forward-to", metavar="ADDRESS", help="http:// or https://; local ones are fine.")
    ],
    event: Annotated[
        list[str] | None, typer.Option("--event", help="An event to forward; repeat it for more. By default all.")
    ] = None,
    participant: PARTICIPANT = "",
    secret: Annotated[
        str, typer.Option(help="Secret to sign with, whsec_ and base64; by default a new one is created and printed.")
    ] = "",
    url: URL = "http://127.0.0.1:8080",
    api_key: READ_KEY = "",
) -> None:
    """Forward what happens from now on as signed webhooks, and print the answer to each.

    For development: each is sent once. Nothing is left behind on the server. Ctrl-C ends it, with exit code 0.
    """
    if not forward_to.startswith(("http://", "https://")):
        fail(f"--forward-to {forward_to} must start with http:// or https://", code=2)
    import secrets

    from bq_server.cli.feed import FeedClient
    from bq_server.delivery.bodies import webhook_body
    from bq_server.delivery.signing import new_secret
    from bq_server.processing.event_types import EVENT_TYPES

    wanted = frozenset(event or EVENT_TYPES)
    if unknown := wanted - EVENT_TYPES:
        fail(f"{min(unknown)} can't be forwarded; these can: {', '.join(sorted(EVENT_TYPES))}", code=2)
    signing = secret or new_secret(secrets.token_bytes)
    _require_usable(signing)
    typer.echo(f"secret {signing}")
    query = {"participant_id": participant, "type": ",".join(sorted(wanted))}
    try:
        for item in FeedClient(url, api_key, query).items():
            for number, event_type, data in _told(item, wanted):
                body = webhook_body(event_type, item.timestamp, data)
                outcome, taken = _post(forward_to, signing, f"msg_{item.id}_{number}", body)
                color = "green" if taken else "red"
                head = f"{item.timestamp}  {event_type} {printable(data['participant_id'])}"
                typer.echo(f"{head}  {typer.style(f'-> {outcome}', fg=color)}", color=coloured())
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _require_usable(secret: str) -> None:
    import base64

    from bq_server.delivery.signing import PREFIX

    try:
        if secret.startswith(PREFIX) and base64.b64decode(secret.removeprefix(PREFIX), validate=True):
            return
    except ValueError:
        pass
    fail(f"--secret must be {PREFIX} and base64", code=2)


def _told(item: "FeedItem", wanted: Collection[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """What webhooks would be told of it, of the wanted events: the number among all, the event and its data."""
    from bq_server.processing.event_types import type_of_shown

    told = item.data
    if item.type in wanted:
        yield 0, item.type, told
    if item.type in ("fact.created", "effects.recomputed"):
        for number, effect in enumerate(told["effects"], 1):
            own = {"participant_id": told["participant_id"], "fact_id": effect.get("fact_id", told.get("fact_id"))}
            if (event_type := type_of_shown(effect)) in wanted:
                yield number, str(event_type), own | {"effect": effect}


def _post(address: str, secret: str, message_id: str, body: "BaseModel") -> tuple[str, bool]:
    """Send it once, without following redirects; the outcome in words, and whether it was accepted."""
    from urllib.error import HTTPError, URLError
    from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

    from bq_server import __version__
    from bq_server.delivery.signing import headers

    class Straight(HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    sent = body.model_dump_json().encode()
    signed = headers([secret], message_id, int(time.time()), sent)
    fields = {"Content-Type": "application/json", "User-Agent": f"bq-server/{__version__}", **signed}
    began = time.perf_counter()
    try:
        request = Request(address, data=sent, headers=fields, method="POST")  # noqa: S310 - it begins with http
        with build_opener(Straight, ProxyHandler({})).open(request, timeout=TIMEOUT_SECONDS) as answer:
            status = answer.status
    except HTTPError as error:
        status = error.code
        error.close()
    except (URLError, OSError, ValueError) as error:
        return f"no answer: {getattr(error, 'reason', error)}", False
    return f"{status} in {(time.perf_counter() - began) * 1000:.0f} ms", 200 <= status < 300
