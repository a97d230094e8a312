"""Tiers: ranks by lifetime points, which never fall, so that nobody loses a tier."""

from collections.abc import Iterable, Sequence
from typing import Any

from bq_server.game.document.tiers import Tier
from bq_server.game.effects import TierChanged
from bq_server.game.facts import Fact
from bq_server.game.mechanics.account import earned_entries
from bq_server.game.mechanics.rule import LedgerEntry


def climb(tiers: Sequence[Tier], history: list[list[Any]], earned: int, fact: Fact) -> TierChanged | None:
    """Append the newly reached tiers, as `[code, level, at]`; returns the change to the highest of them, if any.

    `tiers` are in order of level.
    """
    held = {code for code, _, _ in history}
    before = max(history, key=lambda entry: entry[1], default=None)
    highest: Tier | None = None
    for tier in tiers:
        if tier.min_points <= earned and tier.code not in held:
            history.append([tier.code, tier.level, fact.occurred_at])
            highest = tier
    if highest is None or (before is not None and before[1] >= highest.level):
        return None
    return _change(fact.participant_id, fact.fact_id, fact.occurred_at, highest, before)


def catch_up(
    participant_id: str, tiers: Sequence[Tier], history: list[list[Any]], ledger: Iterable[LedgerEntry]
) -> TierChanged | None:
    """Append the tiers of a changed game that were reached, each at the ledger entry that reached it.

    `ledger` is in the order written, and holds all currencies. Returns the change to the highest of them, if any.
    """
    held = {code for code, _, _ in history}
    before = max(history, key=lambda entry: entry[1], default=None)
    change: TierChanged | None = None
    earned = 0
    currency = tiers[0].currency if tiers else None
    for entry in earned_entries(ledger, currency):
        earned += entry.amount
        for tier in tiers:
            if tier.min_points <= earned and tier.code not in held:
                held.add(tier.code)
                history.append([tier.code, tier.level, entry.occurred_at])
                if before is None or tier.level > before[1]:
                    change = _change(participant_id, entry.fact_id, entry.occurred_at, tier, before)
    return change


def _change(participant_id: str, fact_id: str, at: int, tier: Tier, before: Sequence[Any] | None) -> TierChanged:
    """`before` is the highest tier until then."""
    return TierChanged(
        participant_id=participant_id,
        fact_id=fact_id,
        occurred_at=at,
        code=tier.code,
        name=tier.name,
        level=tier.level,
        previous_code=before[0] if before is not None else None,
        previous_level=before[1] if before is not None else None,
    )
