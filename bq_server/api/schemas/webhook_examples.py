"""Examples of webhooks: a body of each event."""

from collections.abc import Mapping
from typing import Any

from bq_server.delivery.schemas import TEST

_ABOUT = {"participant_id": "ada", "fact_id": "fact_01jr5n6d8v3q0w2e4r6t8y0u1k"}
_AT = "2026-04-02T09:00:00Z"
_STREAK = {"type": "streak", "occurred_at": _AT, "code": "daily", "current": 7, "longest": 7}
_QUEST = {"type": "challenge", "occurred_at": _AT, "challenge": "spring", "progress": 0.5, "completed": False}
_REACHED = {"type": "milestone", "occurred_at": _AT, "of": "challenge", "code": "spring", "at": 0.5}

_EFFECTS: Mapping[str, Mapping[str, Any]] = {
    "points.changed": {
        "type": "points",
        "occurred_at": _AT,
        "cause": f"points:spend:{_ABOUT['fact_id']}",
        "amount": 40,
        "balance": 140,
    },
    "badge.awarded": {
        "type": "badge",
        "occurred_at": _AT,
        "code": "first_purchase",
        "name": "First purchase",
        "rarity": "common",
        "cause": "criteria:badge/first_purchase",
    },
    "award.revoked": {"type": "revocation", "occurred_at": _AT, "cause": "challenge:spring", "badge": None},
    "challenge.progressed": _QUEST,
    "challenge.completed": {**_QUEST, "progress": 1.0, "completed": True},
    "milestone.reached": _REACHED,
    "streak.extended": _STREAK,
    "streak.broken": {**_STREAK, "current": 0},
    "streak.milestone": {**_REACHED, "of": "streak", "code": "daily", "at": 7.0},
    "tier.changed": {
        "type": "tier",
        "occurred_at": _AT,
        "code": "silver",
        "name": "Silver",
        "level": 2,
        "previous_code": "bronze",
        "previous_level": 1,
    },
}
_FACT = {
    **_ABOUT,
    "fact_type": "custom.purchase_completed",
    "event_name": "purchase_completed",
    "properties": {"amount": 40},
    "occurred_at": _AT,
}
_RANK = {
    **_ABOUT,
    "leaderboard_code": "spenders",
    "window": "weekly",
    "period": "2026-W14",
    "rank": 1,
    "previous_rank": 2,
    "score": 340,
}
_DEAD = {
    "participant_id": "ada",
    "message_id": "1775120400000-0",
    "event_name": "purchase_completed",
    "reason": "its idempotency key belongs to another event",
    "occurred_at": _AT,
}

WEBHOOK_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    event_type: {"type": event_type, "timestamp": "2026-04-02T09:00:01Z", "data": data}
    for event_type, data in {
        **{event_type: {**_ABOUT, "effect": effect} for event_type, effect in _EFFECTS.items()},
        "leaderboard.rank_changed": _RANK,
        "fact.created": _FACT,
        "message.dead": _DEAD,
        TEST: {"endpoint_id": "we_01jr5n6d8v3q0w2e4r6t8y0u1m"},
    }.items()
}
"""A body of each event."""
