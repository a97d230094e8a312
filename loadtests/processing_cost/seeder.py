"""Databases filled with facts to begin with, through the store's bulk writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from bq_server.causes import pack_cause
from bq_server.game.document.definitions import Game
from bq_server.game.state.packed import APART
from bq_server.ids import pack
from bq_server.store import batch, facts, ledger, participants, received_facts, state
from bq_server.store.batch import Changes, NewEntry, NewFact, Place
from bq_server.store.database import Connection
from bq_server.store.facts import StoredFact
from bq_server.store.ledger import NumberedEntry
from bq_server.store.references import References
from loadtests.processing_cost.bench import Bench, messages_of
from loadtests.processing_cost.games import SCOPE, SECOND, START, event

STORY = 100
"""Facts in the past of a participant that the others are made after."""

STORY_GAP = 300 * SECOND
"""Event time between two of them."""

BULK = 10_000
"""Facts written in one transaction."""


@dataclass(frozen=True, slots=True)
class SeededPast:
    """What processing made of one participant's story."""

    facts: list[tuple[StoredFact, str | None]]
    """In the order of event time, with what each caused, as it is packed."""
    state: str
    cells: dict[str, Any]
    places: list[Place]
    entries: list[NumberedEntry]


class Seeder:
    """Fills one bench's database."""

    def __init__(self, bench: Bench, random: Random) -> None:
        self._bench = bench
        self._random = random

    async def clones(self, game: Game, people: Sequence[str], each: int, story: int = STORY) -> None:
        """Give every participant the newest `each` facts of one story, and the state that all `story` of them lead to.

        One participant's story is processed. What came of it - state, cells, places, and for every fact what it caused
        and its ledger entries - is written for the others.
        """
        past = await self._play_one(game, people[0], story)
        own = past.facts[-each:]
        bulk = max(1, BULK // each)
        for start in range(1, len(people), bulk):
            async with self._bench.database.transaction() as connection:
                changes = Changes(SCOPE, START)
                seq = await facts.last_seq(connection)
                for participant_id in people[start : start + bulk]:
                    self._clone(changes, past, own, participant_id, seq)
                    seq += len(own)
                await _write(connection, changes)

    async def facts(self, people: Sequence[str], each: int, gap: int) -> None:
        """Give every participant `each` facts, `gap` microseconds apart, and no state: apply with `backfill` next."""
        for participant_id in people:
            for start in range(0, each, BULK):
                async with self._bench.database.transaction() as connection:
                    changes = Changes(SCOPE, START)
                    seq = await facts.last_seq(connection)
                    for number in range(start, min(each, start + BULK)):
                        seq += 1
                        made = event(self._bench.ids, self._random, participant_id, START - (each - number) * gap)
                        changes.facts.append(NewFact(seq, made, pack("evt", made.event_id), None))
                    changes.counts[participant_id] = len(changes.facts)
                    await _write(connection, changes)

    async def _play_one(self, game: Game, participant_id: str, story: int) -> SeededPast:
        events = [
            event(self._bench.ids, self._random, participant_id, START - (story - number) * STORY_GAP)
            for number in range(story)
        ]
        await self._bench.drain([messages_of(events)])
        async with self._bench.database.read() as connection:
            reference = await participants.reference(connection, SCOPE, participant_id)
            assert reference is not None
            made = await participants.facts(connection, SCOPE, participant_id)
            caused = await connection.run(partial(received_facts.effects_of, seqs=[fact.seq for fact in made]))
            return SeededPast(
                [(fact, caused.get(fact.seq, {}).get(None)) for fact in made],
                await state.text_of(connection, reference),
                await state.cells_apart(connection, reference, APART),
                [*(await state.places_of(connection, reference, participant_id, _boards(game))).values()],
                await ledger.whole(connection, reference),
            )

    def _clone(
        self,
        changes: Changes,
        past: SeededPast,
        own: Sequence[tuple[StoredFact, str | None]],
        participant_id: str,
        seq: int,
    ) -> None:
        seqs: dict[int, int] = {}
        for fact, effects in own:
            seq += 1
            seqs[fact.seq] = seq
            made = event(self._bench.ids, self._random, participant_id, fact.occurred_at)
            made = made._replace(properties=fact.properties)
            changes.facts.append(NewFact(seq, made, pack("evt", made.event_id), None, effects))
        changes.counts[participant_id] = len(own)
        changes.states[participant_id] = past.state
        changes.cells[participant_id] = past.cells
        for place in past.places:
            changes.place(place.ranking, participant_id, place.standing)
        made_entries = [each for each in past.entries if each.seq in seqs]
        changes.entries += [
            NewEntry(
                participant_id,
                each.number,
                transaction_id,
                pack_cause(each.entry.cause, each.entry.fact_id),
                each.entry.amount,
                each.entry.balance,
                seqs[each.seq],
                each.entry.occurred_at,
            )
            for each, transaction_id in zip(made_entries, self._bench.ids.new_packed(len(made_entries)), strict=True)
        ]


async def _write(connection: Connection, changes: Changes) -> None:
    await connection.run(partial(_write_on_thread, connection.references, changes))


def _write_on_thread(references: References, changes: Changes, connection: Any) -> None:
    held = batch.states(connection, references, changes.scope, changes.counts)
    batch.write(connection, references, changes, held)


def _boards(game: Game) -> list[str]:
    return [
        *(f"leaderboard/{each.code}" for each in game.leaderboards),
        *(f"challenge/{each.code}" for each in game.challenges),
    ]
