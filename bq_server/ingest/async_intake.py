"""The async path: events go into the stream, and are answered once they are as durable as the stream is.

Facts are the permanent authority on idempotency keys. The stream's claims cover what is not yet a fact.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from bq_server.events import Event
from bq_server.ingest.known_facts import KnownFacts
from bq_server.ingest.outcomes import Accepted, NotAccepted, dead_lettered, key_conflict
from bq_server.ingest.unavailable import unavailable
from bq_server.metrics.counts import IntakeCounts
from bq_server.stream.claims import EventClaims
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.lookup import MessageLookup
from bq_server.stream.writer import Appended, AppendResult, Dead, Gone, Message, Writer

if TYPE_CHECKING:
    from bq_server.tracing.tracer import Tracer


class AsyncIntake:
    """Accepts events. Raises `Refusal` with a 503 code when the server can't take events now."""

    def __init__(
        self,
        known: KnownFacts,
        writer: Writer,
        claims: EventClaims,
        lookup: MessageLookup,
        counts: IntakeCounts,
        tracer: "Tracer | None" = None,
    ) -> None:
        """`tracer`: None if nothing is traced."""
        self._known = known
        self._writer = writer
        self._claims = claims
        self._lookup = lookup
        self._counts = counts
        self._tracer = tracer

    async def accept(self, events: Sequence[Event]) -> list[Accepted | NotAccepted]:
        """Put the events into the stream in one step; returns one result for each.

        When this returns they are as durable as the stream is.
        """
        with unavailable():
            results: list[Accepted | NotAccepted] = []
            if any(event.idempotency_key for event in events):
                results = await self._accept_keyed(events)
            elif events:
                results = list(cast("Sequence[Accepted]", await self._append(events)))
            if self._tracer is not None:
                self._tracer.accepted(events)
            return results

    def accept_soon(self, events: Sequence[Event]) -> asyncio.Future[Sequence[Accepted | NotAccepted]]:
        """As `accept`, for a caller that isn't a task: the future of the results.

        It and the future raise what `refusal_of` knows; without idempotency keys no task is created.
        """
        for event in events:
            if event.idempotency_key is not None:
                return asyncio.ensure_future(self.accept(events))
        return cast("asyncio.Future[Sequence[Accepted | NotAccepted]]", self._append(events))

    async def _accept_keyed(self, events: Sequence[Event]) -> list[Accepted | NotAccepted]:
        results: list[Accepted | NotAccepted | None] = []
        known = await self._known.soon(events)
        for event, fact in zip(events, known, strict=True):
            if fact is None:
                results.append(None)
            elif fact.fingerprint != event.fingerprint:
                results.append(key_conflict(event))
            elif fact.message_id is not None:
                results.append(self._repeat(fact.message_id))
            else:
                # A fact made by the sync path has no message: this event gets one, which ends as a duplicate.
                results.append(None)
        new = [position for position, result in enumerate(results) if result is None]
        appended = await self._append([events[position] for position in new]) if new else []
        for position, answer in zip(new, appended, strict=True):
            result = await self._outcome(events[position], answer)
            if isinstance(result, Appended) and known[position] is not None:
                self._counts.repeated["async"] += not result.repeated
                result = result._replace(repeated=True)
            results[position] = result
        return [result for result in results if result is not None]

    def _repeat(self, message_id: str) -> Accepted:
        """The answer to an event that is already a fact; the writer, which counts the others, hasn't seen it."""
        self._counts.accepted["async"] += 1
        self._counts.repeated["async"] += 1
        return Accepted(message_id, repeated=True)

    async def _outcome(self, event: Event, answer: AppendResult) -> Accepted | NotAccepted:
        """The result for an event with a key, from what the stream answered."""
        if isinstance(answer, Gone):
            # The message under its key left the stream after the facts were queried: most likely it is one now.
            (fact,) = await self._known.of([event])
            if fact is not None:
                same = fact.fingerprint == event.fingerprint
                return self._repeat(answer.message_id) if same else key_conflict(event)
            # It was lost: this event takes its place.
            (answer,) = await self._append([event], replaces=answer.message_id)
        match answer:
            case Appended():
                return answer
            case Dead():
                return await dead_lettered(event, answer.message_id, self._lookup)
            case Gone():
                raise StreamUnavailable("messages are vanishing from the stream")
            case _:
                return key_conflict(event)

    def _append(self, events: Sequence[Event], replaces: str | None = None) -> asyncio.Future[Sequence[AppendResult]]:
        claim = self._claims.of
        return self._writer.append([Message(event.to_payload(), claim(event), replaces) for event in events])
