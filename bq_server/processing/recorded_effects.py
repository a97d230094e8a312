"""What facts caused, from storage to the form in which it is returned."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from bq_server.exact_json import loads_own
from bq_server.game.effects import EFFECTS, Effect, PackedEffect, unpacked
from bq_server.store import received_facts
from bq_server.store.database import Connection
from bq_server.store.facts import StoredFact
from bq_server.store.received_facts import KeptEffects

Caused = tuple[str | None, PackedEffect]
"""For whom, None for the fact's own participant, and what."""


async def effects_of(connection: Connection, fact: StoredFact) -> list[dict[str, Any]]:
    """What the fact caused when it was processed, as it is returned beside the fact."""
    kept = await connection.run(partial(received_facts.effects_of, seqs=[fact.seq]))
    return shown_effects(fact, packed_effects(kept.get(fact.seq, {})))


def packed_effects(kept: KeptEffects) -> list[Caused]:
    """What a fact caused, from its stored form: first for its own participant."""
    return [(who, each) for who, text in kept.items() for each in loads_own(text)]


def shown_effects(fact: StoredFact, caused: Sequence[Caused]) -> list[dict[str, Any]]:
    """Effects as they are returned beside the fact."""
    return shown(
        [
            unpacked(each, fact.fact_id, fact.participant_id if who is None else who, fact.occurred_at)
            for who, each in caused
        ],
        fact.participant_id,
    )


def received_effects(fact_id: str, participant_id: str, occurred_at: int, kept: str | None) -> list[dict[str, Any]]:
    """What a fact with that event time caused for a participant who received it, from its stored form."""
    packed = [] if kept is None else loads_own(kept)
    return shown([unpacked(each, fact_id, participant_id, occurred_at) for each in packed], participant_id)


def shown(effects: Sequence[Effect], participant_id: str) -> list[dict[str, Any]]:
    """Effects beside the event that caused them: without the fact, and without the participant who is its own."""
    return [_shown(each, participant_id) for each in EFFECTS.dump_python(list(effects), mode="json")] if effects else []


def _shown(effect: dict[str, Any], participant_id: str) -> dict[str, Any]:
    said: Iterable[str] = ("type",) if effect["participant_id"] == participant_id else ("type", "participant_id")
    return {name: effect[name] for name in said} | {
        name: value for name, value in effect.items() if name not in ("participant_id", "fact_id", "type")
    }
