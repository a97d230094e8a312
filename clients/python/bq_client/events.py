"""What an application sends."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a participant did.

    The idempotency key is created with the event, so that it becomes one fact however often it is sent. Two events that
    should count twice are two `Event`s.

    Raises `ValueError` for a timestamp without a time zone, and `TypeError` or `ValueError` for properties that JSON
    can't represent: here, where they are known, and not when the event is sent.
    """

    event_name: str
    participant_id: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    timestamp: datetime | None = None
    """When it happened, with a time zone; None for the time at which the server accepts it."""
    idempotency_key: str = field(default_factory=lambda: uuid4().hex)
    voids: str | None = None
    """The idempotency key of an event of the same participant, which counts as if it had never been."""
    content: bytes = field(init=False, repr=False, compare=False)
    """The event as JSON, as it was when it was created."""

    def __post_init__(self) -> None:
        if self.timestamp is not None and self.timestamp.tzinfo is None:
            raise ValueError("timestamp needs a time zone, such as datetime.now(timezone.utc)")
        body: dict[str, Any] = {
            "event_name": self.event_name,
            "participant_id": self.participant_id,
            "properties": dict(self.properties),
            "idempotency_key": self.idempotency_key,
        }
        if self.timestamp is not None:
            body["timestamp"] = self.timestamp.isoformat()
        if self.voids is not None:
            body["voids"] = self.voids
        object.__setattr__(self, "content", json.dumps(body, separators=(",", ":"), allow_nan=False).encode())
