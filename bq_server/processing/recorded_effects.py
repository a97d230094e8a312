"""What facts caused, from storage to the form in which it is returned."""

from collections.abc import Sequence
from typing import Any

from bq_server.exact_json import loads_own
from bq_server.game.effects import EFFECTS, PackedEffect, unpacked
from bq_server.store import facts
from bq_server.store.database import Connection
from bq_server.store.facts import StoredFact


async def effects_of(connection: Connection, fact: StoredFact) -> list[dict[str, Any]]:
    """What the fact caused when it was processed."""
    return told(fact, await facts.effects(connection, fact.seq))


def told(fact: StoredFact, kept: str | None) -> list[dict[str, Any]]:
    """What the fact caused, from its stored form."""
    return _dumped(fact, packed_effects(kept))


def packed_effects(kept: str | None) -> list[PackedEffect]:
    """What a fact caused, from its stored form; None is nothing."""
    found: list[PackedEffect] = [] if kept is None else loads_own(kept)
    return found


def shown_effects(fact: StoredFact, packed: Sequence[PackedEffect]) -> list[dict[str, Any]]:
    """An effect as it is returned beside the fact."""
    return [shown(each) for each in _dumped(fact, packed)]


def _dumped(fact: StoredFact, packed: Sequence[PackedEffect]) -> list[dict[str, Any]]:
    effects = [unpacked(each, fact.fact_id, fact.participant_id, fact.occurred_at) for each in packed]
    found: list[dict[str, Any]] = EFFECTS.dump_python(effects, mode="json") if effects else []
    return found


def shown(effect: dict[str, Any]) -> dict[str, Any]:
    """An effect beside the event that caused it, without the participant and the fact."""
    return {"type": effect["type"]} | {
        name: value for name, value in effect.items() if name not in ("participant_id", "fact_id", "type")
    }
