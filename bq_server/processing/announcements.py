"""What is told outside of a batch: which events its facts and their effects are, and for which endpoints."""

from collections.abc import Collection, Iterator
from typing import Any, Literal, get_args

from bq_server.game.effects import BADGE, CHALLENGE, MILESTONE, POINTS, STREAK, TIER, PackedEffect, kind_of
from bq_server.store import outbox
from bq_server.store.batch import Changes
from bq_server.store.outbox import Announcement

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


def announce(connection: Any, changes: Changes) -> bool:
    """Write what endpoints of the environment are to be told of these changes, in the transaction that makes them.

    Answers whether there is anything.
    """
    if not changes.facts and not changes.caused:
        return False
    told: dict[frozenset[str], list[Announcement]] = {}
    for listener in outbox.listening(connection, changes.scope):
        chosen = listener.event_types
        if chosen not in told:
            told[chosen] = list(_happened(changes, chosen))
        if told[chosen]:
            outbox.put(connection, listener, told[chosen], changes.now)
    return any(told.values())


def event_type_of(effect: PackedEffect) -> EventType | None:
    """The event that an effect is; None for one that is not told."""
    kind = effect[0] if effect[0] >= 0 else ~effect[0]
    if kind == CHALLENGE:
        return "challenge.completed" if kind_of(effect)[1][2] else "challenge.progressed"
    if kind == MILESTONE:
        return "streak.milestone" if kind_of(effect)[1][0] == "streak" else "milestone.reached"
    return _TYPES.get(kind)


def _happened(changes: Changes, chosen: Collection[str]) -> Iterator[Announcement]:
    """What is told of these events: facts first, then what they caused."""
    if "fact.created" in chosen:
        for fact in changes.facts:
            yield fact.event.participant_id, "fact.created", fact.fact_id, fact.event.occurred_at, None
    for participant_id, fact_id, occurred_at, effect in changes.caused:
        event_type = event_type_of(effect)
        if event_type in chosen:
            yield participant_id, str(event_type), fact_id, occurred_at, effect
