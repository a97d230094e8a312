"""What is told outside of a batch: which events its facts and their effects are, and for which endpoints."""

from collections.abc import Iterator
from typing import Any, Literal, get_args

from bq_server.exact_json import dumps
from bq_server.game.effects import BADGE, CHALLENGE, MILESTONE, POINTS, STREAK, TIER, PackedEffect, kind_of
from bq_server.ids import IdSource
from bq_server.store import outbox
from bq_server.store.batch import Changes
from bq_server.store.outbox import NewDelivery

EventType = Literal[
    "points.changed",
    "badge.awarded",
    "challenge.progressed",
    "challenge.completed",
    "milestone.reached",
    "streak.extended",
    "streak.milestone",
    "tier.changed",
    "fact.created",
]
EVENT_TYPES: frozenset[EventType] = frozenset(get_args(EventType))

_TYPES: dict[int, EventType] = {
    POINTS: "points.changed",
    BADGE: "badge.awarded",
    STREAK: "streak.extended",
    TIER: "tier.changed",
}


def announce(connection: Any, ids: IdSource, changes: Changes) -> None:
    """Write what endpoints of the environment are to be told of these changes, in the transaction that makes them."""
    if not changes.facts and not changes.caused:
        return
    listeners = outbox.listening(connection, changes.scope)
    if not listeners:
        return
    happened = list(_happened(changes))
    for listener in listeners:
        deliveries = [
            NewDelivery(ids.new("msg"), listener.endpoint_id, *each, changes.now)
            for each in happened
            if each[1] in listener.event_types
        ]
        if deliveries:
            outbox.add(connection, listener, deliveries)


def event_type_of(effect: PackedEffect) -> EventType | None:
    """The event that an effect is; None for one that is not told."""
    kind, values = kind_of(effect)
    if kind == CHALLENGE:
        return "challenge.completed" if values[2] else "challenge.progressed"
    if kind == MILESTONE:
        return "streak.milestone" if values[0] == "streak" else "milestone.reached"
    return _TYPES.get(kind)


def _happened(changes: Changes) -> Iterator[tuple[str, EventType, str, int, str | None]]:
    """Participant, event, fact, the fact's event time, and the effect: facts first, then what they caused."""
    for fact in changes.facts:
        yield fact.event.participant_id, "fact.created", fact.fact_id, fact.event.occurred_at, None
    for participant_id, fact_id, occurred_at, effects in changes.caused:
        for effect in effects:
            event_type = event_type_of(effect)
            if event_type is not None:
                yield participant_id, event_type, fact_id, occurred_at, dumps(effect)
