"""Events become facts: drop what already is a fact, insert the rest, compute what they mean, commit."""

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from operator import methodcaller
from typing import Any

import structlog
from msgspec import Struct, field

from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.game.award_story import in_rounds
from bq_server.game.effects import Effect, Explanation, unpacked
from bq_server.game.facts import REWARD_CLAIMED
from bq_server.ids import ID_BYTES, IdSource
from bq_server.metrics.counts import ProcessingCounts
from bq_server.processing.alias_changes import MAY_CHANGE_ALIASES, AliasChanges
from bq_server.processing.compiled_games import Games
from bq_server.processing.faults import GameUnreadable
from bq_server.processing.game_runner import GameRunner
from bq_server.processing.game_thread import GameThread
from bq_server.processing.hooks import Guard, Look, Note, View
from bq_server.processing.new_facts import NewFacts, as_meant, claim_of, new_fact, record
from bq_server.processing.partitions import partition_of
from bq_server.processing.step_changes import Played
from bq_server.store import aliases, catalog, facts, reward_claims, state
from bq_server.store import batch as store
from bq_server.store.batch import Before, NewFact
from bq_server.store.beside import Beside, Permit, at_the_end
from bq_server.store.catalog import CatalogCaps
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.store.facts import StoredFact
from bq_server.stream.store_note import StoreNote

log = structlog.get_logger("bq_server.processing")


class Processed(Struct, frozen=True):
    """The event is a fact; `fresh` if this call made it, not an earlier one before a redelivery."""

    fact: StoredFact
    fresh: bool


class Duplicate(Struct, frozen=True):
    """The event repeats a fact under its idempotency key and made none itself."""

    fact: StoredFact


class Conflict(Struct, frozen=True):
    """The event's idempotency key belongs to a fact of a different event; the event made none."""

    fact: StoredFact


SET_BACK_MEANWHILE = "the database was set back to an earlier moment while the server ran: restart the server"
"""What is kept in memory of the store, numbers for names among it, may be of facts that are not there any more."""

GROUP = 100
"""Most events processed at once. A transaction may take several groups, because ending it costs as much as a group: one
after the other, so that requests are answered meanwhile, and it ends after any of them if another transaction waits."""

GROUP_OUTSIDE = 250
"""The same where another process does the store's work: it writes one portion while the game folds the next, which
takes several portions in a group."""

Outcome = Processed | Duplicate | Conflict


class NotBeside(Exception):
    """Events of these environments can't be processed beside others: they may concern more than their participants."""

    def __init__(self, scopes: Iterable[Scope]) -> None:
        self.scopes = frozenset(scopes)
        super().__init__("may concern others: " + ", ".join(sorted("/".join(scope) for scope in self.scopes)))


class Rehearsal(Struct, frozen=True):
    """What would happen. Nothing did."""

    outcome: Outcome
    effects: list[Effect]
    explanations: list[Explanation]


class _Batch(Struct):
    outcomes: list[Outcome] = field(default_factory=list)
    new: dict[Scope, NewFacts] = field(default_factory=dict)
    played: Played = field(default_factory=Played)
    warnings: int = 0


class Processor:
    """Turns events into facts in one database. Safe to call from several tasks: the database orders them."""

    def __init__(
        self,
        database: Database,
        ids: IdSource,
        clocks: Clocks,
        games: Games,
        caps: CatalogCaps | None = None,
        note: StoreNote | None = None,
    ) -> None:
        """`note`: what the stream notes of the store."""
        self._database = database
        self._ids = ids
        self._clocks = clocks
        self._games = games
        self._caps = caps or CatalogCaps()
        self._note = note
        self._game_thread = GameThread()
        self._group = GROUP_OUTSIDE if database.outside else GROUP
        self.counts = ProcessingCounts()

    def start_thread(self) -> None:
        """Start the thread of the game; otherwise the first batch does."""
        self._game_thread.start()

    async def process(self, events: Sequence[Event]) -> list[Outcome]:
        """Process the events in one transaction and return one outcome for each.

        All of them take effect or, if this raises, none. Raises `StoreUnavailable`.
        """
        began = time.perf_counter()
        batch = await self._database.perform(lambda connection: self._process(connection, events))
        self._count([batch], time.perf_counter() - began)
        return batch.outcomes

    async def process_beside(self, events: Sequence[Event], permit: Permit | None = None) -> list[Outcome]:
        """As `process`, beside other workers that do the same with other partitions. On PostgreSQL only.

        `permit`: given by the worker that leads; that one itself has none. Raises `NotBeside` for events that must be
        processed alone, `StoreUnavailable`, also when the permit is not in force, and what an event at fault raises.
        """
        if special := {event.scope for event in events if event.system_type is not None or event.voids is not None}:
            raise NotBeside(special)
        partitions = sorted({partition_of(event.scope, event.participant_id) for event in events})
        return await self._process_groups(events, Beside(partitions, permit))

    async def process_many(self, events: Sequence[Event]) -> list[Outcome | Exception]:
        """As `process_separately`, for any number of events: they share transactions, group by group.

        If this raises, those of earlier transactions are facts: processing them again repeats them.
        """
        outcomes: list[Outcome | Exception] = []
        while len(rest := events[len(outcomes) :]) > self._group:
            try:
                outcomes += await self._process_groups(rest)
            except StoreUnavailable:
                raise
            except Exception:  # noqa: BLE001 - for an event of some group, so each is tried by itself, and tells of it
                for group in self._groups(rest):
                    outcomes += await self.process_separately(group)
        return outcomes + (await self.process_separately(rest) if rest else [])

    async def _process_groups(self, events: Sequence[Event], beside: Beside | None = None) -> list[Outcome]:
        """Process the events in one transaction; one that is alone takes only some groups if another waits."""
        began = time.perf_counter()

        async def process(connection: Connection) -> list[_Batch]:
            batches: list[_Batch] = []
            for group in self._groups(events):
                batches.append(await self._process(connection, group, beside=beside is not None))
                await connection.deferred()
                if beside is None and self._database.awaited:
                    break
            return batches

        batches = await self._database.perform(process, beside=beside)
        self._count(batches, time.perf_counter() - began)
        return [outcome for batch in batches for outcome in batch.outcomes]

    async def process_separately(self, events: Sequence[Event]) -> list[Outcome | Exception]:
        """Process the events together or, if one of them makes that fail, each on its own.

        Returns the outcome of each, or what made it fail. Raises `StoreUnavailable` if it isn't an event that fails.
        """
        try:
            return [*await self.process(events)]
        except StoreUnavailable:
            raise
        except GameUnreadable as error:  # of one environment, whose events wait; those of others don't
            others = [event for event in events if event.scope != error.scope]
            outcomes = iter(await self.process_separately(others) if others else ())
            return [error if event.scope == error.scope else next(outcomes) for event in events]
        except Exception as error:  # noqa: BLE001 - one of them, so each is tried alone
            if len(events) == 1:
                return [error]
            log.warning("batch.failed", error=repr(error), events=len(events))
            return [outcome for event in events for outcome in await self.process_separately([event])]

    async def process_guarded(
        self, event: Event, guard: Guard, note: Note | None = None, look: Look | None = None
    ) -> Outcome:
        """Process one event unless it repeats a fact or the guard or the look raises; either way atomically.

        `note` is called, in the transaction, with a fact that is new; like the guard and the look it is called again
        when the transaction has to be repeated. Raises what the guard and the look raise, and `StoreUnavailable`.
        """
        began = time.perf_counter()

        async def process(connection: Connection) -> tuple[Outcome, list[_Batch]]:
            fact = await facts.of_event(connection, event)
            if fact is not None:
                return _outcome_of_repeat(event, fact), []
            final = event if look is None else await look(connection) or event
            game = await self._games.of(connection, final.scope)
            who = await aliases.story_of(connection, final.scope, final.participant_id)
            cells = await state.cells(connection, final.scope, who)
            guard(View(game, cells, self._clocks.now(final.scope)))
            batch = await self._process(connection, [final])
            outcome = batch.outcomes[0]
            if note is not None and isinstance(outcome, Processed) and outcome.fresh:
                await note(connection, outcome.fact)
            return outcome, [batch]

        outcome, batches = await self._database.perform(process)
        if batches:
            self._count(batches, time.perf_counter() - began)
        return outcome

    async def process_within(self, connection: Connection, events: Sequence[Event]) -> None:
        """Make facts of events of our own in a transaction of the caller's, who can then read what came of them."""
        began = time.perf_counter()
        batch = await self._process(connection, events)
        await connection.deferred()
        self._count([batch], time.perf_counter() - began)

    async def rehearse(self, event: Event) -> Rehearsal:
        """What processing the event now would do, including its effects; nothing is stored."""
        async with self._database.transaction(undo=True) as connection:
            batch = await self._process(connection, [event], rehearsed=True)
        fact = batch.outcomes[0].fact
        caused = {fact.participant_id: batch.played.effects.get(fact.fact_id, [])}
        caused |= {who: effects for (who, fact_id), effects in batch.played.received.items() if fact_id == fact.fact_id}
        effects = [
            unpacked(each, fact.fact_id, who, fact.occurred_at) for who, effects in caused.items() for each in effects
        ]
        return Rehearsal(batch.outcomes[0], effects, batch.played.explanations)

    async def _process(
        self, connection: Connection, events: Sequence[Event], *, rehearsed: bool = False, beside: bool = False
    ) -> _Batch:
        references = connection.references
        if references.aliased:
            if beside and (aliased := {event.scope for event in events} & references.aliased):
                raise NotBeside(aliased)
            events = await connection.run(partial(as_meant, references=references, events=events))
        before = await connection.run(lambda reading: store.before(reading, references, events))
        if self._note is not None and before.height < self._note.height:
            raise StoreUnavailable(SET_BACK_MEANWHILE)
        if beside:
            if before.heard:
                raise NotBeside(before.heard)
            before.last_seq = await connection.run(methodcaller("reserve_seqs", len(events)))
        batch = await self._game_thread.run(partial(self._divide, before, events))
        for scope, new in batch.new.items():
            game = await self._games.at(connection, scope, before.versions[scope])
            if beside and not game.keeps_apart:
                raise NotBeside([scope])
            heard = scope in before.heard
            # Where conditions see awards, each fact of a participant sees what those before it led to.
            rounds = in_rounds(new.facts) if game.award_readers else [new.facts]
            for number, some in enumerate(rounds):
                if number:
                    await connection.deferred()
                runner = GameRunner(connection, scope, game, self._ids, new.now, self._game_thread, heard=heard)
                if rehearsed:
                    batch.played = await runner.rehearse(some)
                else:
                    await runner.play(some, partial(record, new.rows))
                    batch.warnings += runner.warned
            if not rehearsed:
                claimed = [claim_of(row) for row in new.rows.values() if row.event.system_type == REWARD_CLAIMED]
                if claimed:
                    connection.defer(partial(reward_claims.add, scope=scope, claims=claimed))
                connection.defer(partial(catalog.add, scope=scope, seen=new.seen, caps=self._caps))
                if new.aliasing:
                    changes = AliasChanges(connection, scope, game, self._ids, new.now, self._game_thread)
                    await changes.follow(new.aliasing)
        if not rehearsed:
            if self._note is not None:
                made = sum(len(new.facts) for new in batch.new.values())
                if not beside:
                    connection.after_commit(partial(self._note.saw, before.height + made))
                elif made:
                    await connection.run(partial(_count_commit, note=self._note, connection=connection))
            for event, outcome in zip(events, batch.outcomes, strict=True):
                if isinstance(outcome, Duplicate) and event.message_id is not None:
                    await facts.record_duplicate(connection, event, outcome.fact)
        return batch

    def _count(self, batches: Sequence[_Batch], seconds: float) -> None:
        """Count what was committed in a transaction."""
        counts, outcomes = self.counts, [outcome for batch in batches for outcome in batch.outcomes]
        counts.seconds.observe(seconds)
        if len(outcomes) >= GROUP:
            counts.backlog_seconds += seconds
        counts.events.observe(len(outcomes))
        fresh = sum(len(new.facts) for batch in batches for new in batch.new.values())
        counts.facts += fresh
        if fresh < len(outcomes):
            conflicts = sum(isinstance(outcome, Conflict) for outcome in outcomes)
            counts.conflicts += conflicts
            counts.duplicates += len(outcomes) - fresh - conflicts
        counts.warnings += sum(batch.warnings for batch in batches)

    def _groups(self, events: Sequence[Event]) -> Iterator[Sequence[Event]]:
        for start in range(0, len(events), self._group):
            yield events[start : start + self._group]

    def _divide(self, before: Before, events: Sequence[Event]) -> _Batch:
        """Tell new events from those that are facts or repeat one; give the new ones their seq."""
        made, keyed = before.by_event, before.by_key
        batch = _Batch()
        seq = before.last_seq
        for event, packed in zip(events, before.event_ids, strict=True):
            fact = made.get(event.event_id)
            key = event.scoped_key
            if fact is None and key is not None:
                fact = keyed.get(key)
            if fact is not None:
                batch.outcomes.append(_outcome_of_repeat(event, fact))
                continue
            seq += 1
            new = batch.new.get(event.scope)
            if new is None:
                new = batch.new[event.scope] = NewFacts(self._clocks.now(event.scope))
            own_id = self._ids.new("fact") if len(packed) != ID_BYTES else None
            row = new.rows[seq] = NewFact(seq, event, packed, own_id)
            fact, game_fact = new_fact(event, seq, new.now, row.fact_id)
            new.facts.append(game_fact)
            made[fact.event_id] = fact
            if key is not None:
                keyed[key] = fact
            if event.system_type is None:
                new.seen.add(event.event_name, event.received_at, game_fact.properties)
            elif event.system_type in MAY_CHANGE_ALIASES:
                new.aliasing.add(event.participant_id)
            batch.outcomes.append(Processed(fact, fresh=True))
        return batch


def _outcome_of_repeat(event: Event, fact: StoredFact) -> Outcome:
    if fact.event_id == event.event_id:
        return Processed(fact, fresh=False)
    return Duplicate(fact) if fact.fingerprint == event.fingerprint else Conflict(fact)


def _count_commit(writing: Any, note: StoreNote, connection: Connection) -> None:
    at_the_end(writing, lambda: connection.after_commit(partial(note.saw, writing.count_commit())))
