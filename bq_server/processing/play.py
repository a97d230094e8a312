"""Facts through the game, over the store: all I/O in bulk between the phases of the pure step."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

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
from bq_server.slicing import Slices
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

    async def play(self, facts: Sequence[Fact]) -> Played:
        """Fold new facts in, and write what they change and cause."""
        own: dict[str, list[GameFact]] = {}
        slices = Slices()
        for fact in facts:
            await slices.give_way()
            own.setdefault(fact.participant_id, []).append(game_fact(fact))
        batches = []
        for some in _portions(list(own.values())):
            await slices.give_way()
            batches.append(match(self.game, [fact for facts in some for fact in facts]))
        return await self._run(batches, {fact.fact_id: fact.seq for fact in facts})

    async def refold(
        self, participant_ids: Iterable[str], definitions: Iterable[str], *, warn_until: int = 0
    ) -> Played:
        """Compute definitions anew for these participants from their stored facts; nothing is awarded twice.

        What expressions can't read of facts up to the seq `warn_until` is warned of.
        """
        affected, changed = list(participant_ids), list(definitions)
        played = await self._run([touch(self.game, [each], changed, warn_until) for each in affected], {})
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

    async def _run(self, batches: Sequence[Matches], seqs: dict[str, int]) -> Played:
        """Step through batches that share no participant, giving way between them; write all at once."""
        wanted = {name: cells for matches in batches for name, cells in cells_needed(matches).items()}
        loaded = await state.cells(self.connection, self.scope, wanted)
        played = Played()
        whole = StepResult(self.game)
        slices = Slices()
        for matches in batches:
            await slices.give_way()
            plan = prepare(matches, loaded)
            past: dict[str, Past] = {}
            for request in plan.requests:
                past[request.participant_id] = await self._past(request)
                seqs |= {fact.fact_id: fact.seq for fact in past[request.participant_id].facts}
            result = step(plan, past)
            whole.cells |= result.cells
            whole.effects += result.effects
            whole.explanations += result.explanations
            whole.warnings += result.warnings
        await self._write(whole, seqs)
        played.explanations = whole.explanations
        for effect in whole.effects:
            played.effects.setdefault(effect.fact_id, []).append(effect)
        return played

    async def _past(self, request: HistoryRequest) -> Past:
        where = (self.connection, self.scope, request.participant_id)
        found = await participants.facts(*where, request.fact_types, request.since) if request.fact_types else []
        return Past(
            [game_fact(fact) for fact in found],
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


PORTION = 5
"""Facts stepped through at once, about: a few milliseconds of work."""


def _portions(participants: Sequence[list[GameFact]]) -> Iterator[list[list[GameFact]]]:
    """The facts of participants, several participants at once where they have few; one is never divided."""
    portion: list[list[GameFact]] = []
    for facts in participants:
        portion.append(facts)
        if sum(map(len, portion)) >= PORTION:
            yield portion
            portion = []
    if portion:
        yield portion


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


def effects_text(effects: list[Effect]) -> str:
    """Effects as the JSON text that is kept."""
    return EFFECTS.dump_json(effects).decode()
