"""Facts through the game, over the store: all I/O in bulk between the phases of the pure step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from pydantic_core import from_json

from bq_server.events import Scope
from bq_server.game.cells import POINTS, TIERS
from bq_server.game.compiled import CompiledGame
from bq_server.game.effects import EFFECTS, Effect, Explanation, PointsChanged
from bq_server.game.facts import Fact as GameFact
from bq_server.game.matching import Matches, cells_needed, match, touch
from bq_server.game.rules import LedgerEntry
from bq_server.game.stepping import HistoryRequest, Past, StepResult, prepare, step
from bq_server.game.tiers import catch_up
from bq_server.ids import IdSource
from bq_server.processing.folding import Folding
from bq_server.store import games, participants, state
from bq_server.store.database import Connection
from bq_server.store.facts import Fact
from bq_server.store.games import StoredWarning
from bq_server.store.state import Entry, Place


@dataclass(slots=True)
class Played:
    """What facts caused, by fact id, and why definitions did or didn't apply to them."""

    effects: dict[str, list[Effect]] = field(default_factory=dict)
    explanations: list[Explanation] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Table:
    """Where a game is played: an environment, in the middle of a transaction."""

    connection: Connection
    scope: Scope
    game: CompiledGame
    ids: IdSource
    now: int
    """Microseconds since the epoch, UTC."""
    folding: Folding
    """Where the game is worked out."""

    async def play(self, facts: Sequence[Fact]) -> Played:
        """Fold new facts in, and write what they change and cause."""
        matches = await self.folding.run(lambda: match(self.game, [game_fact(fact) for fact in facts]))
        return await self._run(matches, {fact.fact_id: fact.seq for fact in facts})

    async def refold(
        self, participant_ids: Iterable[str], definitions: Iterable[str], *, warn_until: int = 0
    ) -> Played:
        """Compute definitions anew for these participants from their stored facts; nothing is awarded twice.

        What expressions can't read of facts up to the seq `warn_until` is warned of.
        """
        affected, changed = list(participant_ids), list(definitions)
        played = await self._run(touch(self.game, affected, changed, warn_until), {})
        if any(key.startswith("tier/") for key in changed):
            await self._climb(affected)
        return played

    async def _climb(self, participant_ids: Iterable[str]) -> None:
        """Give participants the tiers of a changed game that their points have led to."""
        loaded = await state.cells(self.connection, self.scope, dict.fromkeys(participant_ids, (POINTS, TIERS)))
        climbed = {}
        for participant_id, cells in loaded.items():
            history = cells.get(TIERS, [])
            ledger = await stored_ledger(self.connection, self.scope, participant_id)
            reached = catch_up(self.game.treasury.tiers, history, ledger)
            if reached != history:
                climbed[participant_id] = {TIERS: reached}
        await state.put_cells(self.connection, self.scope, climbed)

    async def _run(self, matches: Matches, seqs: dict[str, int]) -> Played:
        """Step through what was matched, and write what that changes."""
        loaded = await state.cells(self.connection, self.scope, cells_needed(matches))
        plan = await self.folding.run(partial(prepare, matches, loaded))
        past: dict[str, Past] = {}
        for request in plan.requests:
            found = past[request.participant_id] = await self._past(request)
            seqs |= {fact.fact_id: fact.seq for fact in found.facts}
        result = await self.folding.run(partial(step, plan, past))
        await self._write(result, seqs)
        played = Played(explanations=result.explanations)
        for effect in result.effects:
            played.effects.setdefault(effect.fact_id, []).append(effect)
        return played

    async def _past(self, request: HistoryRequest) -> Past:
        where = (self.connection, self.scope, request.participant_id)
        found = await participants.facts(*where, request.fact_types, request.since) if request.fact_types else []
        return Past(
            await self.folding.run(lambda: [game_fact(fact) for fact in found]),
            await state.cells_under(*where, request.prefixes),
            await stored_ledger(*where) if request.ledger else (),
        )

    async def _write(self, result: StepResult, seqs: Mapping[str, int]) -> None:
        await state.put_cells(self.connection, self.scope, result.cells)
        places = [
            Place(each.board, each.window, each.period, each.participant_id, each.score, each.reached_at)
            for each in result.standings
        ]
        await state.put_places(self.connection, self.scope, places)
        entries = [
            (effect.participant_id, seqs[effect.fact_id], self._entry(effect))
            for effect in result.effects
            if isinstance(effect, PointsChanged)
        ]
        await state.add_entries(self.connection, self.scope, entries)
        if result.warnings:
            warnings = [
                StoredWarning(each.definition, each.message, each.count, each.fact_id, self.now)
                for each in result.warnings
            ]
            await games.add_warnings(self.connection, self.scope, warnings)

    def _entry(self, effect: PointsChanged) -> Entry:
        return Entry(
            self.ids.new("txn"),
            effect.cause,
            effect.amount,
            effect.balance,
            effect.fact_id,
            effect.occurred_at,
            self.now,
        )


def game_fact(fact: Fact) -> GameFact:
    """A stored fact as the game sees it."""
    return GameFact(
        fact.fact_id,
        fact.seq,
        fact.fact_type,
        fact.event_name,
        fact.participant_id,
        from_json(fact.properties),
        fact.occurred_at,
        fact.received_at,
    )


async def stored_ledger(connection: Connection, scope: Scope, participant_id: str) -> list[LedgerEntry]:
    """The points ledger of a participant as the game sees it."""
    return [LedgerEntry(*row) for row in await state.ledger(connection, scope, participant_id)]


def effects_texts(played: Played) -> dict[str, str]:
    """What each fact caused, by its id, as the JSON text that is kept."""
    return {fact_id: EFFECTS.dump_json(effects).decode() for fact_id, effects in played.effects.items()}
