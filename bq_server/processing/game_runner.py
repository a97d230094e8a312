"""Running facts through the game over the store: on time where possible, through the step where the past is needed.

The connection's thread reads and writes in bulk; the game runs on its own thread, so that neither holds the event loop.
Folding and writing take turns: two threads competing for the interpreter are slower than one. Where another process
does the writing, both go on at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from msgspec import Struct

from bq_server.events import Scope
from bq_server.exact_json import dumps
from bq_server.game.attributes import Attributes
from bq_server.game.award_story import AwardStory
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import PackedEffect, RuleWarning, packed
from bq_server.game.facts import CUSTOM_PREFIX
from bq_server.game.facts import Fact as GameFact
from bq_server.game.known_before import story_that_goes_on
from bq_server.game.mechanics.tiers import catch_up
from bq_server.game.on_time import FactReading, NotOnTime, ParticipantTurn, dump_state, load_state
from bq_server.game.state.keys import AWARDS, POINTS, PURSES, TIERS, VOIDS, Cells, attribute, is_hidden
from bq_server.game.state.packed import new_state
from bq_server.game.step import StepResult
from bq_server.ids import IdSource
from bq_server.processing.announcements import Announcer
from bq_server.processing.first_expiries import first_expiries
from bq_server.processing.game_thread import GameThread
from bq_server.processing.meant_names import naming_types, with_meant_names
from bq_server.processing.participant_cells import stored_ledger
from bq_server.processing.received_facts import Received, receive
from bq_server.processing.step_changes import Played, place_again, take_step
from bq_server.processing.step_run import StepRun
from bq_server.processing.team_changes import is_shared
from bq_server.processing.void_changes import Mark, awaits_voids, by_participant
from bq_server.store import batch, expiring_points, games, group_dues, voids
from bq_server.store.batch import Caused, Changes, Held, NewEntry
from bq_server.store.database import Connection
from bq_server.store.games import StoredWarning

PORTION = 100
"""Facts folded before they are written. While the game works, a request waits for the interpreter after every system
call; while rows are written, waiting requests catch up. Where another process writes them, the next are folded
meanwhile."""

Effects = Mapping[str, list[PackedEffect]]
"""What facts caused, by fact id."""

Record = Callable[[Changes, Sequence[GameFact], Effects], None]
"""Adds new facts, with what they caused, to the changes that they led to. Called on the game's thread."""


class _Quick(Struct):
    """A participant whose facts may be on time."""

    participant_id: str
    facts: list[GameFact]
    reads: list[FactReading]
    warnings: dict[tuple[str, str], RuleWarning]
    held: Held | None
    awards: AwardStory | None
    """The story that the fact goes on, where conditions see awards."""


class GameRunner:
    """Runs one environment's game within a transaction. Changes are written before it commits."""

    def __init__(
        self,
        connection: Connection,
        scope: Scope,
        game: CompiledGame,
        ids: IdSource,
        now: int,
        game_thread: GameThread,
        *,
        heard: bool = True,
    ) -> None:
        """`now` is in microseconds since the epoch, UTC; `heard`: whether somebody may have to be told of it."""
        self._connection = connection
        self._scope = scope
        self._game = game
        self._ids = ids
        self._now = now
        self._game_thread = game_thread
        self._heard = heard
        self._held: dict[str, Held] = {}
        self._warnings: list[RuleWarning] = []
        self._changes = Changes(scope, now)
        self._marks: list[Mark] = []

    async def play(self, facts: Sequence[GameFact], record: Record) -> None:
        """Fold new facts, and write them with what they led to."""
        facts = await self._meant(facts)
        own = by_participant(facts)
        await self._hold(own)
        received = (await self._receive(facts)).facts if self._game.has_received else ()
        stories = by_participant([*facts, *received]) if received else own
        # Who has received something takes the step.
        quick = {who: own[who] for who in own.keys() - {fact.participant_id for fact in received}} if received else own
        late = await self._on_time(quick, record)
        late += [who for who in stories if who not in quick]
        if late:
            some = [fact for participant_id in late for fact in stories[participant_id]]
            played = Played()
            await self._step(some, played)
            await self._game_thread.run(partial(self._record, some, played, record))
        await self._finish()

    async def rehearse(self, facts: Sequence[GameFact]) -> Played:
        """Fold new facts, and explain why definitions did or didn't apply to them. Nothing is written."""
        played = Played()
        facts = await self._meant(facts)
        await self._hold(by_participant(facts))
        received = await self._receive(facts) if self._game.has_received else Received()
        await self._step([*facts, *received.facts], played)
        played.explanations += received.explanations
        return played

    async def refold(
        self, participant_ids: Iterable[str], definitions: Iterable[str], *, warn_until: int = 0
    ) -> list[Caused]:
        """Recompute definitions for these participants from their stored facts; nothing is awarded twice.

        What expressions can't read of facts up to the seq `warn_until` is warned of. Answers what it caused.
        """
        affected, changed = list(participant_ids), list(definitions)
        await self._hold(affected)
        run = self._run()
        result = await run.refold(affected, changed, warn_until)
        await self._stepped(run, result, Played())
        place_again(self._game, self._changes, run, result, frozenset(changed))
        if any(key.startswith("tier/") for key in changed):
            await self._climb(affected, run.states)
        caused = self._changes.caused
        await self._finish()
        return caused

    async def _meant(self, facts: Sequence[GameFact]) -> Sequence[GameFact]:
        """The facts, with whom aliases stand for that they name."""
        references = self._connection.references
        if not self._game.has_received or self._scope not in references.aliased:
            return facts
        types = naming_types(self._game)
        look = partial(with_meant_names, references=references, scope=self._scope, types=types, facts=facts)
        return await self._connection.run(look)

    def _run(self) -> StepRun:
        return StepRun(self._connection, self._scope, self._game, self._held, self._game_thread.run)

    async def _hold(self, participant_ids: Iterable[str]) -> None:
        references = self._connection.references
        self._held = await self._connection.run(
            lambda reading: batch.states(reading, references, self._scope, participant_ids)
        )

    async def _receive(self, facts: Sequence[GameFact]) -> Received:
        """To whom facts go beside their senders, who are held; from then on, so are the recipients."""
        received = await receive(self._connection, self._scope, self._game, facts, self._held)
        self._warnings += received.warnings
        others = {fact.participant_id for fact in received.facts} - self._held.keys()
        if others:
            senders = self._held
            await self._hold(others)
            self._held |= senders
        return received

    def _record(self, facts: Sequence[GameFact], played: Played, record: Record) -> None:
        """Have facts that took the step written where they stand."""
        changes = self._changes
        record(changes, [fact for fact in facts if fact.sender is None], played.effects)
        for fact in facts:
            if fact.sender is not None:
                caused = played.received.get((fact.participant_id, fact.fact_id))
                changes.received.append((fact.participant_id, fact.seq, dumps(caused) if caused else None))
                changes.counts.setdefault(fact.participant_id, 0)

    def _hand_on(self) -> None:
        """Write what has changed so far."""
        changes, self._changes = self._changes, Changes(self._scope, self._now)
        for participant_id in (*changes.states, *changes.cells):
            changes.counts.setdefault(participant_id, 0)
        if changes.counts:  # it names everyone for whom anything has changed
            connection, held, heard = self._connection, self._held, self._heard
            order_of = self._game.order_of

            def write(writing: Any) -> None:
                announcer = Announcer(writing, connection.references, changes, order_of) if heard else None
                batch.write(writing, connection.references, changes, held)
                if announcer is not None:
                    connection.wakes |= announcer.write()

            connection.defer(write)
            if any(is_shared(ranking) for ranking in changes.teams):
                connection.wakes.add(group_dues.NAME)
            expiring = self._game.treasury.expiries
            if expiring and (moments := first_expiries(expiring, changes.entries)):
                connection.defer(partial(expiring_points.watch, scope=self._scope, moments=moments))
                connection.wakes.add(expiring_points.NAME)

    async def _finish(self) -> None:
        self._hand_on()
        if self._marks:
            self._connection.defer(partial(voids.mark, marks=self._marks))
        if self._warnings:
            counted = self._counted_warnings()
            await self._connection.run(partial(games.add_warnings, scope=self._scope, warnings=counted))

    def _counted_warnings(self) -> list[StoredWarning]:
        counted: dict[tuple[str, str], StoredWarning] = {}
        for each in self._warnings:
            key = (each.definition, each.message)
            before = counted[key].count if key in counted else 0
            counted[key] = StoredWarning(*key, before + each.count, each.fact_id, self._now)
        return list(counted.values())

    @property
    def warned(self) -> int:
        """For how many facts an expression had no usable value."""
        return sum(each.count for each in self._warnings)

    async def _on_time(self, facts: Mapping[str, list[GameFact]], record: Record) -> list[str]:
        """Fold what is on time; returns the participants whose facts are not."""
        game = self._game
        if game.pending:
            return list(facts)
        who = await self._who(facts) if game.attributes_of_facts or game.award_readers else {}
        quick, late, wanted = await self._game_thread.run(partial(self._read, facts, who))
        apart = await self._connection.run(lambda reading: batch.cells(reading, wanted)) if wanted else {}
        for some in _portions(quick):
            late += await self._game_thread.run(partial(self._advance, some, apart, record))
            self._hand_on()
            if not self._connection.outside:
                await self._connection.deferred()
        return late

    async def _who(self, facts: Mapping[str, list[GameFact]]) -> dict[str, Cells]:
        """The cells with what conditions read of participants on whom they do."""
        read, awards = self._game.attributes_of_facts, {AWARDS} if self._game.award_readers else set[str]()
        known = {each: self._held[each].reference for each in facts if each in self._held}
        wanted = [
            (reference, key)
            for each, reference in known.items()
            for key in awards | {attribute(name) for fact in facts[each] for name in read.get(fact.fact_type, ())}
        ]
        cells = await self._connection.run(lambda reading: batch.cells(reading, wanted)) if wanted else {}
        return {each: cells[reference] for each, reference in known.items() if reference in cells}

    def _read(
        self, facts_of: Mapping[str, list[GameFact]], who: Mapping[str, Cells]
    ) -> tuple[list[_Quick], list[str], list[tuple[int, str]]]:
        game, tracks = self._game, self._game.tracks
        quick: list[_Quick] = []
        late: list[str] = []
        wanted: list[tuple[int, str]] = []
        for participant_id, facts in facts_of.items():
            if len(facts) > 1:
                facts.sort(key=_moment)
            warnings: dict[tuple[str, str], RuleWarning] = {}
            reads: list[FactReading] = []
            held = self._held.get(participant_id)
            cells = who.get(participant_id, _NO_CELLS)
            attributes = Attributes.of_cells(cells.items()) if cells else None
            awards = None
            if game.award_readers:
                awards = story_that_goes_on(game, cells, facts, None, is_new=held is None)
                if awards is None:
                    late.append(participant_id)
                    continue
            for fact in facts:
                if fact.voids is not None or not fact.fact_type.startswith(CUSTOM_PREFIX):
                    late.append(participant_id)
                    break
                if attributes is not None or awards is not None:
                    fact = game.seen(fact, attributes, awards)
                reads.append(tracks.read(fact, warnings))
            else:
                quick.append(_Quick(participant_id, facts, reads, warnings, held, awards))
                if held is not None:
                    wanted += [(held.reference, key) for each in reads for key in each.apart]
        return quick, late, wanted

    def _advance(self, quick: Sequence[_Quick], apart: Mapping[int, dict[str, Any]], record: Record) -> list[str]:
        late = []
        for each in quick:
            effects: Effects = {}
            if any(found.parts for found in each.reads):
                held = each.held
                state = new_state() if held is None else load_state(held.state)
                own = {} if held is None else apart.get(held.reference, {})
                turn = ParticipantTurn(
                    each.participant_id, state.setdefault("cells", {}), state.setdefault("scores", {}), own
                )
                try:
                    if VOIDS in turn.cells:
                        raise NotOnTime
                    self._game.tracks.advance(turn, each.reads)
                except NotOnTime:
                    late.append(each.participant_id)
                    continue
                effects = turn.effects
                if each.awards is not None:
                    _tell(turn.apart_changed, each.awards, each.facts[0], effects)
                self._take_turn(turn, state)
                self._changes.caused += [
                    (each.participant_id, fact.fact_id, fact.occurred_at, effects[fact.fact_id])
                    for fact in each.facts
                    if fact.fact_id in effects
                ]
            elif awaits_voids(each.held):
                late.append(each.participant_id)
                continue
            elif each.awards is not None:
                _tell(self._changes.cells.setdefault(each.participant_id, {}), each.awards, each.facts[0], effects)
            self._warnings += each.warnings.values()
            record(self._changes, each.facts, effects)
        return late

    def _take_turn(self, turn: ParticipantTurn, state: dict[str, Any]) -> None:
        changes, who = self._changes, turn.participant_id
        number = state.get("entries", 0)
        for transaction_id, (cause, amount, balance, fact) in zip(
            self._ids.new_packed(len(turn.paid)), turn.paid, strict=True
        ):
            number += 1
            changes.entries.append(
                NewEntry(who, number, transaction_id, cause, amount, balance, fact.seq, fact.occurred_at)
            )
        state["entries"] = number
        changes.states[who] = dump_state(state)
        if turn.apart_changed:
            changes.cells[who] = turn.apart_changed
        if is_hidden(turn.cells):
            changes.hidden.add(who)
        for ranking, place in turn.places.items():
            changes.place(ranking, who, place)

    async def _step(self, facts: Sequence[GameFact], played: Played) -> None:
        run = self._run()
        await self._stepped(run, await run.play(facts), played)
        self._marks += run.marks

    async def _stepped(self, run: StepRun, result: StepResult, played: Played) -> None:
        """Collect what a step has changed and caused."""
        self._warnings += result.warnings
        played.explanations += result.explanations
        took = partial(take_step, self._game, self._ids, self._changes, run, result, played)
        await self._game_thread.run(took)

    async def _climb(self, participant_ids: Iterable[str], states: Mapping[str, dict[str, Any]]) -> None:
        """Give participants the tiers of a changed game that their points have reached."""
        for participant_id in participant_ids:
            state = states.get(participant_id)
            held = self._held.get(participant_id)
            if state is None or held is None or not {POINTS, PURSES, TIERS} & state.get("cells", {}).keys():
                continue
            history = state["cells"].get(TIERS, [])
            ledger = await stored_ledger(self._connection, held.reference)
            reached = list(history)
            change = catch_up(participant_id, self._game.treasury.tiers, reached, ledger)
            if reached != history:
                state["cells"][TIERS] = reached
                self._changes.states[participant_id] = dumps(state)
            if change is not None and change.fact_id:
                at = change.occurred_at
                self._changes.caused.append((participant_id, change.fact_id, at, [packed(change, at)]))


_moment = attrgetter("occurred_at", "seq")
_NO_CELLS: Cells = {}


def _tell(apart: dict[str, Any], story: AwardStory, fact: GameFact, effects: Effects) -> None:
    """Note how the story of a participant's awards goes on."""
    apart[AWARDS] = story.after_on_time(fact, effects.get(fact.fact_id, ())).dump()


def _portions(quick: Iterable[_Quick]) -> Iterator[list[_Quick]]:
    """Participants in their order, in portions of about `PORTION` facts."""
    portion: list[_Quick] = []
    facts = 0
    for each in quick:
        portion.append(each)
        facts += len(each.facts)
        if facts >= PORTION:
            yield portion
            portion, facts = [], 0
    if portion:
        yield portion
