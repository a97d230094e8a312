"""Requests and answers as data, shared by both clients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from bq_client.errors import BqError, Refused, Unreachable
from bq_client.events import Event
from bq_client.retries import retry_after

Json = dict[str, Any]

TIMEOUT_SECONDS = 40.0
"""Longer than any answer of the server takes."""


def base_url(url: str) -> str:
    """The URL of a server's API."""
    return f"{url.rstrip('/')}/api/v1"


@dataclass(frozen=True, slots=True)
class Call:
    """A request under /api/v1."""

    method: str
    path: str
    content: bytes | None = None
    """JSON."""
    query: Mapping[str, str] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What httpx's `request` takes."""
        headers = {} if self.content is None else {"Content-Type": "application/json"}
        return {
            "method": self.method,
            "url": self.path,
            "content": self.content,
            "params": self.query,
            "headers": headers,
        }


def event_call(event: Event, *, wait: bool = False) -> Call:
    """Queue an event."""
    return Call("POST", "/ingest/events", event.content, {"wait": "fact"} if wait else None)


def sync_call(event: Event, **query: str) -> Call:
    """Process an event at once, or do a dry run."""
    return Call("POST", "/ingest/events/sync", event.content, query)


def batch_call(events: Sequence[Event]) -> Call:
    """Queue several events."""
    return Call("POST", "/ingest/events/batch", b'{"events":[%s]}' % b",".join(event.content for event in events))


def message_call(message_id: str) -> Call:
    """Ask for the status of a message."""
    return Call("GET", f"/ingest/messages/{_segment(message_id)}")


def state_call(participant_id: str) -> Call:
    """Ask for a participant's state."""
    return Call("GET", f"/gamify/participants/{_segment(participant_id)}/state")


def facts_call(filters: Mapping[str, str | int | None]) -> Call:
    """Ask for a page of facts."""
    return Call("GET", "/facts", query={name: str(value) for name, value in filters.items() if value is not None})


def answer_of(response: httpx.Response) -> Json:
    """The JSON of a success. Raises `Refused`, or `BqError` for what isn't an answer of a bq-server."""
    try:
        found = response.json()
    except ValueError:
        found = None
    if response.is_success and isinstance(found, dict):
        return found
    # A batch of which nothing was accepted is refused with the answer of a batch.
    if response.status_code == 422 and isinstance(found, dict) and "message_ids" in found:
        return found
    if response.is_success or response.is_redirect:
        raise BqError(f"{response.url} answered {response.status_code} without JSON: is it a bq-server?")
    raise Refused(response.status_code, found if isinstance(found, dict) else {}, retry_after(response))


def failure_of(error: httpx.HTTPError) -> BqError:
    """A failure of the connection, as callers see it. One that no retry can cure is raised as it is."""
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
        raise error
    return Unreachable(f"no answer: {error or type(error).__name__}")


def _segment(name: str) -> str:
    """A name as one segment of a path. Dots alone would be taken for `.` or `..`."""
    return quote(name, safe="").replace(".", "%2E")
