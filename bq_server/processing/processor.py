"""Events become facts: drop what is a fact already, insert the rest, work out what they mean, commit."""

from collections.abc import Sequence
from dataclasses import dataclass

from bq_server.clock import Clock
from bq_server.events import Event
from bq_server.ids import IdSource
from bq_server.store import catalog, facts
from bq_server.store.database import Database
from bq_server.store.facts import Fact


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


class Processor:
    """Makes facts of events in one database. Safe to call from several tasks: the database orders them."""

    def __init__(self, database: Database, ids: IdSource, clock: Clock) -> None:
        self._database = database
        self._ids = ids
        self._clock = clock

    async def process(self, events: Sequence[Event]) -> list[Outcome]:
        """Process the events in one transaction and answer one outcome for each.

        All of them take effect or, when this raises, none. Raises `StoreUnavailable`.
        """
        async with self._database.transaction() as connection:
            named = {self._ids.new("fact"): event for event in events}
            made = {fact.event_id: fact for fact in await facts.insert(connection, named, self._clock())}
            await catalog.add(connection, made.values())
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
            return outcomes


def _outcome_of_repeat(event: Event, fact: Fact) -> Outcome:
    if fact.event_id == event.event_id:
        return Processed(fact, fresh=False)
    return Duplicate(fact) if fact.fingerprint == event.fingerprint else Conflict(fact)
