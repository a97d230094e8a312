"""The two paths into the server behind one interface: an event is accepted, or refused."""

from collections.abc import Sequence
from typing import Any, Protocol

from harness.client import Client, Refused

Json = dict[str, Any]

Rejected = dict[int, list[Json]]
"""What was wrong with the rejected events, by index: `field` and `code`."""


class StoryRoute(Protocol):
    """A way for events."""

    def send(self, event: Json) -> Json:
        """Send an event; returns it as it was sent. Raises `Refused`."""

    def send_wrong(self, event: Json) -> None:
        """Send an event that must be refused, exactly as written. Raises `Refused`."""

    def send_batch(self, events: Sequence[Json], wrong: frozenset[int]) -> Rejected:
        """Send events, of which those at the indexes `wrong` must be rejected. Raises `Refused`."""

    def keyed(self, event: Json) -> Json:
        """The event in a form for which `effects` can find what it caused."""

    def effects(self, event: Json) -> list[Json]:
        """What an event that was sent as returned by `keyed`, and is a fact, caused."""


class ByStream:
    """Events through the stream."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = 0

    def send(self, event: Json) -> Json:
        """Queue an event."""
        self._client.send(event)
        return event

    def send_wrong(self, event: Json) -> None:
        """Queue an event that must be refused."""
        self._client.send(event)

    def send_batch(self, events: Sequence[Json], wrong: frozenset[int]) -> Rejected:  # noqa: ARG002 - as they stand
        """Queue events in one request."""
        rejected: Rejected = {}
        for error in self._client.send_batch(events).get("errors") or []:
            rejected.setdefault(error["index"], []).append(error)
        return rejected

    def keyed(self, event: Json) -> Json:
        """The event under a key, so that it can be repeated."""
        if event.get("idempotency_key") is not None:
            return event
        self._keys += 1
        return event | {"idempotency_key": f"harness-caused-{self._keys}"}

    def effects(self, event: Json) -> list[Json]:
        """What an event caused: a repeat through the sync path makes no second fact, and gets the first answer."""
        found: list[Json] = self._client.send_sync(event)["effects"]
        return found


class BySync:
    """Events through the sync path, batches one event after the other."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._effects: dict[int, list[Json]] = {}

    def send(self, event: Json) -> Json:
        """Process an event."""
        self._effects[id(event)] = self._client.send_sync(event)["effects"]
        return event

    def send_wrong(self, event: Json) -> None:
        """Process an event that must be refused."""
        self._client.send_sync(event)

    def send_batch(self, events: Sequence[Json], wrong: frozenset[int]) -> Rejected:  # noqa: ARG002 - as they stand
        """Process each event by itself."""
        rejected: Rejected = {}
        for index, event in enumerate(events):
            try:
                self._client.send_sync(event)
            except Refused as refused:
                if refused.status >= 500:
                    raise
                rejected[index] = errors_of(refused)
        return rejected

    def keyed(self, event: Json) -> Json:
        """A copy: the answer says what it causes."""
        return dict(event)

    def effects(self, event: Json) -> list[Json]:
        """What an event caused."""
        return self._effects.pop(id(event))


def errors_of(refused: Refused) -> list[Json]:
    """What is wrong with a refused event, in the form of a batch."""
    errors: list[Json] = list(refused.problem.get("errors") or [])
    if not errors and refused.code == "idempotency_conflict":
        return [{"field": "idempotency_key", "code": refused.code, "detail": refused.detail}]
    return errors or [{"field": None, "code": refused.code, "detail": refused.detail}]
