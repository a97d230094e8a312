"""Events become facts: drop what is a fact already, insert the rest, work out what they mean, commit."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.game.effects import Effect, Explanation
from bq_server.ids import IdSource
from bq_server.processing.folding import Folding
from bq_server.processing.games import Games
from bq_server.processing.play import Played, Table, effects_texts
from bq_server.store import catalog, facts, participants, state
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.store.facts import Fact

log = structlog.get_logger("bq_server.processing")


@dataclass(frozen=True, slots=True)
class Processed:
    """The event is a fact; `fresh` when this very call made it, not one before a redelivery."""

    fact: Fact
    fresh: bool


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The event repeats a fact under its idempotency key and made none itself."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Conflict:
    """The event's idempotency key belongs to a fact that says something else; the event made none."""

    fact: Fact


Outcome = Processed | Duplicate | Conflict

Guard = Callable[[Table], Awaitable[None]]
"""Looks, inside the transaction, whether an event may become a fact; what it raises, the caller gets."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would happen. Nothing did."""

    outcome: Outcome
    effects: list[Effect]
    explanations: list[Explanation]


class Processor:
    """Makes facts of events in one database. Safe to call from several tasks: the database orders them."""

    def __init__(self, database: Database, ids: IdSource, clocks: Clocks, games: Games) -> None:
        self._database = database
        self._ids = ids
        self._clocks = clocks
        self._games = games
        self._folding = Folding()

    async def process(self, events: Sequence[Event]) -> list[Outcome]:
        """Process the events in one transaction and answer one outcome for each.

        All of them take effect or, when this raises, none. Raises `StoreUnavailable`.
        """
        async with self._database.transaction() as connection:
            outcomes, _ = await self._process(connection, events)
            return outcomes

    async def process_separately(self, events: Sequence[Event]) -> list[Outcome | Exception]:
        """Process the events together or, when one of them makes that fail, each by itself.

        Answers the outcome of each, or what made it fail. Raises `StoreUnavailable` when not an event is what fails.
        """
        try:
            return [*await self.process(events)]
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one of them, so each is tried alone
            if len(events) == 1:
                return [error]
            log.warning("batch.failed", error=repr(error), events=len(events))
            return [outcome for event in events for outcome in await self.process_separately([event])]

    async def process_guarded(self, event: Event, guard: Guard) -> Outcome:
        """Process one event unless it repeats a fact or the guard raises; either way atomically.

        Raises what the guard raises, and `StoreUnavailable`.
        """
        async with self._database.transaction() as connection:
            fact = await facts.of_event(connection, event)
            if fact is not None:
                return _outcome_of_repeat(event, fact)
            await guard(await self._table(connection, event.scope))
            (outcome,), _ = await self._process(connection, [event])
            return outcome

    async def rehearse(self, event: Event) -> Rehearsal:
        """What processing the event now would do, down to its effects; nothing is kept."""
        async with self._database.transaction(undo=True) as connection:
            (outcome,), played = await self._process(connection, [event])
            return Rehearsal(outcome, played.effects.get(outcome.fact.fact_id, []), played.explanations)

    async def _process(self, connection: Connection, events: Sequence[Event]) -> tuple[list[Outcome], Played]:
        now = {scope: self._clocks.now(scope) for scope in {event.scope for event in events}}
        named = {self._ids.new("fact"): event for event in events}
        made = {fact.event_id: fact for fact in await facts.insert(connection, named, now)}
        played = await self._play(connection, list(made.values()), now)
        outcomes: list[Outcome] = []
        for event in events:
            fact = made.get(event.event_id)
            if fact is not None:
                outcomes.append(Processed(fact, fresh=True))
                continue
            fact = await facts.of_event(connection, event)
            if fact is None:
                raise RuntimeError(f"event {event.event_id} neither became a fact nor repeats one")
            outcome = _outcome_of_repeat(event, fact)
            if isinstance(outcome, Duplicate) and event.message_id is not None:
                await facts.record_duplicate(connection, event, fact)
            outcomes.append(outcome)
        return outcomes, played

    async def _play(self, connection: Connection, made: Sequence[Fact], now: Mapping[Scope, int]) -> Played:
        """Write everything that follows from new facts."""
        custom = [fact for fact in made if fact.fact_type.startswith("custom.")]
        await catalog.add(connection, custom)
        played = Played()
        by_scope: dict[Scope, list[Fact]] = {}
        for fact in made:
            by_scope.setdefault(Scope(fact.project, fact.environment), []).append(fact)
        for scope, own in by_scope.items():
            counts = Counter({fact.participant_id: 0 for fact in own})
            counts.update(fact.participant_id for fact in own if fact.fact_type.startswith("custom."))
            await participants.count_events(connection, scope, counts, now[scope])
            result = await (await self._table(connection, scope)).play(own)
            played.effects |= result.effects
            played.explanations += result.explanations
        await state.put_effects(connection, await self._folding.run(partial(effects_texts, played)))
        return played

    async def _table(self, connection: Connection, scope: Scope) -> Table:
        game = await self._games.of(connection, scope)
        return Table(connection, scope, game, self._ids, self._clocks.now(scope), self._folding)


def _outcome_of_repeat(event: Event, fact: Fact) -> Outcome:
    if fact.event_id == event.event_id:
        return Processed(fact, fresh=False)
    return Duplicate(fact) if fact.fingerprint == event.fingerprint else Conflict(fact)
