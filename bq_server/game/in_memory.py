"""The game in memory: the same phases as a database-backed caller, over dictionaries."""

import json
from collections.abc import Iterable, Mapping, Sequence, Set

from msgspec import Struct, field
from msgspec.structs import replace

from bq_server.causes import unpack_cause
from bq_server.exact_json import dumps, loads_own
from bq_server.game.attributes import Attributes
from bq_server.game.award_story import NO_STORY, AwardStory, StoryTold, awards_of, in_rounds, story_of
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import Effect, PointsChanged
from bq_server.game.facts import CUSTOM_PREFIX, FACT_VOIDED, Fact
from bq_server.game.known_before import KnownBefore, needed_before, story_that_goes_on, types_of_story
from bq_server.game.match import Matches, cells_needed, match, touch
from bq_server.game.mechanics.rule import LedgerEntry
from bq_server.game.mechanics.tiers import catch_up
from bq_server.game.on_time import NotOnTime, Paid, ParticipantTurn, dump_state, lay_tracks, load_state
from bq_server.game.recipients import copies, spread
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells
from bq_server.game.state.packed import cells_of, change, new_state
from bq_server.game.step import HistoryRequest, Past, StepResult, prepare, step
from bq_server.game.voids import VoidChange, named, void_change, voids_among


class _Participant(Struct):
    facts: dict[str, Fact] = field(default_factory=dict)
    cells: dict[str, str] = field(default_factory=dict)
    ledger: list[LedgerEntry] = field(default_factory=list)
    void: Set[str] = frozenset()
    """The ids of the void facts."""
    voids: bool = False
    """Whether any fact voids another."""

    def put(self, changed: Mapping[str, Cell | None]) -> None:
        """Change cells; None removes one."""
        for key, cell in changed.items():
            if cell is None:
                self.cells.pop(key, None)
            else:
                self.cells[key] = json.dumps(cell)


class InMemoryGame:
    """Processes batches of facts, in any order. Facts seen before are dropped, as a store's unique key would."""

    def __init__(self, game: CompiledGame) -> None:
        self.game = game
        self.requests = 0
        """How many times history was requested."""
        self._participants: dict[str, _Participant] = {}

    def process(self, facts: Iterable[Fact]) -> StepResult:
        """Process a batch of facts of their senders: they also reach those whom they name."""
        own = [fact for fact in facts if fact.fact_id not in self._of(fact.participant_id).facts]
        if not self.game.has_received:
            return self.process_stories(own)
        found = self.game.deliveries(own)
        result = self.process_stories([*own, *self._copies(own, found.recipients)])
        result.warnings.extend(found.warnings.values())
        result.explanations.extend(found.explanations)
        return result

    def _copies(self, facts: Sequence[Fact], named: Mapping[str, Iterable[str]]) -> list[Fact]:
        """What stands in the stories of others from now on, and didn't before."""
        senders = {fact.participant_id for fact in facts}
        known = [fact for each in self._participants.values() for fact in each.facts.values()]
        stories = [fact for fact in known if fact.sender is None and fact.participant_id in senders] + list(facts)
        recipients = {fact_id: set(who) for fact_id, who in named.items()}
        for fact in known:
            if fact.sender in senders:
                recipients.setdefault(fact.fact_id, set()).add(fact.participant_id)
        spread_to = spread(recipients, stories)
        new = {
            fact_id: {each for each in who if fact_id not in self._of(each).facts} for fact_id, who in spread_to.items()
        }
        return list(copies({fact.fact_id: fact for fact in stories}.values(), new))

    def process_stories(self, facts: Iterable[Fact]) -> StepResult:
        """Process a batch of facts in the stories in which they stand, and in no others."""
        fresh = [fact for fact in facts if fact.fact_id not in self._of(fact.participant_id).facts]
        if not self.game.award_readers:
            return self._process(fresh)
        return self._process_in_rounds({(fact.fact_id, fact.participant_id): fact for fact in fresh}.values())

    def process_all(self, facts: Iterable[Fact]) -> StepResult:
        """Process all facts there are, at once, in the stories in which they stand."""
        if not self.game.award_readers:
            return self.process_stories(facts)
        own: dict[str, dict[str, Fact]] = {}
        for fact in facts:
            own.setdefault(fact.participant_id, {})[fact.fact_id] = fact
        voids = {who: voids_among(known.values()) for who, known in own.items()}
        # One round after the other would first take what a later one makes void, and awards stay.
        result = self._process_in_rounds(
            fact for who, known in own.items() for fact in known.values() if fact.fact_id not in voids[who].by
        )
        for who, known in own.items():
            participant = self._of(who)
            participant.facts.update(known)
            participant.void = voids[who].by.keys()
            participant.put({keys.VOIDS: list(voids[who].waiting) or None})
        return result

    def _process_in_rounds(self, facts: Iterable[Fact]) -> StepResult:
        result = StepResult(self.game)
        for some in in_rounds(facts):
            result.add(self._process(some))
        return result

    def refold(self, definitions: Iterable[str], participant_ids: Iterable[str] | None = None) -> StepResult:
        """Recompute definitions from the facts, for all participants or some."""
        affected = list(participant_ids or self._participants)
        known = self._known(dict.fromkeys(affected, ()), {})
        result = self._run(touch(self.game, affected, definitions, known=known))
        self._enter(result)
        for participant_id in affected:
            self._climb(participant_id)
        return result

    def take_one(self, fact: Fact, known: KnownBefore) -> StepResult:
        """Process a fact that voids no other and is not void itself, of a participant of whom this is known."""
        result = self._run(match(self.game, [fact], {}, {fact.participant_id: known}))
        self._of(fact.participant_id).facts[fact.fact_id] = fact
        self._enter(result)
        return result

    def put(
        self, participant_id: str, facts: Iterable[Fact], changed: Mapping[str, Cell | None], paid: Iterable[Paid]
    ) -> None:
        """Keep what facts have led to elsewhere."""
        own = self._of(participant_id)
        own.facts.update((fact.fact_id, fact) for fact in facts)
        own.put(changed)
        own.ledger += [
            LedgerEntry(unpack_cause(each.cause, each.fact.fact_id), each.amount, *each.fact.moment) for each in paid
        ]

    def _process(self, fresh: Sequence[Fact]) -> StepResult:
        own: dict[str, dict[str, Fact]] = {}
        for fact in fresh:
            own.setdefault(fact.participant_id, {})[fact.fact_id] = fact
        voids: dict[str, VoidChange] = {}
        for participant_id, new in own.items():
            participant = self._of(participant_id)
            participant.voids = participant.voids or any(named(fact) is not None for fact in new.values())
            change = void_change(list(participant.facts.values()), list(new.values())) if participant.voids else None
            if change is not None:
                voids[participant_id] = change
                participant.void = change.after.by.keys()
        return self._take(fresh, own, voids)

    def _take(
        self, fresh: Sequence[Fact], own: Mapping[str, Mapping[str, Fact]], voids: Mapping[str, VoidChange]
    ) -> StepResult:
        known = self._known({who: list(new.values()) for who, new in own.items()}, voids)
        result = self._run(match(self.game, fresh, voids, known))
        for participant_id, new in own.items():
            self._of(participant_id).facts.update(new)
        self._enter(result)
        return result

    def _climb(self, participant_id: str) -> None:
        """Give the tiers of a changed game that what was earned before has reached."""
        own = self._of(participant_id)
        history = json.loads(own.cells.get(keys.TIERS, "[]"))
        held = len(history)
        catch_up(participant_id, self.game.treasury.tiers, history, own.ledger)
        if len(history) > held:
            own.cells[keys.TIERS] = json.dumps(history)

    def cells(self, participant_id: str) -> dict[str, Cell]:
        """A participant's cells."""
        return {key: json.loads(text) for key, text in self._of(participant_id).cells.items()}

    def facts(self, participant_id: str) -> list[Fact]:
        """A participant's facts, in order."""
        return sorted(self._of(participant_id).facts.values(), key=lambda fact: fact.moment)

    def ledger(self, participant_id: str) -> list[LedgerEntry]:
        """A participant's points ledger, in the order written."""
        return list(self._of(participant_id).ledger)

    @property
    def participants(self) -> list[str]:
        """Everyone a fact named."""
        return list(self._participants)

    def _all(self, participant_id: str) -> list[str]:
        """The keys of all cells of a participant's own row, and of those stored apart that are asked for."""
        return list(self._of(participant_id).cells)

    def _of(self, participant_id: str) -> _Participant:
        return self._participants.setdefault(participant_id, _Participant())

    def _known(
        self, by_participant: Mapping[str, Sequence[Fact]], voids: Mapping[str, VoidChange]
    ) -> dict[str, KnownBefore]:
        found: dict[str, KnownBefore] = {}
        for who, needed in needed_before(self.game, by_participant, voids).items():
            known, fresh, change = self._of(who), by_participant[who], voids.get(who)
            cells = {key: json.loads(known.cells[key]) for key in needed.cells if key in known.cells}
            attributes = Attributes.of_cells(cells.items())
            later = self._without_void(who, needed.fact_types, needed.since) if needed.fact_types else ()
            awards = told = None
            if self.game.award_readers:
                awards = story_that_goes_on(self.game, cells, fresh, change, is_new=not known.facts)
                if awards is None:
                    facts = [*self._without_void(who, types_of_story(self.game)), *fresh]
                    told = tell(self.game, [fact for fact in facts if fact.fact_id not in known.void], story_of(cells))
            found[who] = KnownBefore(attributes, later, awards, told)
        return found

    def _without_void(self, participant_id: str, fact_types: Set[str], since: int | None = None) -> list[Fact]:
        void = self._of(participant_id).void
        return [
            fact
            for fact in self.facts(participant_id)
            if fact.fact_type in fact_types
            and fact.fact_id not in void
            and (since is None or fact.occurred_at >= since)
        ]

    def _run(self, matches: Matches) -> StepResult:
        loaded = {
            participant_id: {
                key: json.loads(self._of(participant_id).cells[key])
                for key in (wanted if matches.participants[participant_id].told is None else self._all(participant_id))
                if key in self._of(participant_id).cells
            }
            for participant_id, wanted in cells_needed(matches).items()
        }
        plan = prepare(matches, loaded)
        self.requests += len(plan.requests)
        result = step(plan, {request.participant_id: self._past(request) for request in plan.requests})
        for participant_id, changed in result.cells.items():
            self._of(participant_id).put(changed)
        return result

    def _past(self, request: HistoryRequest) -> Past:
        known = self._of(request.participant_id)
        return Past(
            [
                fact
                for fact in self._without_void(request.participant_id, request.fact_types, request.since)
                if request.until is None or fact.occurred_at < request.until
            ],
            {key: json.loads(text) for key, text in known.cells.items() if key.startswith(request.prefixes)},
            list(known.ledger) if request.ledger else [],
        )

    def _enter(self, result: StepResult) -> None:
        for effect in result.effects:
            if isinstance(effect, PointsChanged):
                known = self._of(effect.participant_id)
                seq = known.facts[effect.fact_id].seq
                known.ledger.append(LedgerEntry(effect.cause, effect.amount, effect.occurred_at, seq))


class Fold(Struct, frozen=True):
    """The result of folding facts from scratch."""

    cells: Mapping[str, Mapping[str, Cell]]
    """By participant."""
    effects: list[Effect]


def fold(game: CompiledGame, facts: Iterable[Fact]) -> Fold:
    """The state that facts lead to, folded at once in order of (occurred_at, seq), and what they caused.

    Those that are received are given, too: the facts of participants reach no others.
    """
    memory = InMemoryGame(game)
    result = memory.process_all(facts)
    return Fold({each: memory.cells(each) for each in memory.participants}, result.effects)


CHUNK = 100
"""Most facts that a story takes before its state is kept: what the on-time path can't take begins there again."""


class _StoryTeller:
    """Tells a participant's awards, fact by fact in order: on time wherever that can be."""

    def __init__(self, game: CompiledGame, participant_id: str) -> None:
        self._game = game
        self._who = participant_id
        self._memory = InMemoryGame(game)
        self._attributes = Attributes({})
        self.story = NO_STORY

    @property
    def cells(self) -> Cells:
        """The participant's, without scores."""
        return self._memory.cells(self._who)

    def take(self, facts: Sequence[Fact]) -> None:
        """Take facts in order, either one or clients' facts."""
        if _is_alone(facts[0]) or not self._take_on_time(facts):
            for fact in facts:
                known = KnownBefore(self._attributes, awards=self.story)
                self.story = self.story.after(fact, self._memory.take_one(fact, known).effects)
                self._attributes = self._attributes.changed([fact])

    def _take_on_time(self, facts: Sequence[Fact]) -> bool:
        state = new_state()
        apart = change(state, self._memory.cells(self._who), ())
        state = load_state(dumps(state))
        turn = ParticipantTurn(self._who, state["cells"], state["scores"], dict(apart))
        story = self.story
        for fact in facts:
            reading = self._game.tracks.read(self._game.seen(fact, self._attributes, story), {})
            try:
                self._game.tracks.advance(turn, [reading])
            except NotOnTime:
                return False
            story = story.after_on_time(fact, turn.effects.pop(fact.fact_id, ()))
        self.story = story
        self._memory.put(self._who, facts, {**cells_of(loads_own(dump_state(state))), **turn.apart_changed}, turn.paid)
        return True


def tell(game: CompiledGame, facts: Iterable[Fact], before: AwardStory | None) -> StoryTold:
    """The awards of a participant, told fact by fact: these are all that count, and `before` is how it was told."""
    story = sorted((fact for fact in facts if fact.fact_type != FACT_VOIDED), key=lambda fact: fact.moment)
    if not story:
        return StoryTold(NO_STORY, awards_of({}), before, story)
    teller = _StoryTeller(_without_boards(game), story[0].participant_id)
    chunk: list[Fact] = []
    for fact in story:
        if chunk and (len(chunk) == CHUNK or _is_alone(fact) or _is_alone(chunk[-1])):
            teller.take(chunk)
            chunk = []
        chunk.append(fact)
    teller.take(chunk)
    return StoryTold(teller.story, awards_of(teller.cells), before, story)


def _is_alone(fact: Fact) -> bool:
    """Whether a fact takes the step by itself: one of our own, or received."""
    return fact.sender is not None or not fact.fact_type.startswith(CUSTOM_PREFIX)


def _without_boards(game: CompiledGame) -> CompiledGame:
    """The game of which all of the past is counted, without leaderboards, which award nothing."""
    rules = {key: rule for key, rule in game.rules.items() if not key.startswith("leaderboard/")}
    listening = {
        fact_type: tuple(rule for rule in listeners if rule.key in rules)
        for fact_type, listeners in game.listening.items()
    }
    treasury = replace(game.treasury, boards=())
    tracks = lay_tracks(listening, treasury)
    return replace(game, rules=rules, listening=listening, treasury=treasury, pending=frozenset(), tracks=tracks)
