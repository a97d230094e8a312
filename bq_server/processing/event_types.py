"""The types of events that are announced: webhooks have all of these, and the feed can be asked for them."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from bq_server.game.effects import BADGE, CHALLENGE, MILESTONE, POINTS, REVOCATION, STREAK, TIER, PackedEffect, kind_of

EventType = Literal[
    "points.changed",
    "badge.awarded",
    "award.revoked",
    "challenge.progressed",
    "challenge.completed",
    "milestone.reached",
    "streak.extended",
    "streak.broken",
    "streak.milestone",
    "tier.changed",
    "leaderboard.rank_changed",
    "fact.created",
    "message.dead",
]
EVENT_TYPES: frozenset[EventType] = frozenset(get_args(EventType))
STREAK_BROKEN: Literal["streak.broken"] = "streak.broken"
RANK_CHANGED: Literal["leaderboard.rank_changed"] = "leaderboard.rank_changed"
MESSAGE_DEAD: Literal["message.dead"] = "message.dead"

_TYPES: dict[int, EventType] = {
    POINTS: "points.changed",
    BADGE: "badge.awarded",
    STREAK: "streak.extended",
    TIER: "tier.changed",
    REVOCATION: "award.revoked",
}
_SHOWN_TYPES: dict[str, EventType] = {
    "points": "points.changed",
    "badge": "badge.awarded",
    "streak": "streak.extended",
    "tier": "tier.changed",
    "revocation": "award.revoked",
}


def event_type_of(effect: PackedEffect) -> EventType | None:
    """The event that an effect is; None for one that isn't announced."""
    kind = effect[0] if effect[0] >= 0 else ~effect[0]
    if kind == CHALLENGE:
        return "challenge.completed" if kind_of(effect)[1][2] else "challenge.progressed"
    if kind == MILESTONE:
        return "streak.milestone" if kind_of(effect)[1][0] == "streak" else "milestone.reached"
    return _TYPES.get(kind)


def type_of_shown(effect: Mapping[str, Any]) -> EventType | None:
    """The event that an effect is, as in `event_type_of`, from the form in which it is returned."""
    match effect["type"]:
        case "challenge":
            return "challenge.completed" if effect["completed"] else "challenge.progressed"
        case "milestone":
            return "streak.milestone" if effect["of"] == "streak" else "milestone.reached"
        case kind:
            return _SHOWN_TYPES.get(kind)
