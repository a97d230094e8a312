"""Events become facts: drop what is a fact already, insert the rest, work out what they mean, commit."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from pydantic_core import from_json

from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.exact_json import dumps
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import Effect, Explanation, unpacked
from bq_server.game.facts import Fact as GameFact
from bq_server.game.state.keys import Cells
from bq_server.ids import ID_BYTES, IdSource, pack
from bq_server.metrics.counts import ProcessingCounts
from bq_server.processing.compiled_games import Games
from bq_server.processing.faults import GameUnreadable
from bq_server.processing.game_runner import Effects, GameRunner, Played
from bq_server.processing.game_thread import Folding
from bq_server.store import batch as store
from bq_server.store import catalog, facts, state
from bq_server.store.batch import Before, Changes, NewFact
from bq_server.store.catalog import Seen
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.store.facts import StoredFact

log = structlog.get_logger("bq_server.processing")


@dataclass(frozen=True, slots=True)
class Processed:
    """The event is a fact; `fresh` when this very call made it, not one before a redelivery."""

    fact: StoredFact
    fresh: bool


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The event repeats a fact under its idempotency key and made none itself."""

    fact: StoredFact


@dataclass(frozen=True, slots=True)
class Conflict:
    """The event's idempotency key belongs to a fact that says something else; the event made none."""

    fact: StoredFact


Outcome = Processed | Duplicate | Conflict


@dataclass(frozen=True, slots=True)
class View:
    """What a guard sees: the game in force, the cells of the event's participant, and the present moment."""

    game: CompiledGame
    cells: Cells
    """All but scores and members of sets."""
    now: int
    """Microseconds since the epoch, UTC."""


Guard = Callable[[View], None]
"""Looks, inside the transaction, whether an event may become a fact; what it raises, the caller gets."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would happen. Nothing did."""

    outcome: Outcome
    effects: list[Effect]
    explanations: list[Explanation]


@dataclass(slots=True)
class _New:
    """The new events of one environment."""

    now: int
    facts: list[GameFact] = field(default_factory=list)
    """In the order of their seqs."""
    rows: dict[int, NewFact] = field(default_factory=dict)
    """By seq, all but what they caused."""
    seen: Seen = field(default_factory=Seen)


@dataclass(slots=True)
class _Batch:
    outcomes: list[Outcome] = field(default_factory=list)
    new: dict[Scope, _New] = field(default_factory=dict)
    runners: dict[Scope, GameRunner] = field(default_factory=dict)
    """Of the environments that have new events; each has begun."""
    warnings: int = 0

    def abandon(self) -> None:
        """It is not to be written."""
        for runner in self.runners.values():
            runner.abandon()


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A batch begun in the transaction before its own: read after all that is written there."""

    events: Sequence[Event]
    turn: int
    """Of that transaction."""
    batch: _Batch


class Processor:
    """Makes facts of events in one database. Safe to call from several tasks: the database orders them."""

    def __init__(self, database: Database, ids: IdSource, clocks: Clocks, games: Games) -> None:
        self._database = database
        self._ids = ids
        self._clocks = clocks
        self._games = games
        self._folding = Folding()
        self._expected: Sequence[Event] = ()
        self._ahead: _Ahead | None = None
        self.counts = ProcessingCounts()

    def expect(self, events: Sequence[Event]) -> None:
        """Say which events `process` is called with next: this very sequence, or an empty one for none.

        It changes no outcome. They are begun before the transaction of those before them ends, so that the game works
        out what they mean while that is committed; when anything else is written in between, or the commit fails, what
        was begun is forgotten.
        """
        self._expected = events
        if not events:
            self._forget()

    async def process(self, events: Sequence[Event]) -> list[Outcome]:
        """Process the events in one transaction and answer one outcome for each.

        All of them take effect or, when this raises, none. Raises `StoreUnavailable`.
        """
        began = time.perf_counter()
        try:
            async with self._database.transaction() as connection:
                batch = await self._process(connection, events)
                await self._look_ahead(connection, events)
        except BaseException:
            self._forget()
            raise
        self._count(batch, time.perf_counter() - began)
        return batch.outcomes

    async def process_separately(self, events: Sequence[Event]) -> list[Outcome | Exception]:
        """Process the events together or, when one of them makes that fail, each by itself.

        Answers the outcome of each, or what made it fail. Raises `StoreUnavailable` when not an event is what fails.
        """
        try:
            return [*await self.process(events)]
        except StoreUnavailable:
            raise
        except GameUnreadable as error:  # of one environment: its events wait, those of others don't
            others = [event for event in events if event.scope != error.scope]
            outcomes = iter(await self.process_separately(others) if others else ())
            return [error if event.scope == error.scope else next(outcomes) for event in events]
        except Exception as error:  # noqa: BLE001 - one of them, so each is tried alone
            if len(events) == 1:
                return [error]
            log.warning("batch.failed", error=repr(error), events=len(events))
            return [outcome for event in events for outcome in await self.process_separately([event])]

    async def process_guarded(self, event: Event, guard: Guard) -> Outcome:
        """Process one event unless it repeats a fact or the guard raises; either way atomically.

        Raises what the guard raises, and `StoreUnavailable`.
        """
        began = time.perf_counter()
        async with self._database.transaction() as connection:
            fact = await facts.of_event(connection, event)
            if fact is not None:
                return _outcome_of_repeat(event, fact)
            game = await self._games.of(connection, event.scope)
            cells = await state.cells(connection, event.scope, event.participant_id)
            guard(View(game, cells, self._clocks.now(event.scope)))
            batch = await self._process(connection, [event])
        self._count(batch, time.perf_counter() - began)
        return batch.outcomes[0]

    async def rehearse(self, event: Event) -> Rehearsal:
        """What processing the event now would do, down to its effects; nothing is kept."""
        async with self._database.transaction(undo=True) as connection:
            self._forget()
            batch, versions = await self._divided(connection, [event])
            played = Played()
            for scope, new in batch.new.items():
                runner = await self._runner(connection, scope, versions[scope], new.now)
                played = await runner.rehearse(new.facts)
        fact = batch.outcomes[0].fact
        effects = [
            unpacked(each, fact.fact_id, fact.participant_id, fact.occurred_at)
            for each in played.effects.get(fact.fact_id, ())
        ]
        return Rehearsal(batch.outcomes[0], effects, played.explanations)

    async def _process(self, connection: Connection, events: Sequence[Event]) -> _Batch:
        batch = self._begun(events) or await self._begin(connection, events)
        try:
            for scope, runner in batch.runners.items():
                await runner.finish()
                batch.warnings += runner.warned
                connection.defer(partial(catalog.add, scope=scope, seen=batch.new[scope].seen))
            for event, outcome in zip(events, batch.outcomes, strict=True):
                if isinstance(outcome, Duplicate) and event.message_id is not None:
                    await facts.record_duplicate(connection, event, outcome.fact)
        except BaseException:
            batch.abandon()
            raise
        return batch

    async def _begin(self, connection: Connection, events: Sequence[Event]) -> _Batch:
        """Read what the events need, and have them folded. Nothing is written."""
        batch, versions = await self._divided(connection, events)
        try:
            for scope, new in batch.new.items():
                runner = batch.runners[scope] = await self._runner(connection, scope, versions[scope], new.now)
                await runner.begin(new.facts, partial(_record, new.rows))
        except BaseException:
            batch.abandon()
            raise
        return batch

    async def _divided(self, connection: Connection, events: Sequence[Event]) -> tuple[_Batch, Mapping[Scope, int]]:
        """New events told from others, and the version of the game in force of each environment."""
        references = connection.references
        before = await connection.run(lambda reading: store.before(reading, references, events))
        return await self._folding.run(partial(self._divide, before, events)), before.versions

    async def _runner(self, connection: Connection, scope: Scope, version: int, now: int) -> GameRunner:
        game = await self._games.at(connection, scope, version)
        return GameRunner(connection, scope, game, self._ids, now, self._folding)

    async def _look_ahead(self, connection: Connection, events: Sequence[Event]) -> None:
        """Begin the events that are expected next. To be called once everything of this transaction was handed on."""
        expected, self._expected = self._expected, ()
        if not expected or expected is events or self._database.awaited:
            return
        await connection.deferred()
        try:
            batch = await self._begin(connection, expected)
        except Exception as error:  # noqa: BLE001 - their own transaction will meet it, and this one is not to blame
            log.info("batch.not_begun", error=repr(error))
        else:
            self._ahead = _Ahead(expected, self._database.turn, batch)

    def _begun(self, events: Sequence[Event]) -> _Batch | None:
        """The batch of these events as it was begun, if that still holds in the transaction under way."""
        ahead = self._ahead
        if ahead is None or ahead.events is not events or ahead.turn + 1 != self._database.turn:
            self._forget()
            return None
        self._ahead = None
        return ahead.batch

    def _forget(self) -> None:
        """Give up what was begun."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.batch.abandon()

    def _count(self, batch: _Batch, seconds: float) -> None:
        """Count what was committed."""
        counts, outcomes = self.counts, batch.outcomes
        counts.seconds.observe(seconds)
        counts.events.observe(len(outcomes))
        fresh = sum(len(new.facts) for new in batch.new.values())
        counts.facts += fresh
        if fresh < len(outcomes):
            conflicts = sum(isinstance(outcome, Conflict) for outcome in outcomes)
            counts.conflicts += conflicts
            counts.duplicates += len(outcomes) - fresh - conflicts
        counts.warnings += batch.warnings

    def _divide(self, before: Before, events: Sequence[Event]) -> _Batch:
        """Tell new events from those that are facts or repeat one; give the new ones their place."""
        made, keyed = before.by_event, before.by_key
        batch = _Batch()
        seq = before.last_seq
        for event in events:
            fact = made.get(event.event_id)
            if fact is None and event.idempotency_key is not None:
                fact = keyed.get((event.scope, event.idempotency_key))
            if fact is not None:
                batch.outcomes.append(_outcome_of_repeat(event, fact))
                continue
            seq += 1
            new = batch.new.get(event.scope)
            if new is None:
                new = batch.new[event.scope] = _New(self._clocks.now(event.scope))
            packed = pack("evt", event.event_id)
            own_id = self._ids.new("fact") if len(packed) != ID_BYTES else None
            fact, game_fact = _new_fact(event, seq, new.now, own_id or "fact" + event.event_id.removeprefix("evt"))
            new.facts.append(game_fact)
            new.rows[seq] = NewFact(seq, event, packed, own_id)
            made[fact.event_id] = fact
            if fact.idempotency_key is not None:
                keyed[event.scope, fact.idempotency_key] = fact
            if event.system_type is None:
                new.seen.add(event.event_name, event.received_at, game_fact.properties)
            batch.outcomes.append(Processed(fact, fresh=True))
        return batch


def _new_fact(event: Event, seq: int, now: int, fact_id: str) -> tuple[StoredFact, GameFact]:
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
    )


def _record(rows: Mapping[int, NewFact], changes: Changes, facts: Sequence[GameFact], effects: Effects) -> None:
    """Add facts themselves to what is to be written."""
    counts = changes.counts
    for fact in facts:
        row = rows[fact.seq]
        counts[fact.participant_id] = counts.get(fact.participant_id, 0) + (row.event.system_type is None)
        caused = effects.get(fact.fact_id)
        if caused is not None:
            row.effects = dumps(caused)
        changes.facts.append(row)


def _outcome_of_repeat(event: Event, fact: StoredFact) -> Outcome:
    if fact.event_id == event.event_id:
        return Processed(fact, fresh=False)
    return Duplicate(fact) if fact.fingerprint == event.fingerprint else Conflict(fact)
