"""The contents of an announcement, the same in webhooks and feeds."""

from typing import Any

from bq_server.game.effects import PackedEffect, unpacked
from bq_server.moments import format_timestamp
from bq_server.processing.recorded_effects import shown
from bq_server.store.outbox import Announcement


def data_of(announcement: Announcement) -> dict[str, Any]:
    """The `data` of an announcement that is no fact itself, as JSON values."""
    participant_id, event_type, fact_id, occurred_at, told = announcement
    match event_type:
        case "leaderboard.rank_changed":
            own = {"fact_id": fact_id, **told}
        case "message.dead":
            own = {**told, "occurred_at": format_timestamp(occurred_at)}
        case _:
            own = {"fact_id": fact_id, "effect": effect_of(participant_id, fact_id or "", occurred_at, told)}
    return {"participant_id": participant_id, **own}


def effect_of(participant_id: str, fact_id: str, occurred_at: int, packed: PackedEffect) -> dict[str, Any]:
    """A packed effect of a fact, in the form in which it accompanies the fact."""
    [effect] = shown([unpacked(packed, fact_id, participant_id, occurred_at)], participant_id)
    return effect
