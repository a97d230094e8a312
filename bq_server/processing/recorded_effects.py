"""What facts caused, read back as it is told."""

from typing import Any

from bq_server.exact_json import loads_own
from bq_server.game.effects import EFFECTS, unpacked
from bq_server.store import facts
from bq_server.store.database import Connection
from bq_server.store.facts import StoredFact


async def effects_of(connection: Connection, fact: StoredFact) -> list[dict[str, Any]]:
    """What the fact caused when it was processed."""
    return told(fact, await facts.effects(connection, fact.seq))


def told(fact: StoredFact, kept: str | None) -> list[dict[str, Any]]:
    """What the fact caused, of how it is packed."""
    if kept is None:
        return []
    effects = [unpacked(each, fact.fact_id, fact.participant_id, fact.occurred_at) for each in loads_own(kept)]
    found: list[dict[str, Any]] = EFFECTS.dump_python(effects, mode="json")
    return found


def shown(effect: dict[str, Any]) -> dict[str, Any]:
    """An effect beside the event that caused it, whose participant and fact go without saying."""
    return {"type": effect["type"]} | {
        name: value for name, value in effect.items() if name not in ("participant_id", "fact_id", "type")
    }
