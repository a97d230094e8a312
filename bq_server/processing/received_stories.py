"""What participants have received, read from the store as the game sees it."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace
from pydantic_core import from_json

from bq_server.events import Scope
from bq_server.game.facts import FACT_VOIDED
from bq_server.game.facts import Fact as GameFact
from bq_server.game.voids import named
from bq_server.store import received_facts
from bq_server.store.batch import Held
from bq_server.store.erasures import NOBODY
from bq_server.store.facts import fact_id_of
from bq_server.store.received_facts import Row


def story_of(participant_id: str, rows: Iterable[Row]) -> list[GameFact]:
    """What a participant has received, as the game sees it.

    Which facts of an erased sender are void is known by their marks only, so the fact that voids is told by the mark.
    """
    known = list(rows)
    void = {row[11]: fact_id_of(row[2], row[1]) for row in known if row[10] == NOBODY and row[11] is not None}
    return [_received(participant_id, row, void.get(row[0])) for row in known]


def about_voids(
    reading: Any, *, references: Any, scope: Scope, who: str, own: Held, fresh: Sequence[GameFact]
) -> list[GameFact]:
    """What a participant has received that voids others or is void, and all of it that this or new facts name."""
    rows = {row[0]: row for row in received_facts.about_voids(reading, own.reference)}
    voiding = [*story_of(who, rows.values()), *fresh]
    told = [name.partition("/") for fact in voiding if (name := named(fact)) is not None]
    keys = {name for kind, _, name in told if kind == "key"}
    ids = {name for kind, _, name in told if kind == "fact"}
    number = references.scope(reading, scope)
    for row in received_facts.named(reading, own.reference, number, keys, ids):
        rows.setdefault(row[0], row)
    return story_of(who, rows.values())


def stored_fact(participant_id: str, row: Sequence[Any]) -> GameFact:
    """A fact of a participant as the game sees it; of the row, the first ten columns count."""
    seq, own_id, event_id, fact_type, event_name, properties, at, came, key, names = row[:10]
    fact_id = fact_id_of(event_id, own_id)
    return GameFact(fact_id, seq, fact_type, event_name, participant_id, from_json(properties), at, came, key, names)


def _received(participant_id: str, row: Row, voids: str | None) -> GameFact:
    fact = stored_fact(participant_id, row)
    changed: dict[str, Any] = {"sender": row[10]}
    if voids is not None:
        changed |= {"fact_type": FACT_VOIDED, "properties": {"fact_id": voids}, "voids": voids}
    return replace(fact, **changed)
