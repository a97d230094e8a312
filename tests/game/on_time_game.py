"""The game in memory, by way of the on-time path wherever that can be taken."""

import json
from collections.abc import Iterable

from bq_server.exact_json import dumps, loads_own
from bq_server.game.attributes import Attributes
from bq_server.game.effects import Effect, PointsChanged, unpacked
from bq_server.game.facts import Fact
from bq_server.game.in_memory import InMemoryGame
from bq_server.game.known_before import story_that_goes_on
from bq_server.game.mechanics.leaderboards import NEVER_REACHED, BoardScore, LeaderboardRule, PointsBoardRule
from bq_server.game.mechanics.rule import LedgerEntry
from bq_server.game.on_time import NotOnTime, ParticipantTurn, dump_state, load_state
from bq_server.game.state.keys import AWARDS, VOIDS, Cell
from bq_server.game.state.packed import cells_of, change, new_state, score_cell
from bq_server.game.step import board_score


class OnTimeGame(InMemoryGame):
    """Counts how many facts were on time, and notes every effect and every changed place."""

    on_time = 0
    late = 0

    def adopt(self, other: InMemoryGame) -> None:
        """Go on from what another game holds."""
        for who in other.participants:
            own = self._of(who)
            own.facts = {fact.fact_id: fact for fact in other.facts(who)}
            own.cells = {key: json.dumps(cell) for key, cell in other.cells(who).items()}
            own.ledger = other.ledger(who)

    def take(self, facts: Iterable[Fact]) -> list[Effect]:
        """Take a batch of facts; answers what it caused."""
        effects: list[Effect] = []
        own: dict[str, list[Fact]] = {}
        for fact in {fact.fact_id: fact for fact in facts}.values():
            if fact.fact_id not in self._of(fact.participant_id).facts:
                own.setdefault(fact.participant_id, []).append(fact)
        for participant_id, some in own.items():
            found = self._try(participant_id, sorted(some, key=lambda fact: fact.moment))
            self.on_time += len(some) * (found is not None)
            self.late += len(some) * (found is None)
            effects += self.process(some).effects if found is None else found
        return effects

    def _try(self, participant_id: str, facts: list[Fact]) -> list[Effect] | None:
        tracks = self.game.tracks
        before = self.cells(participant_id)
        usual = all(fact.fact_type.startswith("custom.") and fact.voids is None for fact in facts)
        if not usual or VOIDS in before:
            return None
        state = new_state()
        apart = change(state, before, ())
        state = load_state(dumps(state))
        turn = ParticipantTurn(participant_id, state["cells"], state["scores"], apart)
        story = None
        if self.game.award_readers:
            is_new = not self._of(participant_id).facts
            story = story_that_goes_on(self.game, before, facts, None, is_new=is_new)
            if story is None:
                return None
        try:
            seen = [self.game.seen(fact, Attributes.of_cells(before.items()), story) for fact in facts]
            tracks.advance(turn, [tracks.read(fact, {}) for fact in seen])
        except NotOnTime:
            return None
        if story is not None:
            turn.apart_changed[AWARDS] = story.after_on_time(facts[0], turn.effects.get(facts[0].fact_id, ())).dump()
        state = loads_own(dump_state(state))
        known = self._of(participant_id)
        after: dict[str, Cell] = {**before, **self._older(turn), **cells_of(state), **turn.apart_changed}
        known.cells = {key: json.dumps(cell) for key, cell in after.items()}
        known.facts.update((fact.fact_id, fact) for fact in facts)
        self._check_places(participant_id, before, after, turn)
        effects = [
            unpacked(each, fact.fact_id, participant_id, fact.occurred_at)
            for fact in facts
            for each in json.loads(json.dumps(turn.effects.get(fact.fact_id, [])))
        ]
        paid = [effect for effect in effects if isinstance(effect, PointsChanged)]
        assert [(each.amount, each.balance, each.fact.fact_id) for each in turn.paid] == [
            (each.amount, each.balance, each.fact_id) for each in paid
        ]
        known.ledger += [
            LedgerEntry(each.cause, each.amount, each.occurred_at, known.facts[each.fact_id].seq) for each in paid
        ]
        return effects

    def _older(self, turn: ParticipantTurn) -> dict[str, Cell]:
        """The scores of periods that are not the newest any more: they are kept as places."""
        found = {}
        for (board, window, period), (told, at, exact) in turn.places.items():
            rule = self.game.rules[board]
            if isinstance(rule, LeaderboardRule | PointsBoardRule):
                told = rule.order.turned(told)
                score = rule.untold(told, exact) if isinstance(rule, LeaderboardRule) else int(told)
                reached = None if at == NEVER_REACHED else at
                found[f"score/{rule.code}/{window}/{period}"] = score_cell(rule.revision, score, reached)
        return found

    def _check_places(
        self, participant_id: str, before: dict[str, Cell], after: dict[str, Cell], turn: ParticipantTurn
    ) -> None:
        """The places noted are those that the changed cells give."""
        changed = {key: cell for key, cell in after.items() if before.get(key) != cell}
        given = {key: board_score(self.game, participant_id, key, cell) for key, cell in changed.items()}
        noted = {
            key: BoardScore(participant_id, *key, score, at, exact) for key, (score, at, exact) in turn.places.items()
        }
        for key, each in given.items():
            known = board_score(self.game, participant_id, key, before[key]) if key in before else None
            if each is not None and each.score is not None and each != known:
                assert noted[each.board, each.window, each.period] == each
