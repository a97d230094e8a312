"""The accepted event: the message that travels from ingest, through the stream or not, to processing."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from pydantic_core import from_json, to_json


class Scope(NamedTuple):
    """What an API key acts on. Every row and every stream key carries both parts."""

    project: str
    environment: str
    """`live` or `test`."""


class ScopedKey(NamedTuple):
    """An idempotency key with all that it is unique in. The index of the facts has the same fields, and so has the
    name of a claim, `bq_server.stream.keys`."""

    scope: Scope
    idempotency_key: str


class Event(NamedTuple):
    """A validated event with its id. Times are microseconds since the epoch, UTC.

    A tuple, because two are created for every event.
    """

    event_id: str
    scope: Scope
    event_name: str
    participant_id: str
    properties: str
    """A JSON object, as compact text."""
    occurred_at: int
    received_at: int
    idempotency_key: str | None = None
    fingerprint: str | None = None
    """Equal for two events if and only if they are the same; only with an idempotency key."""
    warnings: str = "[]"
    """A JSON array of `{code, field, detail}`, as compact text."""
    system_type: str | None = None
    """The type of the fact if it is one of ours (`system.*`), not a client's event."""
    message_id: str | None = None
    """Its id in the stream; none for an event that came by the sync path."""
    traceparent: str | None = None
    """Its context (W3C Trace Context), if it is traced."""
    voids: str | None = None
    """Which fact it voids: its idempotency key or, of our own `system.fact_voided`, its id."""
    sent_as: str | None = None
    """The name under which it was sent, if that is an alias: `participant_id` is then whom it stands for."""

    @classmethod
    def of_system(
        cls,
        event_id: str,
        scope: Scope,
        fact_type: str,
        participant_id: str,
        properties: Mapping[str, Any],
        *,
        occurred_at: int,
        received_at: int,
        idempotency_key: str | None = None,
        fingerprint: str | None = None,
        voids: str | None = None,
    ) -> Self:
        """An event of our own, which no client sent: it becomes a fact of a `system.*` type."""
        return cls(
            event_id=event_id,
            scope=scope,
            event_name=fact_type,
            participant_id=participant_id,
            properties=to_json(properties).decode("utf-8"),
            occurred_at=occurred_at,
            received_at=received_at,
            idempotency_key=idempotency_key,
            fingerprint=fingerprint,
            system_type=fact_type,
            voids=voids,
        )

    @property
    def scoped_key(self) -> ScopedKey | None:
        """Its idempotency key, if it has one, and what that is unique in."""
        return None if self.idempotency_key is None else ScopedKey(self.scope, self.idempotency_key)

    @property
    def fact_type(self) -> str:
        """The type of the fact this event becomes (Events API: `custom.<event_name>`)."""
        return self.system_type or "custom." + self.event_name

    def to_payload(self) -> bytes:
        """The event as one stream field: its fields in order, except the message id, which the stream assigns.

        Only where it is traced, its context follows; and where it voids a fact, which one.
        """
        if self.voids is not None:
            return to_json((*self[:_PAYLOAD_FIELDS], self.traceparent, self.voids))
        if self.traceparent is not None:
            return to_json((*self[:_PAYLOAD_FIELDS], self.traceparent))
        return to_json(self[:_PAYLOAD_FIELDS])

    @classmethod
    def from_payload(cls, payload: bytes, message_id: str) -> Self:
        """Read what `to_payload` wrote. Raises `ValueError` for anything else."""
        fields: Any = from_json(payload)
        if not isinstance(fields, list) or not _PAYLOAD_FIELDS <= len(fields) <= _PAYLOAD_FIELDS + 2:
            raise ValueError("the message is not an event of this server")
        voids = fields.pop() if len(fields) > _PAYLOAD_FIELDS + 1 else None
        traceparent = fields.pop() if len(fields) > _PAYLOAD_FIELDS else None
        event_id, (project, environment), *rest = fields
        return cls(*(event_id, Scope(project, environment), *rest, message_id, traceparent, voids))


def event_of(payload: bytes, message_id: str) -> Event | None:
    """The event in a message; None if it isn't an event of this server."""
    try:
        return Event.from_payload(payload, message_id)
    except (ValueError, TypeError):
        return None


def scope_of(payload: bytes, message_id: str) -> Scope | None:
    """The environment that a message belongs to; None if it isn't an event of this server."""
    event = event_of(payload, message_id)
    return None if event is None else event.scope


_PAYLOAD_FIELDS = len(Event._fields) - 4
