"""The sync path: events become facts before they are answered.

Their keys are claimed nevertheless: an equal event may be on its way through the stream.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from bq_server.concurrency.group_commit import GroupCommit
from bq_server.events import Event
from bq_server.ingest.known_facts import KnownFacts
from bq_server.ingest.outcomes import KeyConflict, NotAccepted, RecordedFact, dead_lettered, key_conflict
from bq_server.ingest.unavailable import unavailable
from bq_server.metrics.counts import IntakeCounts
from bq_server.processing.hooks import Guard, Look, Note
from bq_server.processing.processor import Conflict, Outcome, Processed, Processor
from bq_server.store.database import SERVING_SECONDS, TURN_SECONDS, StoreUnavailable
from bq_server.store.facts import StoredFact
from bq_server.stream.claims import EventClaims, SyncClaims
from bq_server.stream.lookup import MessageLookup

GROUP_EVENTS = 200
WAITING_EVENTS = 5_000
WAITING_SECONDS = 2 * (TURN_SECONDS + SERVING_SECONDS)
"""The longest wait for an answer: behind a group that waits for the store for as long as it may, and then the same."""


if TYPE_CHECKING:
    from bq_server.tracing.tracer import Tracer


class SyncIntake:
    """Turns events into facts at once. Raises `Refusal` with a 503 code if the server can't accept events now."""

    def __init__(
        self,
        known: KnownFacts,
        processor: Processor,
        event_claims: EventClaims,
        claims: SyncClaims,
        lookup: MessageLookup,
        counts: IntakeCounts,
        tracer: "Tracer | None" = None,
    ) -> None:
        """`tracer`: None if nothing is traced."""
        self._tracer = tracer
        self._known = known
        self._processor = processor
        self._event_claims = event_claims
        self._claims = claims
        self._lookup = lookup
        self._counts = counts
        self._processing: GroupCommit[Sequence[Event], list[Outcome | Exception]] = GroupCommit(
            self._process_groups,
            group_weight=GROUP_EVENTS,
            waiting_weight=WAITING_EVENTS,
            waiting_seconds=WAITING_SECONDS,
            weigh=len,
            # However many wait, none does so for a locked store twice.
            concerns_all=lambda error: isinstance(error, StoreUnavailable),
        )

    async def record(self, events: Sequence[Event]) -> list[RecordedFact | NotAccepted]:
        """Turn the events into facts; returns one result for each."""
        with unavailable():
            known = await self._known.of(events)
            new = [position for position, fact in enumerate(known) if fact is None]
            claimed = await asyncio.gather(*[self._claim(events[position]) for position in new])
            mine = {position: each for position, each in zip(new, claimed, strict=True) if isinstance(each, Event)}
            outcomes = dict(zip(mine, await self._process(list(mine.values())) if mine else (), strict=True))
            conflicts = dict(zip(new, claimed, strict=True))
            results: list[RecordedFact | NotAccepted] = []
            for position, (event, fact) in enumerate(zip(events, known, strict=True)):
                if fact is not None:
                    results.append(_repeat(event, fact))
                elif position in outcomes:
                    adopted = mine[position].event_id != event.event_id
                    results.append(_recorded(outcomes[position], adopted=adopted))
                else:
                    conflict = conflicts[position]
                    assert isinstance(conflict, NotAccepted)  # noqa: S101
                    results.append(conflict)
            if self._tracer is not None:
                self._tracer.accepted(events)
            return [self._counted(result) for result in results]

    async def record_guarded(
        self, event: Event, guard: Guard, note: Note | None = None, look: Look | None = None
    ) -> RecordedFact:
        """Make a fact of one event, unless the guard or the look raises, inside the transaction.

        `note` is called there with a new fact. Raises `Refusal` also for an event that its key keeps out.
        """
        with unavailable():
            (fact,) = await self._known.of([event])
            if fact is not None:
                return self._accepted(_repeat(event, fact))
            mine = await self._claim(event)
            if isinstance(mine, NotAccepted):
                raise mine.refusal()
            try:
                outcome = await self._processor.process_guarded(mine, guard, note, look)
            except BaseException:
                await self._release([mine])
                raise
            return self._accepted(_recorded(outcome, adopted=mine.event_id != event.event_id))

    async def close(self) -> None:
        """Take no more events and finish those under way."""
        await self._processing.close()

    async def _process(self, events: Sequence[Event]) -> list[Outcome]:
        """Process claimed events together, and release their claims if that fails."""
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

    async def _claim(self, event: Event) -> Event | NotAccepted:
        """The event as it may be processed: itself, or the one accepted before under its key and not yet a fact."""
        mine = self._event_claims.of(event)
        if mine is None:
            return event
        held = await self._claims.take(mine)
        if held.fingerprint != mine.fingerprint:
            return key_conflict(event)
        if held.dead and held.message_id is not None:
            return await dead_lettered(event, held.message_id, self._lookup)
        if held.event_id == event.event_id:
            return event
        return event._replace(
            event_id=held.event_id,
            message_id=held.message_id,
            received_at=held.received_at,
            # A time that was not given is that of the first request's arrival.
            occurred_at=held.received_at if event.occurred_at == event.received_at else event.occurred_at,
        )

    async def _release(self, events: Iterable[Event]) -> None:
        for event in events:
            if claim := self._event_claims.of(event):
                await self._claims.release(claim)

    def _accepted(self, result: RecordedFact | NotAccepted) -> RecordedFact:
        counted = self._counted(result)
        if isinstance(counted, NotAccepted):
            raise counted.refusal()
        return counted

    def _counted(self, result: RecordedFact | NotAccepted) -> RecordedFact | NotAccepted:
        if isinstance(result, RecordedFact):
            self._counts.accepted["sync"] += 1
            self._counts.repeated["sync"] += result.repeated
        return result


def _repeat(event: Event, fact: StoredFact) -> RecordedFact | NotAccepted:
    if fact.fingerprint == event.fingerprint:
        return RecordedFact(fact, repeated=True)
    return key_conflict(event)


def _recorded(outcome: Outcome, *, adopted: bool) -> RecordedFact | NotAccepted:
    if isinstance(outcome, Conflict):
        return KeyConflict(outcome.fact.idempotency_key or "")
    fresh = isinstance(outcome, Processed) and outcome.fresh
    return RecordedFact(outcome.fact, repeated=adopted or not fresh)
