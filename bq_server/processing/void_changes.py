"""Which facts new ones make void or make count again: read from the store, and marked in it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from bq_server.events import Scope
from bq_server.game.facts import Fact as GameFact
from bq_server.game.state.keys import VOIDS
from bq_server.game.voids import VoidChange, named, void_change
from bq_server.processing.meant_names import with_meant_names
from bq_server.processing.received_stories import about_voids, stored_fact
from bq_server.store import voids
from bq_server.store.batch import Held
from bq_server.store.database import Connection

Mark = tuple[int, int | None]
"""The seq of a fact, and that of the one that voids it."""

_CELL = f'"{VOIDS}"'


def by_participant(facts: Iterable[GameFact]) -> dict[str, list[GameFact]]:
    """Facts by their participant, in the order given."""
    found: dict[str, list[GameFact]] = {}
    for fact in facts:
        found.setdefault(fact.participant_id, []).append(fact)
    return found


def awaits_voids(held: Held | None) -> bool:
    """Whether something that may still arrive for a participant is already void. Rarely a false positive."""
    return held is not None and _CELL in held.state


async def void_changes(
    connection: Connection,
    scope: Scope,
    by_participant: Mapping[str, Sequence[GameFact]],
    held: Mapping[str, Held],
    *,
    naming: Collection[str],
) -> dict[str, VoidChange]:
    """How new facts change which facts are void, by participant; without participants for whom nothing is void.

    `naming`: the types of facts that name others than their sender; without any, nobody has received facts.
    """
    found: dict[str, VoidChange] = {}
    for participant_id, fresh in by_participant.items():
        own = held.get(participant_id)
        if not awaits_voids(own) and all(named(fact) is None for fact in fresh):
            continue
        known: list[GameFact] = []
        if own is not None:
            for look in (known_of, about_voids) if naming else (known_of,):
                asked = partial(look, references=connection.references, scope=scope, who=participant_id, own=own)
                known += await connection.run(partial(asked, fresh=fresh))
            meant = partial(with_meant_names, references=connection.references, scope=scope, types=naming, facts=known)
            known = list(await connection.run(meant)) if scope in connection.references.aliased else known
        change = void_change(known, fresh)
        if change is not None:
            found[participant_id] = change
    return found


def marks(change: VoidChange, facts: Iterable[GameFact]) -> list[Mark]:
    """The marks that a change sets on or removes from these facts."""
    before, after = change.before.by, change.after.by
    return [
        (fact.seq, None if void is None else void.seq)
        for fact in facts
        for void in [after.get(fact.fact_id)]
        if void is not before.get(fact.fact_id)
    ]


def known_of(
    reading: Any, *, references: Any, scope: Scope, who: str, own: Held, fresh: Sequence[GameFact]
) -> list[GameFact]:
    """The facts of a participant that void others, and all facts that these or the new ones name."""
    found = {row[0]: row for row in voids.facts_that_void(reading, own.reference)}
    facts = {seq: stored_fact(who, row) for seq, row in found.items()}
    names = [name.partition("/") for fact in (*facts.values(), *fresh) if (name := named(fact)) is not None]
    keys = {name for kind, _, name in names if kind == "key"}
    ids = {name for kind, _, name in names if kind == "fact"}
    number = references.scope(reading, scope)
    for row in voids.named_facts(reading, own.reference, number, keys, ids):
        facts.setdefault(row[0], stored_fact(who, row))
    return list(facts.values())
