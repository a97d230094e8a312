"""The feed as data: Server-Sent Events, line by line, and where to continue after the last one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from bq_client.calls import Json, answer_of
from bq_client.errors import BqError, Unreachable


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """Something that happened."""

    id: str
    """A feed that starts after it continues with the next one."""
    type: str
    """`fact.created`, `effects.recomputed`, `message.dead`, `game.changed`, `environment.reset`, or what was named."""
    timestamp: str
    data: Json


class FeedReading:
    """One feed, across as many connections as it takes."""

    def __init__(self, after: str | None, filters: Mapping[str, str | None]) -> None:
        self._last = self._coming = after
        """Where to continue; an id counts once its event is complete, which its empty line says."""
        self._filters = {name: value for name, value in filters.items() if value is not None}
        self._type = ""
        self._data = ""

    @property
    def options(self) -> dict[str, Any]:
        """What httpx's `stream` takes for the next connection."""
        self._type = self._data = ""
        self._coming = self._last
        headers = {"Accept": "text/event-stream"}
        if self._last is not None:
            headers["Last-Event-ID"] = self._last
        return {"method": "GET", "url": "/feed", "params": self._filters, "headers": headers}

    @staticmethod
    def require_feed(response: httpx.Response) -> None:
        """Raises `Refused`, or `BqError` for what isn't a feed. The body of a refusal must have been read."""
        if not response.is_success:
            answer_of(response)
        if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
            raise BqError(f"{response.url} is not a feed: is it a bq-server, and recent enough?")

    @staticmethod
    def ended() -> BqError:
        """For a connection that ended: another one continues."""
        return Unreachable("the feed ended")

    def take(self, line: str) -> FeedEvent | None:
        """The event that this line completes."""
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            self._coming = value
        elif field == "event":
            self._type = value
        elif field == "data":
            self._data += value
        elif not line:
            self._last = self._coming
            if not self._data:
                return None
            body = json.loads(self._data)
            event = FeedEvent(self._last or "", self._type, body["timestamp"], body["data"])
            self._type = self._data = ""
            return None if event.type == "feed.ended" else event
        return None
