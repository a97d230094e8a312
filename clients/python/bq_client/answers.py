"""The server's answers. Members that a newer server adds are left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self


class _Answer:
    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Read it from the JSON of an answer."""
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type] # each subclass is a dataclass
        return cls(**{name: body[name] for name in names if name in body})


@dataclass(frozen=True, slots=True)
class Accepted(_Answer):
    """The event is stored durably and will be a fact."""

    message_id: str
    event_id: str | None = None
    """The fact's event id; only if the call waited for it."""
    fact_id: str | None = None
    """Only if the call waited; also None for a message that became a dead letter."""


@dataclass(frozen=True, slots=True)
class Rejection(_Answer):
    """Why one event of a batch was not accepted."""

    index: int
    """Its index in the batch."""
    field: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of the events of a batch."""

    accepted: int
    rejected: int
    message_ids: Sequence[str]
    """Of the accepted events, in order."""
    errors: Sequence[Rejection] = ()
    """One event may have several."""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "BatchResult":
        """Read it from the JSON of an answer."""
        errors = tuple(Rejection.of(each) for each in body.get("errors") or ())
        return cls(body["accepted"], body["rejected"], tuple(body["message_ids"]), errors)


@dataclass(frozen=True, slots=True)
class Fact(_Answer):
    """The event is a fact."""

    event_id: str
    fact_id: str
    fact_type: str
    processed_at: str
    effects: Sequence[Mapping[str, Any]] = ()
    """What the event caused: points, badges, ..."""
    warnings: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Rehearsal(_Answer):
    """What the event would cause. Nothing was written."""

    fact_type: str
    would_be: str
    """`processed` or `duplicate`."""
    effects: Sequence[Mapping[str, Any]] = ()
    definitions: Sequence[Mapping[str, Any]] = ()
    """Every definition that listens to the event, and whether it would apply."""
    warnings: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Message(_Answer):
    """The status of an accepted event."""

    message_id: str
    status: str
    """`queued`, `processed`, `duplicate`, `dead` or `lost`."""
    event_id: str | None = None
    fact_id: str | None = None
    reason: str | None = None
