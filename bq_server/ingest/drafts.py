"""From a valid event to one with an id, times, a fingerprint and warnings."""

from typing import Any

from pydantic_core import to_json

from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.game.facts import FACT_VOIDED
from bq_server.ids import IdSource
from bq_server.ingest.idempotency import fingerprint
from bq_server.ingest.validation import ValidEvent
from bq_server.moments import HOUR, PLAUSIBLE_FROM

FAR_AHEAD = 24 * HOUR
"""A timestamp further ahead than this is accepted with a warning."""

MOST_WARNINGS = 20
MOST_CHARACTERS = 100
"""How much is kept of unknown fields."""


class Drafter:
    """Turns what was sent into events."""

    def __init__(self, ids: IdSource, clocks: Clocks) -> None:
        self._ids = ids
        self._clocks = clocks

    def draft(self, scope: Scope, valid: ValidEvent) -> Event:
        """The event, received now."""
        now = self._clocks.now(scope)
        sent = valid.sent
        said = (sent.event_name, sent.participant_id, sent.properties or {}, sent.timestamp, sent.voids)
        return Event(
            event_id=self._ids.new("evt"),
            scope=scope,
            event_name=sent.event_name,
            participant_id=sent.participant_id,
            properties=valid.properties,
            occurred_at=now if sent.timestamp is None else sent.timestamp,
            received_at=now,
            idempotency_key=sent.idempotency_key,
            fingerprint=None if sent.idempotency_key is None else fingerprint(*said),
            warnings=_warnings(valid, now),
            voids=sent.voids,
        )

    def draft_system(
        self, scope: Scope, fact_type: str, participant_id: str, properties: dict[str, Any], key: str | None = None
    ) -> Event:
        """An event of our own, with a `system.*` type, that happens now."""
        now = self._clocks.now(scope)
        return Event.of_system(
            self._ids.new("evt"),
            scope,
            fact_type,
            participant_id,
            properties,
            occurred_at=now,
            received_at=now,
            idempotency_key=key,
            fingerprint=None if key is None else fingerprint(fact_type, participant_id, properties, None),
            voids=properties["fact_id"] if fact_type == FACT_VOIDED else None,
        )


def _warnings(valid: ValidEvent, now: int) -> str:
    timestamp = valid.sent.timestamp
    if not valid.sent.model_extra and (timestamp is None or PLAUSIBLE_FROM <= timestamp <= now + FAR_AHEAD):
        return "[]"
    unknown = list(valid.sent.model_extra or {})
    warnings = [
        {
            "code": "unknown_field",
            "field": name[:MOST_CHARACTERS],
            "detail": "is not a field of an event and was dropped",
        }
        for name in unknown[:MOST_WARNINGS]
    ]
    if len(unknown) > MOST_WARNINGS:
        detail = f"and {len(unknown) - MOST_WARNINGS} more fields that an event doesn't have were dropped"
        warnings.append({"code": "unknown_field", "field": "", "detail": detail})
    if timestamp is not None and timestamp - now > FAR_AHEAD:
        detail = "is more than 24 hours ahead of the clock"
        warnings.append({"code": "timestamp_ahead", "field": "timestamp", "detail": detail})
    if timestamp is not None and timestamp < PLAUSIBLE_FROM:
        detail = "is before 2000-01-03, as from a clock that was never set; rolling challenges ignore it"
        warnings.append({"code": "timestamp_implausible", "field": "timestamp", "detail": detail})
    return to_json(warnings).decode("utf-8")
