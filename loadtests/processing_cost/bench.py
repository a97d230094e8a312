"""A database with the real processor over it, filled with facts to begin with."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Self

from bq_server.clock import Clock, Clocks
from bq_server.events import Event
from bq_server.game.definitions import Game
from bq_server.game.stepping import standing
from bq_server.ids import IdSource
from bq_server.processing.applying import Applying
from bq_server.processing.games import Games
from bq_server.processing.processor import Processed, Processor
from bq_server.processing.refolding import Refolding
from bq_server.store import facts, games, participants, state
from bq_server.store.database import Connection, Database
from bq_server.store.facts import Fact
from bq_server.store.state import Entry, Place
from loadtests.processing_cost.games import SCOPE, SECOND, START, event
from loadtests.processing_cost.rounds import Sample

BATCH = 100
"""Events in a batch, as many as the consumer reads at once."""

STORY = 100
"""Facts in the past of a participant that the others are made after."""

BULK = 10_000
"""Facts written in one transaction while filling."""


@dataclass(frozen=True, slots=True)
class Past:
    """What processing made of one participant's story."""

    facts: list[Fact]
    cells: dict[str, Any]
    entries: list[Entry]


class Bench:
    """One variant's database."""

    def __init__(self, database: Database, ids: IdSource, clock: Clock) -> None:
        self.database = database
        self.ids = ids
        self._clocks = Clocks(clock)
        self._games = Games()
        self.processor = Processor(database, ids, self._clocks, self._games)

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, ids: IdSource, clock: Clock) -> AsyncIterator[Self]:
        """Open the database at a path, new or not, and close it at the end."""
        async with Database.open(path) as database:
            yield cls(database, ids, clock)

    async def apply(self, game: Game, *, backfill: bool = False) -> None:
        """Put the game in force and, with `backfill`, fold all stored facts through it, as the server does."""
        refolding = Refolding(self.database, self._games, self.ids, self._clocks)
        applying = Applying(self.database, self._games, refolding, self.ids, self._clocks)
        await applying.apply(SCOPE, game, backfill=backfill)
        work = asyncio.create_task(refolding.run())
        while await self._refolds():  # noqa: ASYNC110 - a client asks in the same way
            await asyncio.sleep(0.05)
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    async def turn(self, batches: Sequence[Sequence[Event]]) -> Sample:
        """Process batches and answer what an event cost. Raises `RuntimeError` unless each became a new fact."""
        outcomes = []
        wall, cpu = time.perf_counter(), time.process_time()
        for batch in batches:
            outcomes += await self.processor.process(batch)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if not all(isinstance(outcome, Processed) and outcome.fresh for outcome in outcomes):
            raise RuntimeError("an event made no fact: the figures would say nothing")
        return Sample(wall * 1e6 / len(outcomes), cpu * 1e6 / len(outcomes))

    async def fill_with_clones(self, random: Random, people: Sequence[str], each: int) -> None:
        """Give every participant `each` facts, written in bulk, and the state that goes with a story of `STORY`.

        One participant's story is processed; what came of it - cells, places, and for every fact its ledger entries -
        is copied for the others through the store.
        """
        past = await self._play_one(random, people[0])
        bulk = max(1, BULK // each)
        for start in range(1, len(people), bulk):
            async with self.database.transaction() as connection:
                for participant_id in people[start : start + bulk]:
                    await self._clone(connection, past, random, participant_id, each)

    async def fill_with_facts(self, random: Random, people: Sequence[str], each: int, gap: int) -> None:
        """Give every participant `each` facts, `gap` microseconds apart, and no state: apply with `backfill` next."""
        for participant_id in people:
            await self._insert(
                [event(self.ids, random, participant_id, START - (each - number) * gap) for number in range(each)]
            )

    async def _play_one(self, random: Random, participant_id: str) -> Past:
        story = [event(self.ids, random, participant_id, START - (STORY - n) * 300 * SECOND) for n in range(STORY)]
        await self.processor.process(story)
        async with self.database.read() as connection:
            made = await participants.facts(connection, SCOPE, participant_id)
            cells = await state.every_cell(connection, SCOPE, participant_id)
            newest_first, _ = await state.entries(connection, SCOPE, participant_id, len(story) * 10, 0)
        return Past(made, cells, newest_first[::-1])

    async def _clone(self, connection: Connection, past: Past, random: Random, participant_id: str, each: int) -> None:
        own = past.facts[-each:]
        events = {self.ids.new("fact"): event(self.ids, random, participant_id, fact.occurred_at) for fact in own}
        made = await facts.insert(connection, events, {SCOPE: self._clocks.now(SCOPE)})
        instead = {old.fact_id: new for old, new in zip(own, made, strict=True)}
        entries = [
            (
                participant_id,
                instead[entry.fact_id].seq,
                replace(
                    entry,
                    transaction_id=self.ids.new("txn"),
                    fact_id=instead[entry.fact_id].fact_id,
                    cause=entry.cause.replace(entry.fact_id, instead[entry.fact_id].fact_id),
                ),
            )
            for entry in past.entries
            if entry.fact_id in instead
        ]
        await participants.count_events(connection, SCOPE, {participant_id: len(made)}, self._clocks.now(SCOPE))
        await state.add_entries(connection, SCOPE, entries)
        await state.put_cells(connection, SCOPE, {participant_id: past.cells})
        game = await self._games.of(connection, SCOPE)
        found = [standing(game, participant_id, key, cell) for key, cell in past.cells.items()]
        await state.put_places(
            connection,
            SCOPE,
            [
                Place(each.board, each.window, each.period, each.participant_id, each.score, each.reached_at)
                for each in found
                if each is not None
            ],
        )

    async def _insert(self, events: Sequence[Event]) -> None:
        for start in range(0, len(events), BULK):
            some = {self.ids.new("fact"): each for each in events[start : start + BULK]}
            async with self.database.transaction() as connection:
                made = await facts.insert(connection, some, {SCOPE: self._clocks.now(SCOPE)})
                counts = {made[0].participant_id: len(made)}
                await participants.count_events(connection, SCOPE, counts, self._clocks.now(SCOPE))

    async def _refolds(self) -> int:
        async with self.database.read() as connection:
            return len(await games.open_refolds(connection))
