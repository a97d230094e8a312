"""The game in memory: the same phases as a database-backed caller, over dictionaries."""

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import Effect, PointsChanged
from bq_server.game.facts import Fact
from bq_server.game.match import Matches, cells_needed, match, touch
from bq_server.game.mechanics.rule import LedgerEntry
from bq_server.game.mechanics.tiers import catch_up
from bq_server.game.recipients import copies, spread
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell
from bq_server.game.step import HistoryRequest, Past, StepResult, prepare, step
from bq_server.game.voids import VoidChange, void_change


@dataclass(slots=True)
class _Participant:
    facts: dict[str, Fact] = field(default_factory=dict)
    cells: dict[str, str] = field(default_factory=dict)
    ledger: list[LedgerEntry] = field(default_factory=list)
    void: Set[str] = frozenset()
    """The ids of the void facts."""


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
        own: dict[str, dict[str, Fact]] = {}
        for fact in fresh:
            own.setdefault(fact.participant_id, {})[fact.fact_id] = fact
        voids: dict[str, VoidChange] = {}
        for participant_id, new in own.items():
            participant = self._of(participant_id)
            change = void_change(list(participant.facts.values()), list(new.values()))
            if change is not None:
                voids[participant_id] = change
                participant.void = change.after.by.keys()
        result = self._run(match(self.game, fresh, voids))
        for participant_id, new in own.items():
            self._of(participant_id).facts.update(new)
        self._enter(result)
        return result

    def refold(self, definitions: Iterable[str], participant_ids: Iterable[str] | None = None) -> StepResult:
        """Recompute definitions from the facts, for all participants or some."""
        who = list(participant_ids or self._participants)
        result = self._run(touch(self.game, who, definitions))
        self._enter(result)
        for participant_id in who:
            self._climb(participant_id)
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

    def _of(self, participant_id: str) -> _Participant:
        return self._participants.setdefault(participant_id, _Participant())

    def _run(self, matches: Matches) -> StepResult:
        loaded = {
            participant_id: {
                key: json.loads(self._of(participant_id).cells[key])
                for key in wanted
                if key in self._of(participant_id).cells
            }
            for participant_id, wanted in cells_needed(matches).items()
        }
        plan = prepare(matches, loaded)
        self.requests += len(plan.requests)
        result = step(plan, {request.participant_id: self._past(request) for request in plan.requests})
        for participant_id, changed in result.cells.items():
            cells = self._of(participant_id).cells
            for key, cell in changed.items():
                if cell is None:
                    cells.pop(key, None)
                else:
                    cells[key] = json.dumps(cell)
        return result

    def _past(self, request: HistoryRequest) -> Past:
        known = self._of(request.participant_id)
        return Past(
            [
                fact
                for fact in self.facts(request.participant_id)
                if fact.fact_type in request.fact_types
                and fact.fact_id not in known.void
                and (request.since is None or fact.occurred_at >= request.since)
                and (request.until is None or fact.occurred_at < request.until)
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


@dataclass(frozen=True, slots=True)
class Fold:
    """The result of folding facts from scratch."""

    cells: Mapping[str, Mapping[str, Cell]]
    """By participant."""
    effects: list[Effect]


def fold(game: CompiledGame, facts: Iterable[Fact]) -> Fold:
    """The state that facts lead to, folded at once in order of (occurred_at, seq), and what they caused.

    Those that are received are given, too: the facts of participants reach no others.
    """
    memory = InMemoryGame(game)
    result = memory.process_stories(facts)
    return Fold({each: memory.cells(each) for each in memory.participants}, result.effects)
