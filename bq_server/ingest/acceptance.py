"""Accepting events: into the stream, or processed at once; the idempotency key decides what is a repeat.

The facts are the authority on keys, for ever. The stream's claims cover what is not yet a fact.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar, cast

from bq_server.concurrency.group_commit import GroupCommit
from bq_server.events import Event, Scope
from bq_server.ingest.unavailable import unavailable
from bq_server.metrics.counts import IntakeCounts
from bq_server.processing.processor import Conflict, Guard, Outcome, Processed, Processor
from bq_server.refusals import Code, Refusal
from bq_server.store import facts
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.facts import StoredFact
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.keys import StreamKeys
from bq_server.stream.lookup import MessageLookup
from bq_server.stream.writer import Appended, AppendResult, Claim, Dead, Gone, Message, Writer

Accepted = Appended

SYNC_GROUP_EVENTS = 200
SYNC_WAITING_EVENTS = 5_000

LOOK_SECONDS = 0.25
"""How long an event on its way into the stream waits for the store to tell whether its key is known."""


@dataclass(frozen=True, slots=True)
class RecordedFact:
    """The event is this fact; `repeated` when an earlier request brought it."""

    fact: StoredFact
    repeated: bool


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """The event was not taken because of what its idempotency key was used for; nothing was changed."""

    idempotency_key: str
    code: ClassVar[Code]

    def refusal(self) -> Refusal:
        """This, as the answer to a request of one event."""
        return Refusal(self.code, f"idempotency_key: {self.detail}")

    @property
    def detail(self) -> str:
        """A sentence for the sender."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class DeadLettered(NotAccepted):
    """The very event was accepted before and could not be processed."""

    message_id: str
    reason: str
    code = Code.MESSAGE_DEAD

    @property
    def detail(self) -> str:
        """A sentence for the sender."""
        return (
            f"this event was accepted as message {self.message_id} and then given up: {self.reason}. Sending it again "
            "changes nothing; an operator can have it tried again with `bq-server dead retry`."
        )


@dataclass(frozen=True, slots=True)
class KeyConflict(NotAccepted):
    """The event's idempotency key belongs to an event that says something else."""

    code = Code.IDEMPOTENCY_CONFLICT

    @property
    def detail(self) -> str:
        """A sentence for the sender."""
        return (
            f"{self.idempotency_key!r} was used for another event (name, participant, properties or timestamp "
            "differ): send a new key for a new event, or exactly the first event again"
        )


class Intake:
    """The two ways in. Both raise `Refusal` with a 503 code when the server can't take events now."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        keys: StreamKeys,
        processor: Processor,
        resets: Mapping[Scope, int],
        lookup: MessageLookup,
        counts: IntakeCounts | None = None,
    ) -> None:
        """`resets`: how often each environment was emptied; whoever empties one counts it up."""
        self._database = database
        self._writer = writer
        self._keys = keys
        self._processor = processor
        self._resets = resets
        self._lookup = lookup
        self._counts = counts or IntakeCounts()
        self._processing: GroupCommit[Sequence[Event], list[Outcome | Exception]] = GroupCommit(
            self._process_groups, group_weight=SYNC_GROUP_EVENTS, waiting_weight=SYNC_WAITING_EVENTS, weigh=len
        )
        self._lookups: GroupCommit[tuple[Scope, str], StoredFact | None] = GroupCommit(
            self._look_up, group_weight=1_000, waiting_weight=100_000
        )

    async def accept(self, events: Sequence[Event]) -> list[Accepted | NotAccepted]:
        """Put the events into the stream, all in one step; answer one result for each.

        When this returns they are as durable as the stream is.
        """
        with unavailable():
            if not any(event.idempotency_key for event in events):
                return list(cast("Sequence[Accepted]", await self._append(events))) if events else []
            return await self._accept_keyed(events)

    async def _accept_keyed(self, events: Sequence[Event]) -> list[Accepted | NotAccepted]:
        results: list[Accepted | NotAccepted | None] = []
        known = await self._known_soon(events)
        for event, fact in zip(events, known, strict=True):
            if fact is None:
                results.append(None)
            elif fact.fingerprint != event.fingerprint:
                results.append(KeyConflict(event.idempotency_key or ""))
            elif fact.message_id is not None:
                results.append(Accepted(fact.message_id, repeated=True))
                self._counts.accepted["async"] += 1
                self._counts.repeated["async"] += 1
            else:
                # A fact that came by the sync path has no message: this one gets one, and ends as a duplicate.
                results.append(None)
        new = [position for position, result in enumerate(results) if result is None]
        appended = await self._append([events[position] for position in new]) if new else []
        for position, answer in zip(new, appended, strict=True):
            result = await self._taken(events[position], answer)
            if isinstance(result, Appended) and known[position] is not None:
                self._counts.repeated["async"] += not result.repeated
                result = result._replace(repeated=True)
            results[position] = result
        return [result for result in results if result is not None]

    async def _taken(self, event: Event, answer: AppendResult) -> Accepted | NotAccepted:
        """What an event with a key came to by what the stream has answered."""
        if isinstance(answer, Gone):
            # The message under its key left the stream since the facts were asked: most likely it is one now.
            (fact,) = await self._known([event])
            if fact is not None:
                same = fact.fingerprint == event.fingerprint
                return Accepted(answer.message_id, repeated=True) if same else KeyConflict(event.idempotency_key or "")
            # It was lost: this one takes its place.
            (answer,) = await self._append([event], replaces=answer.message_id)
        match answer:
            case Appended():
                return answer
            case Dead():
                return await self._given_up(event, answer.message_id)
            case Gone():
                raise StreamUnavailable("messages vanish from the stream")
            case _:
                return KeyConflict(event.idempotency_key or "")

    async def _given_up(self, event: Event, message_id: str) -> DeadLettered:
        letter = await self._lookup.dead(message_id)
        reason = "it was a dead letter a moment ago" if letter is None else letter.reason
        return DeadLettered(event.idempotency_key or "", message_id, reason)

    def accept_soon(self, events: Sequence[Event]) -> asyncio.Future[Sequence[Accepted | NotAccepted]]:
        """As `accept`, for a caller that is no task: the future of the results.

        Raises, and the future does, what `refusal_of` knows; without idempotency keys no task is made.
        """
        for event in events:
            if event.idempotency_key is not None:
                return asyncio.ensure_future(self.accept(events))
        return cast("asyncio.Future[Sequence[Accepted | NotAccepted]]", self._append(events))

    async def process_now(self, events: Sequence[Event]) -> list[RecordedFact | NotAccepted]:
        """Make facts of the events before answering; answer one result for each."""
        with unavailable():
            known = await self._known(events)
            new = [position for position, fact in enumerate(known) if fact is None]
            taken = await asyncio.gather(*[self._claim(events[position]) for position in new])
            mine = {position: each for position, each in zip(new, taken, strict=True) if isinstance(each, Event)}
            outcomes = dict(zip(mine, await self._process(list(mine.values())) if mine else (), strict=True))
            conflicts = dict(zip(new, taken, strict=True))
            results: list[RecordedFact | NotAccepted] = []
            for position, (event, fact) in enumerate(zip(events, known, strict=True)):
                if fact is not None:
                    results.append(_repeat(event, fact))
                elif position in outcomes:
                    adopted = mine[position].event_id != event.event_id
                    results.append(_made(outcomes[position], adopted=adopted))
                else:
                    conflict = conflicts[position]
                    assert isinstance(conflict, NotAccepted)  # noqa: S101
                    results.append(conflict)
            return [self._counted(result) for result in results]

    async def _process(self, events: Sequence[Event]) -> list[Outcome]:
        """Process claimed events together, and give their claims back when that comes to nothing."""
        try:
            outcomes = await self._processing.submit(events)
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
        except BaseException:
            await self._release(events)
            raise
        return [outcome for outcome in outcomes if not isinstance(outcome, Exception)]

    async def _process_groups(self, groups: Sequence[Sequence[Event]]) -> list[list[Outcome | Exception]]:
        outcomes = iter(await self._processor.process_separately([event for group in groups for event in group]))
        return [list(islice(outcomes, len(group))) for group in groups]

    async def record(self, event: Event, guard: Guard) -> RecordedFact | NotAccepted:
        """Make a fact of one event before answering, unless the guard raises, inside the transaction."""
        with unavailable():
            (fact,) = await self._known([event])
            if fact is not None:
                return self._counted(_repeat(event, fact))
            mine = await self._claim(event)
            if isinstance(mine, NotAccepted):
                return mine
            try:
                outcome = await self._processor.process_guarded(mine, guard)
            except BaseException:
                await self._release([mine])
                raise
            return self._counted(_made(outcome, adopted=mine.event_id != event.event_id))

    def _counted(self, result: RecordedFact | NotAccepted) -> RecordedFact | NotAccepted:
        if isinstance(result, RecordedFact):
            self._counts.accepted["sync"] += 1
            self._counts.repeated["sync"] += result.repeated
        return result

    async def close(self) -> None:
        """Take no more events and finish those under way."""
        await self._lookups.close()
        await self._processing.close()

    async def _known(self, events: Sequence[Event]) -> list[StoredFact | None]:
        """The facts that hold the events' idempotency keys."""
        keyed = [(event.scope, event.idempotency_key) for event in events if event.idempotency_key is not None]
        if not keyed:
            return [None] * len(events)
        found = dict(zip(keyed, await asyncio.gather(*[self._lookups.submit(key) for key in keyed]), strict=True))
        return [found.get((event.scope, event.idempotency_key or "")) for event in events]

    async def _look_up(self, keys: Sequence[tuple[Scope, str]]) -> list[StoredFact | None]:
        async with self._database.read_for_intake() as connection:
            found = await facts.by_keys(connection, set(keys))
        return [found.get(key) for key in keys]

    async def _known_soon(self, events: Sequence[Event]) -> list[StoredFact | None]:
        """As `_known`, or `StoreUnavailable` when it takes longer than an event on its way in may wait."""
        looking = asyncio.ensure_future(self._known(events))
        done, _ = await asyncio.wait([looking], timeout=LOOK_SECONDS)
        if not done:
            looking.cancel()  # its look goes on, with those of others
            raise StoreUnavailable(f"it does not answer within {LOOK_SECONDS:g} s")
        return looking.result()

    async def _claim(self, event: Event) -> Event | NotAccepted:
        """The event as it may be processed: itself, or the one accepted before under its key and not yet a fact."""
        mine = self._claim_of(event)
        if mine is None:
            return event
        held = await self._writer.claim(mine)
        if held.fingerprint != mine.fingerprint:
            return KeyConflict(event.idempotency_key or "")
        if held.dead and held.message_id is not None:
            return await self._given_up(event, held.message_id)
        if held.event_id == event.event_id:
            return event
        return replace(
            event,
            event_id=held.event_id,
            message_id=held.message_id,
            received_at=held.received_at,
            # A time that was not given is the one at which the first request arrived.
            occurred_at=held.received_at if event.occurred_at == event.received_at else event.occurred_at,
        )

    async def _release(self, events: Iterable[Event]) -> None:
        for event in events:
            if claim := self._claim_of(event):
                await self._writer.release(claim)

    def _claim_of(self, event: Event) -> Claim | None:
        if event.idempotency_key is None or event.fingerprint is None:
            return None
        key = self._keys.claim(*event.scope, event.idempotency_key, self._resets.get(event.scope, 0))
        return Claim(key, event.fingerprint, event.event_id, event.received_at)

    def _append(self, events: Sequence[Event], replaces: str | None = None) -> asyncio.Future[Sequence[AppendResult]]:
        return self._writer.append([Message(event.to_payload(), self._claim_of(event), replaces) for event in events])


def _repeat(event: Event, fact: StoredFact) -> RecordedFact | NotAccepted:
    if fact.fingerprint == event.fingerprint:
        return RecordedFact(fact, repeated=True)
    return KeyConflict(event.idempotency_key or "")


def _made(outcome: Outcome, *, adopted: bool) -> RecordedFact | NotAccepted:
    if isinstance(outcome, Conflict):
        return KeyConflict(outcome.fact.idempotency_key or "")
    fresh = isinstance(outcome, Processed) and outcome.fresh
    return RecordedFact(outcome.fact, repeated=adopted or not fresh)
