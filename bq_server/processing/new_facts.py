"""New facts: what a batch makes of events, and what is written of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from pydantic_core import from_json

from bq_server.events import Event, Scope
from bq_server.exact_json import dumps
from bq_server.game.facts import Fact as GameFact
from bq_server.processing.game_runner import Effects
from bq_server.store import aliases
from bq_server.store.batch import Changes, NewFact
from bq_server.store.catalog import Seen
from bq_server.store.facts import StoredFact
from bq_server.store.references import References
from bq_server.store.reward_claims import NewRewardClaim


class NewFacts(Struct):
    """The new events of one environment."""

    now: int
    facts: list[GameFact] = field(default_factory=list)
    """In the order of their seqs."""
    rows: dict[int, NewFact] = field(default_factory=dict)
    """By seq, without what they caused."""
    seen: Seen = field(default_factory=Seen)
    aliasing: set[str] = field(default_factory=set)
    """In whose stories there are facts that may change which names are aliases."""


def as_meant(reading: Any, references: References, events: Sequence[Event]) -> list[Event]:
    """The events, those sent under an alias as events of whom it stands for."""
    named: dict[Scope, set[str]] = {}
    for event in events:
        if event.scope in references.aliased:
            named.setdefault(event.scope, set()).add(event.participant_id)
    known = {scope: aliases.stories_of(reading, scope, names) for scope, names in named.items()}
    return [
        event
        if (who := known.get(event.scope, {}).get(event.participant_id)) is None
        else event._replace(participant_id=who, sent_as=event.participant_id)
        for event in events
    ]


def new_fact(event: Event, seq: int, now: int, fact_id: str) -> tuple[StoredFact, GameFact]:
    """The fact that an event becomes now, as the store returns it and as the game sees it."""
    fact_type = event.fact_type
    fact = StoredFact(
        seq,
        fact_id,
        event.event_id,
        event.message_id,
        *event.scope,
        fact_type,
        event.event_name,
        event.participant_id,
        event.properties,
        event.occurred_at,
        event.received_at,
        now,
        event.idempotency_key,
        event.fingerprint,
        event.warnings,
        event.voids,
        sent_as=event.sent_as,
    )
    return fact, GameFact(
        fact_id,
        seq,
        fact_type,
        event.event_name,
        event.participant_id,
        from_json(event.properties),
        event.occurred_at,
        event.received_at,
        event.idempotency_key,
        event.voids,
    )


def claim_of(row: NewFact) -> NewRewardClaim:
    """The claim that a fact is of."""
    properties = from_json(row.event.properties)
    return NewRewardClaim(row.seq, str(properties.get("reward_code")), properties.get("code_value"))


def record(rows: Mapping[int, NewFact], changes: Changes, facts: Sequence[GameFact], effects: Effects) -> None:
    """Add facts themselves to what is to be written."""
    counts = changes.counts
    for fact in facts:
        row = rows[fact.seq]
        counts[fact.participant_id] = counts.get(fact.participant_id, 0) + (row.event.system_type is None)
        caused = effects.get(fact.fact_id)
        if caused is not None:
            row.effects = dumps(caused)
        changes.facts.append(row)
