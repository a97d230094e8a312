"""Who receives facts beside their senders: new ones, and stored ones when a game begins to listen."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from bq_server.events import Scope
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import Explanation, RuleWarning
from bq_server.game.facts import POINTS_TRANSFERRED
from bq_server.game.facts import Fact as GameFact
from bq_server.game.mechanics.rule import Rule
from bq_server.game.recipients import copies, deliveries, spread
from bq_server.game.voids import named
from bq_server.processing.meant_names import naming_types, with_meant_names
from bq_server.processing.received_stories import stored_fact
from bq_server.processing.void_changes import awaits_voids, by_participant, known_of
from bq_server.store import batch, received_facts
from bq_server.store.batch import Changes, Held
from bq_server.store.database import Connection


class Received(Struct, frozen=True):
    """What stands in the stories of others from now on."""

    facts: Sequence[GameFact] = ()
    """As it stands there."""
    warnings: Sequence[RuleWarning] = ()
    explanations: Sequence[Explanation] = ()
    """Of definitions that award nobody for a fact."""


async def receive(
    connection: Connection, scope: Scope, game: CompiledGame, facts: Sequence[GameFact], held: Mapping[str, Held]
) -> Received:
    """Who receives new facts, and stored ones because of them: whoever received a fact receives what makes it void."""
    found = game.deliveries(facts)
    involved: list[GameFact] = []
    stored: list[GameFact] = []
    for sender, fresh in by_participant(facts).items():
        own = held.get(sender)
        late = awaits_voids(own) and any(fact.fact_id in found.recipients for fact in fresh)
        if late or any(named(fact) is not None for fact in fresh):
            involved += fresh
            if own is not None:
                known = partial(known_of, references=connection.references, scope=scope, who=sender, own=own)
                stored += await connection.run(partial(known, fresh=fresh))
    before: dict[str, set[str]] = {}
    if stored:
        meant = partial(with_meant_names, references=connection.references, scope=scope, types=naming_types(game))
        stored = list(await connection.run(partial(meant, facts=stored)))
        by_seq = await connection.run(partial(received_facts.recipients_of, seqs=[fact.seq for fact in stored]))
        before = {fact.fact_id: by_seq[fact.seq] for fact in stored if fact.seq in by_seq}
    everyone = spread({**found.recipients, **before}, [*involved, *stored])
    new = {fact_id: who - before.get(fact_id, set()) for fact_id, who in everyone.items()}
    return Received(list(copies([*facts, *stored], new)), list(found.warnings.values()), found.explanations)


async def deliver_past(
    connection: Connection, scope: Scope, rules: Sequence[Rule], now: int, *, transfers: bool = False
) -> None:
    """Let those who are named by stored facts receive them, as these rules name them. `now` in microseconds, UTC.

    For rules that count facts made before they were in the game, or before they named others. `transfers`: those are
    delivered, too.
    """
    asked = partial(_deliver_past, references=connection.references, scope=scope, rules=rules, now=now)
    await connection.run(partial(asked, transfers=transfers))


def undelivered(old: CompiledGame, new: CompiledGame) -> list[Rule]:
    """The rules of a new game that may name participants in stored facts who haven't received them."""
    return [
        rule
        for rule in new.rules.values()
        if rule.award_to is not None
        and (
            (known := old.rules.get(rule.key)) is None
            or known.award_to != rule.award_to
            or not rule.fact_types <= known.fact_types
            or rule.applied_seq < known.applied_seq
        )
    ]


def _deliver_past(
    writing: Any, *, references: Any, scope: Scope, rules: Sequence[Rule], now: int, transfers: bool
) -> None:
    number = references.scope(writing, scope)
    receiving: dict[str, list[Rule]] = {}
    for rule in rules:
        for fact_type in rule.fact_types:
            receiving.setdefault(fact_type, []).append(rule)
    after = min((rule.applied_seq for rule in rules), default=0)
    if transfers:
        receiving.setdefault(POINTS_TRANSFERRED, [])
        after = 0
    while rows := received_facts.facts_to_deliver(writing, number, receiving, after):
        stored = [stored_fact(row[10], row) for row in rows]
        facts = with_meant_names(writing, references, scope, receiving.keys(), stored)
        recipients = deliveries(receiving, facts).recipients
        _put(writing, references, scope, now, [(fact, recipients.get(fact.fact_id, ())) for fact in facts])
        after = rows[-1][0]
    for sender, reference in received_facts.senders_of_voids(writing, number):
        own = Held(reference, "")
        known = known_of(writing, references=references, scope=scope, who=sender, own=own, fresh=())
        by_seq = received_facts.recipients_of(writing, [fact.seq for fact in known])
        everyone = spread({fact.fact_id: by_seq[fact.seq] for fact in known if fact.seq in by_seq}, known)
        _put(writing, references, scope, now, [(fact, everyone.get(fact.fact_id, ())) for fact in known])


def _put(
    writing: Any, references: Any, scope: Scope, now: int, delivered: Iterable[tuple[GameFact, Iterable[str]]]
) -> None:
    changes = Changes(scope, now)
    changes.received = [(name, fact.seq, None) for fact, who in delivered for name in who]
    changes.counts = dict.fromkeys((name for name, _, _ in changes.received), 0)
    if changes.received:
        batch.write(writing, references, changes, batch.states(writing, references, scope, changes.counts))
