"""A client of the feed, for commands: it reconnects by itself, and continues where it was."""

import json
import time
from collections.abc import Iterator
from typing import Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import typer
from msgspec import Struct

from bq_server.cli.options import fail

PATH = "/api/v1/feed"

SILENT_SECONDS = 60.0
"""Seconds without a byte after which the connection is considered dead; a feed that was only quiet is resumed."""

PAUSES = (0.5, 1.0, 2.0, 5.0)
"""Between attempts to reconnect, in seconds."""

PASSING = {408, 429, 502, 503, 504}
"""Statuses after which a later attempt may succeed."""


class FeedItem(Struct, frozen=True):
    """An event of the feed."""

    id: str
    type: str
    timestamp: str
    data: dict[str, Any]


class _Away(Exception):
    """The server can't be reached, or has ended the feed. The message says why."""


class FeedClient:
    """Reads the feed of one environment."""

    def __init__(self, url: str, api_key: str, query: dict[str, str], after: str | None = None) -> None:
        """`after` is the id to start after; None starts with what happens from now on."""
        if not url.startswith(("http://", "https://")):
            fail(f"--url {url} must start with http:// or https://", code=2)
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._query = urlencode({name: value for name, value in query.items() if value})
        self._last = after
        self._connected = False
        self._failures = 0
        """Since the last connection."""

    def items(self) -> Iterator[FeedItem]:
        """What happens, without end, through restarts of the server.

        Ends the program if the feed is refused, or if the server can't be reached the first time.
        """
        while True:
            try:
                yield from self._read()
                reason = f"{self._url} ended the connection"
            except _Away as error:
                reason = str(error)
            if self._failures == 0:
                typer.echo(f"bq-server: {reason.rstrip('.')}; reconnecting", err=True)
            time.sleep(PAUSES[min(self._failures, len(PAUSES) - 1)])
            self._failures += 1

    def _read(self) -> Iterator[FeedItem]:
        """The events of one connection. Raises `_Away`."""
        headers = {"X-API-Key": self._api_key, "Accept": "text/event-stream"}
        if self._last is not None:
            headers["Last-Event-ID"] = self._last
        request = Request(f"{self._url}{PATH}?{self._query}", headers=headers)  # noqa: S310 - see __init__
        try:
            with urlopen(request, timeout=SILENT_SECONDS) as answer:  # noqa: S310 - see __init__
                if answer.headers.get_content_type() != "text/event-stream":
                    fail(f"{self._url} has no feed: is it a bq-server, and recent enough?")
                self._say_connected()
                yield from self._parse(answer)
        except HTTPError as error:
            self._refused(error)
        except (URLError, OSError, ValueError) as error:
            reason = f"{self._url} can't be reached: {getattr(error, 'reason', error)}"
            if not self._connected:
                fail(reason)
            raise _Away(reason) from None

    def _parse(self, lines: Any) -> Iterator[FeedItem]:
        name, data, coming = "", "", self._last
        for raw in lines:
            field, _, value = raw.decode().rstrip("\n").partition(":")
            value = value.removeprefix(" ")
            if field == "id":
                coming = value
            elif field == "event":
                name = value
            elif field == "data":
                data += value
            elif not field and not value:
                self._last = coming  # only now: an event that is cut off must be sent again
                if data:
                    item, name, data = self._item(name, data), "", ""
                    if item is not None:
                        yield item

    def _item(self, name: str, data: str) -> FeedItem | None:
        body = json.loads(data)
        if name == "feed.ended":
            if body["data"]["reason"] == "key_ended":
                fail(body["data"]["detail"])
            raise _Away(body["data"]["detail"])
        return FeedItem(self._last or "", name, body["timestamp"], body["data"])

    def _say_connected(self) -> None:
        environment = "live" if self._api_key.startswith("bq_live_") else "test"
        again = " again" if self._connected else ""
        self._connected = True
        self._failures = 0
        typer.echo(f"bq-server: following the {environment} environment of {self._url}{again}; Ctrl-C ends", err=True)

    def _refused(self, error: HTTPError) -> NoReturn:
        try:
            detail = json.load(error)["detail"]
        except (ValueError, KeyError, TypeError, OSError):
            detail = f"{self._url} answered {error.code}: is it a bq-server?"
        if self._connected and error.code in PASSING:
            raise _Away(detail)
        fail(detail)
