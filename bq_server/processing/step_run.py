"""The step over the store: all I/O happens in bulk between the phases of the pure step."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pydantic_core import from_json

from bq_server.events import Scope
from bq_server.exact_json import loads_own
from bq_server.game.attributes import Attributes
from bq_server.game.award_story import story_of
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import Fact as GameFact
from bq_server.game.facts import Moment
from bq_server.game.in_memory import tell
from bq_server.game.known_before import KnownBefore, needed_before, story_that_goes_on, types_of_story
from bq_server.game.match import Matches, cells_needed, match, touch
from bq_server.game.state.keys import Cell
from bq_server.game.state.packed import cells_of, new_state
from bq_server.game.step import HistoryRequest, Past, StepResult, prepare, step
from bq_server.game.voids import VoidChange
from bq_server.processing.meant_names import naming_types, with_meant_names
from bq_server.processing.participant_cells import ParticipantCells, stored_ledger
from bq_server.processing.received_stories import story_of as received_story
from bq_server.processing.void_changes import Mark, by_participant, marks, void_changes
from bq_server.store import batch, received_facts
from bq_server.store.batch import Held
from bq_server.store.database import Connection
from bq_server.store.facts import fact_id_of
from bq_server.store.voids import mark

T = TypeVar("T")
Aside = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a function where it doesn't hold the event loop."""


class StepRun:
    """One run of the step, for some participants of an environment."""

    def __init__(
        self, connection: Connection, scope: Scope, game: CompiledGame, held: Mapping[str, Held], aside: Aside
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._game = game
        self._held = held
        self._aside = aside
        self._cells = ParticipantCells(connection, scope, game)
        self.states: dict[str, dict[str, Any]] = {}
        """What was stored about each participant."""
        self.known: dict[str, dict[str, Cell]] = {}
        """The cells read for each participant."""
        self.moments: dict[str, Moment] = {}
        """Of every fact involved, by its id."""
        self.marks: list[Mark] = []
        """Of new facts that are void from the start."""
        self.received: set[tuple[str, str]] = set()
        """Of the new facts those that stand in others' stories: the recipient, and the fact's id."""

    async def play(self, facts: Sequence[GameFact]) -> StepResult:
        """Add new facts."""
        self.moments.update((fact.fact_id, fact.moment) for fact in facts)
        self.received.update((fact.participant_id, fact.fact_id) for fact in facts if fact.sender is not None)
        own = by_participant(facts)
        naming = naming_types(self._game)
        voids = await void_changes(self._connection, self._scope, own, self._held, naming=naming)
        for change in voids.values():
            self.moments.update((fact.fact_id, fact.moment) for fact in change.known)
            await self._connection.run(partial(mark, marks=marks(change, change.known)))
            self.marks += marks(change, facts)
        known = await self._known(own, voids)
        return await self._run(await self._aside(partial(match, self._game, facts, voids, known)))

    async def refold(self, participant_ids: Iterable[str], definitions: Iterable[str], warn_until: int) -> StepResult:
        """Recompute definitions."""
        affected = list(participant_ids)
        known = await self._known(dict.fromkeys(affected, ()), {})
        return await self._run(touch(self._game, affected, definitions, warn_until, known))

    async def _known(
        self, by_participant: Mapping[str, Sequence[GameFact]], voids: Mapping[str, VoidChange]
    ) -> dict[str, KnownBefore]:
        """What must be known of participants before. Earlier facts are seldom read."""
        game = self._game
        needed = needed_before(game, by_participant, voids)
        wanted = [
            (self._held[who].reference, key) for who, each in needed.items() if who in self._held for key in each.cells
        ]
        stored = await self._connection.run(lambda reading: batch.cells(reading, wanted)) if wanted else {}
        found: dict[str, KnownBefore] = {}
        for who, each in needed.items():
            held, fresh, change = self._held.get(who), by_participant[who], voids.get(who)
            cells = stored.get(held.reference, {}) if held is not None else {}
            attributes = Attributes.of_cells(cells.items())
            later = await self._history(who, each.fact_types, each.since) if each.fact_types else ()
            awards = told = None
            if game.award_readers:
                awards = story_that_goes_on(game, cells, fresh, change, is_new=held is None)
                if awards is None:
                    void = change.after.by if change is not None else ()
                    facts = [fact for fact in fresh if fact.fact_id not in void]
                    facts += await self._history(who, types_of_story(game), None)
                    told = await self._aside(partial(tell, game, facts, story_of(cells)))
            found[who] = KnownBefore(attributes, later, awards, told)
        return found

    async def _history(
        self, who: str, fact_types: frozenset[str], since: int | None, until: int | None = None
    ) -> list[GameFact]:
        """The stored facts of a participant's story, without void ones."""
        held = self._held.get(who)
        if held is None:
            return []
        rows = await self._connection.run(
            lambda reading: batch.history(reading, held.reference, fact_types, since, until)
        )
        facts: list[GameFact] = await self._aside(partial(self._read, who, rows))
        if received := await self._received(who, held, fact_types, since, until):
            facts = sorted([*facts, *received], key=lambda fact: fact.moment)
        return facts

    async def _run(self, matches: Matches) -> StepResult:
        for participant_id in matches.participants:
            held = self._held.get(participant_id)
            state = (loads_own(held.state) or new_state()) if held is not None else new_state()
            self.states[participant_id] = state
            self.known[participant_id] = cells_of(state)
        wanted = cells_needed(matches)
        references = {name: held.reference for name, held in self._held.items()}
        for participant_id, found in (await self._cells.named(references, wanted, self.known)).items():
            self.known[participant_id] |= found
        plan = await self._aside(partial(prepare, matches, self.known))
        past = {request.participant_id: await self._past(request) for request in plan.requests}
        result: StepResult = await self._aside(partial(step, plan, past))
        return result

    async def _past(self, request: HistoryRequest) -> Past:
        who = request.participant_id
        held = self._held.get(who)
        if held is None:
            return Past([])
        facts: list[GameFact] = []
        if request.fact_types:
            facts = await self._history(who, request.fact_types, request.since, request.until)
        cells = await self._cells.under(who, held.reference, request.prefixes, self.known[who])
        self.known[who] |= cells
        return Past(facts, cells, await stored_ledger(self._connection, held.reference) if request.ledger else ())

    async def _received(
        self, who: str, held: Held, fact_types: frozenset[str], since: int | None, until: int | None
    ) -> list[GameFact]:
        """Stored facts that a participant has received."""
        types = fact_types & self._game.receiving.keys()
        if not types:
            return []
        rows = await self._connection.run(
            lambda reading: received_facts.history(reading, held.reference, types, since, until)
        )
        story: list[GameFact] = await self._aside(partial(received_story, who, rows))
        look = partial(with_meant_names, references=self._connection.references, scope=self._scope, types=types)
        facts = list(await self._connection.run(partial(look, facts=story)))
        self.moments.update((fact.fact_id, fact.moment) for fact in facts)
        return facts

    def _read(self, participant_id: str, rows: Iterable[tuple[Any, ...]]) -> list[GameFact]:
        """Stored facts of a participant as the game sees them."""
        facts = [
            GameFact(
                fact_id_of(event_id, own_id),
                seq,
                fact_type,
                event_name,
                participant_id,
                from_json(properties),
                at,
                came,
            )
            for seq, own_id, event_id, fact_type, event_name, properties, at, came in rows
        ]
        self.moments.update((fact.fact_id, fact.moment) for fact in facts)
        return facts
