"""The step: from matched facts and the cells they touch to changed cells and effects.

A caller does all its I/O in bulk between the phases: `match` the facts, load `cells_needed`, `prepare`, answer
`StepPlan.requests` with what is stored, `step`, write `StepResult.cells` and the ledger entries among its effects.
"""

import dataclasses
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct, field
from msgspec.structs import replace

from bq_server import causes
from bq_server.game.award_story import OLDER_ROUNDS, AwardStory, awards_of
from bq_server.game.compiled_game import HAND_TYPES, CompiledGame
from bq_server.game.effects import Effect, Explanation, RuleWarning
from bq_server.game.expressions.conditions import Variables
from bq_server.game.facts import (
    BadgeAwarded,
    ContestPlaced,
    Fact,
    FreezeBought,
    PointsAwarded,
    PointsDeducted,
    PointsExpired,
    PointsTransferred,
    RewardClaimed,
    SystemProperties,
    TimezoneChanged,
    VisibilityChanged,
    system_properties,
)
from bq_server.game.match import Matches, ParticipantMatches, rematch, warnings_of
from bq_server.game.mechanics.challenges import ChallengeRule
from bq_server.game.mechanics.contests import FINAL, LIVE, ContestRule
from bq_server.game.mechanics.leaderboards import NEVER_REACHED, BoardScore, LeaderboardRule, PointsBoardRule
from bq_server.game.mechanics.periods import period_name
from bq_server.game.mechanics.recurring_challenges import RecurringChallengeRule
from bq_server.game.mechanics.rule import Grant, HistoryNeed, LedgerEntry, Rewards, RuleHistory
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells
from bq_server.game.void_payout import past_of_voids, pay_with_voids

__all__ = ["HistoryRequest", "Past", "StepPlan", "StepResult", "prepare", "step"]


class HistoryRequest(Struct, frozen=True):
    """What must be known about a participant's past before the step."""

    participant_id: str
    fact_types: frozenset[str]
    """Facts of these types, in order of (occurred_at, seq); they may include those of the batch or not."""
    since: int | None
    """From this event time on, in microseconds; None for all."""
    prefixes: tuple[str, ...]
    """All cells whose keys start with one of these."""
    ledger: bool
    """All entries of the points ledger from before this batch."""
    until: int | None = None
    """Facts before this event time, in microseconds, are enough; None for all."""


class Past(Struct, frozen=True):
    """The answer to a `HistoryRequest`."""

    facts: Sequence[Fact] = ()
    cells: Cells = field(default_factory=dict)
    ledger: Sequence[LedgerEntry] = ()


class StepPlan(Struct):
    """Everything that a step needs except the past."""

    matches: Matches
    cells: Mapping[str, Cells]
    needs: dict[str, dict[str, HistoryNeed]]
    """By participant and key of the rule."""

    @property
    def requests(self) -> list[HistoryRequest]:
        """What to ask the store; at most one request per participant, and seldom any."""
        return [_request(participant_id, list(each.values())) for participant_id, each in self.needs.items()]


class StepResult(Struct):
    """What to write and to report."""

    game: CompiledGame
    cells: dict[str, dict[str, Cell | None]] = field(default_factory=dict)
    """The changed cells, by participant; None deletes one."""
    effects: list[Effect] = field(default_factory=list)
    explanations: list[Explanation] = field(default_factory=list)
    warnings: list[RuleWarning] = field(default_factory=list)

    def add(self, other: "StepResult") -> None:
        """Add what a batch after this one changes and causes."""
        for participant_id, cells in other.cells.items():
            self.cells.setdefault(participant_id, {}).update(cells)
        self.effects += other.effects
        self.explanations += other.explanations
        self.warnings += other.warnings

    @property
    def board_scores(self) -> Iterator[BoardScore]:
        """The places in rankings that changed."""
        for participant_id, changed in self.cells.items():
            for key, cell in changed.items():
                found = board_score(self.game, participant_id, key, cell)
                if found is not None:
                    yield found


def prepare(matches: Matches, cells: Mapping[str, Cells]) -> StepPlan:
    """The third phase: find out which part of the past the step must see.

    `cells` contains, by participant, those cells of `cells_needed` that exist.
    """
    needs: dict[str, dict[str, HistoryNeed]] = {}
    for own in matches.participants.values():
        needed = dict(_needs(matches.game, own, cells.get(own.participant_id, {})))
        if own.voiding is not None:
            needed[keys.VOIDS] = past_of_voids(matches.game.treasury)
        if own.told is not None:
            needed[keys.AWARDS] = HistoryNeed(frozenset(), None, (OLDER_ROUNDS,))
        if needed:
            needs[own.participant_id] = needed
    return StepPlan(matches, cells, needs)


def step(plan: StepPlan, past: Mapping[str, Past] | None = None) -> StepResult:
    """The last phase: what the batch changes and causes.

    `past` answers `StepPlan.requests`, by participant. Raises `ValueError` if an answer is missing.
    """
    matches = plan.matches
    result = StepResult(matches.game, explanations=list(matches.explanations), warnings=list(matches.warnings))
    for own in plan.matches.participants.values():
        needs = plan.needs.get(own.participant_id, {})
        known = (past or {}).get(own.participant_id)
        if needs and known is None:
            raise ValueError(f"the step needs the past of {own.participant_id}, see Plan.requests")
        _step_participant(result, own, plan.cells.get(own.participant_id, {}), needs, known or Past())
    return result


def board_score(game: CompiledGame, participant_id: str, key: str, cell: Cell | None) -> BoardScore | None:
    """A participant's place in a ranking according to a cell; None for a cell without one."""
    kind, _, rest = key.partition("/")
    if kind == "score":
        code, window, period = rest.split("/")
        board = f"leaderboard/{code}"
        if cell is None:
            return BoardScore(participant_id, board, window, period, None, None)
        rule = game.rules.get(board)
        score, exact = rule.told(cell["score"]) if isinstance(rule, LeaderboardRule) else (cell["score"], None)
        reached_at = NEVER_REACHED if cell["at"] is None else cell["at"]
        return BoardScore(participant_id, board, window, period, game.order_of(board).turned(score), reached_at, exact)
    if kind in ("contest", "placed"):
        return _contest_standing(game, participant_id, key, cell)
    if kind == "past":
        return _round_standing(game, participant_id, rest, cell)
    if kind == "challenge":
        rule = game.rules.get(key)
        if isinstance(rule, RecurringChallengeRule):
            return None
        if cell is None or not isinstance(rule, ChallengeRule):
            return BoardScore(participant_id, key, "all_time", "all_time", None, None)
        fraction, reached_at = rule.place(cell)
        score = None if reached_at is None else float(fraction)
        return BoardScore(participant_id, key, "all_time", "all_time", score, reached_at)
    return None


def _contest_standing(game: CompiledGame, participant_id: str, key: str, cell: Cell | None) -> BoardScore | None:
    kind, _, code = key.partition("/")
    board, name = f"contest/{code}", LIVE if kind == "contest" else FINAL
    rule = game.rules.get(board)
    if cell is None:
        return BoardScore(participant_id, board, name, name, None, None)
    if not isinstance(rule, ContestRule):
        return None
    score = rule.measure.shown(cell["score"]) if kind == "contest" else -cell["rank"]
    return BoardScore(participant_id, board, name, name, score, NEVER_REACHED if cell["at"] is None else cell["at"])


def _round_standing(game: CompiledGame, participant_id: str, rest: str, cell: Cell | None) -> BoardScore | None:
    board, every, number = rest.rsplit("/", 2)
    rule = game.rules.get(board)
    if not isinstance(rule, RecurringChallengeRule) or rule.every != every:
        return None
    period = period_name(int(number), rule.every)
    fraction, reached_at = (Fraction(0), None) if cell is None else rule.challenge.place(cell)
    score = None if reached_at is None else float(fraction)
    return BoardScore(participant_id, board, rule.window, period, score, reached_at)


def _needs(game: CompiledGame, own: ParticipantMatches, cells: Cells) -> Iterator[tuple[str, HistoryNeed]]:
    voiding = own.voiding is not None
    asked = own.touched or voiding or keys.POINTS in cells or keys.PURSES in cells
    boards = [rule.key for rule in game.treasury.boards] if asked else []
    for key in dict.fromkeys((*own.hits, *own.touched, *boards)):
        rule = game.rules[key]
        hits = own.hits.get(key, ())
        current = rule.is_current(hits, cells)
        # Awards of a recomputed past may fall into any window, so their leaderboards are rewritten too.
        anew = (own.touched or voiding) and (key in own.touched or key in boards)
        if anew or current is False or (current is None and key in game.pending):
            yield key, rule.whole()
        elif voiding and rule.keeps_nothing:
            yield key, HistoryNeed(frozenset(), None, ledger=True)
        elif hits:
            late = rule.late(hits, cells)
            if late is not None:
                yield key, late


def _request(participant_id: str, needs: Sequence[HistoryNeed]) -> HistoryRequest:
    starts = [need.since for need in needs if need.fact_types]
    ends = [need.until for need in needs if need.fact_types]
    return HistoryRequest(
        participant_id,
        frozenset().union(*(need.fact_types for need in needs)),
        None if None in starts else min((each for each in starts if each is not None), default=None),
        tuple(dict.fromkeys(prefix for need in needs for prefix in need.prefixes)),
        any(need.ledger for need in needs),
        None if None in ends else max((each for each in ends if each is not None), default=None),
    )


def _step_participant(
    result: StepResult, own: ParticipantMatches, stored: Cells, needs: Mapping[str, HistoryNeed], past: Past
) -> None:
    game = result.game
    cells: dict[str, Cell] = {**past.cells, **stored}
    changed: dict[str, Cell | None] = {}
    effects: list[Effect] = []
    voiding = own.voiding
    zones = _timeline(own, cells.get(keys.ZONE, []), TimezoneChanged, "timezone")
    if zones != cells.get(keys.ZONE, []):
        cells[keys.ZONE] = zones
        changed[keys.ZONE] = zones or None
    hidden = _timeline(own, cells.get(keys.HIDDEN, []), VisibilityChanged, "hidden")
    if hidden != cells.get(keys.HIDDEN, []):
        changed[keys.HIDDEN] = hidden or None
    if own.attributes is not None:
        changed.update(own.attributes.cells(own.attributes_changed))
        cells |= {key: cell for key, cell in own.attributes.cells(game.treasury.team_attributes) if cell is not None}
    places = {fact.fact_id: place for place, fact in enumerate(own.facts)}
    if own.void_change is not None and own.void_change.cell != cells.get(keys.VOIDS):
        changed[keys.VOIDS] = own.void_change.cell
    grants = list(_by_hand(own.facts if voiding is None else [*own.facts, *voiding.restored]))
    lost: list[str] = []
    variables: dict[str, Variables] = {}
    for key in sorted((own.hits.keys() | needs.keys()) - {keys.VOIDS, keys.AWARDS}, key=game.places.__getitem__):
        rule = game.rules[key]
        if voiding is not None and isinstance(rule, PointsBoardRule):
            continue  # it follows from the ledger that is still to be corrected
        need = needs.get(key)
        history = None
        if need is not None:
            facts = [fact for fact in past.facts if need.since is None or fact.occurred_at >= need.since]
            under = {name: cell for name, cell in past.cells.items() if name.startswith(need.prefixes)}
            hits = rematch(game, rule, facts, variables, own.attributes, own.awards)
            if key in own.touched:
                result.warnings.extend(warnings_of(rule, hits, own.warn_until))
            by = voiding.by if voiding is not None and key in own.touched else None
            history = RuleHistory(hits, under, past.ledger if need.ledger else None, by)
        seen: Cells = cells
        if history is not None and voiding is None and key in own.touched and key in own.hits:
            # A late hit alone asks for less of the past: told by its revision, everything is computed from scratch.
            seen = {**cells, **_of_another_revision(cells, rule.cells(own.hits[key]))}
            history = replace(history, cells={**history.cells, **_of_another_revision(history.cells, history.cells)})
        outcome = rule.step(own.hits.get(key, ()), seen, history)
        changed.update(outcome.cells)
        effects.extend(outcome.effects)
        grants.extend(outcome.grants)
        lost.extend(outcome.lost)
        # A fact that counts again is explained no more.
        result.explanations.extend(
            each if rule.award_to is None else dataclasses.replace(each, participant_id=own.participant_id)
            for each in outcome.explanations
            if each.fact_id in places
        )
    for key, cell in changed.items():
        if cell is None:
            cells.pop(key, None)
        else:
            cells[key] = cell
    if voiding is None:
        payout = game.treasury.pay(grants, cells)
        if needs and grants:
            places |= _places_of_others(own.facts, grants, places)
    else:
        payout = pay_with_voids(game, voiding, grants, lost, cells, past.ledger, past.cells, past.facts, places)
    changed.update(payout.cells)
    effects.extend(payout.effects)
    if own.awards is not None and (own.facts or own.told is not None):
        changed[keys.AWARDS] = _story(own, own.awards, effects, {**cells, **payout.cells})
    effects.sort(key=lambda effect: places.get(effect.fact_id, 0))
    result.effects.extend(effects)
    if changed:
        result.cells[own.participant_id] = changed


def _places_of_others(facts: Sequence[Fact], grants: Iterable[Grant], places: Mapping[str, int]) -> dict[str, int]:
    """Where facts of the past stand that give something only now: among those of the batch, as the payout had them."""
    moments = [fact.moment for fact in facts]
    others = {grant.fact.fact_id: grant.fact for grant in grants if grant.fact.fact_id not in places}
    return {fact_id: bisect_right(moments, fact.moment) - 1 for fact_id, fact in others.items()}


def _of_another_revision(cells: Cells, names: Iterable[str]) -> dict[str, Cell]:
    """Those of the named cells that have a revision, as of a definition that counted otherwise."""
    found = {name: cells[name] for name in names if name in cells}
    return {name: {**cell, "rev": ""} for name, cell in found.items() if isinstance(cell, dict) and "rev" in cell}


def _story(own: ParticipantMatches, story: AwardStory, effects: Sequence[Effect], cells: Cells) -> Cell:
    """The cell of what conditions see of awards. `cells` are those after the step, None for none."""
    told = own.told
    if told is None:
        return story.after(own.facts[-1], effects).dump()
    held = awards_of({key: cell for key, cell in cells.items() if cell is not None})
    return replace(story, is_held=held == told.awards).dump()


def _timeline(own: ParticipantMatches, stored: Sequence[Cell], by: type[SystemProperties], what: str) -> list[Cell]:
    """What system facts say, in the order of event time: with those of the batch, and without void ones."""
    told = {(at, seq): each for at, seq, each in stored}
    voiding = own.voiding
    for fact in () if voiding is None else voiding.struck:
        told.pop(fact.moment, None)
    for fact in own.facts if voiding is None else (*own.facts, *voiding.restored):
        properties = system_properties(fact)
        if isinstance(properties, by):
            told[fact.moment] = getattr(properties, what)
    return [[*moment, each] for moment, each in sorted(told.items())]


def _by_hand(facts: Sequence[Fact]) -> Iterator[Grant]:
    for fact in facts:
        if fact.fact_type in HAND_TYPES:
            cause = causes.by_hand(fact.fact_id)
            match system_properties(fact):
                case PointsExpired(amount=amount, currency=currency):
                    expired = causes.in_currency(causes.of_expiry(fact.fact_id), currency)
                    yield Grant(fact, fact.occurred_at, expired, Rewards(), -amount)
                case RewardClaimed(cost=cost, currency=currency):
                    claimed = causes.in_currency(causes.of_claim(fact.fact_id), currency)
                    yield Grant(fact, fact.occurred_at, claimed, Rewards(), -cost)
                case PointsTransferred(recipient_id=recipient) if fact.meant(recipient) == fact.author:
                    pass  # given to oneself, perhaps under another name: nobody would receive it
                case PointsTransferred(amount=amount, currency=currency):
                    given = causes.in_currency(causes.of_transfer(fact.fact_id), currency)
                    change = -amount if fact.sender is None else amount
                    yield Grant(fact, fact.occurred_at, given, Rewards(), change)
                case PointsDeducted(amount=amount, currency=currency):
                    yield Grant(fact, fact.occurred_at, causes.in_currency(cause, currency), Rewards(), -amount)
                case FreezeBought(price=price) if price:
                    yield Grant(fact, fact.occurred_at, cause, Rewards(), -price)
                case PointsAwarded(amount=amount, currency=currency):
                    yield Grant(fact, fact.occurred_at, causes.in_currency(cause, currency), Rewards(), amount)
                case ContestPlaced(points=points, badge=code) if points or code is not None:
                    yield Grant(fact, fact.occurred_at, cause, Rewards(badges=() if code is None else (code,)), points)
                case BadgeAwarded(badge_code=code):
                    yield Grant(fact, fact.occurred_at, cause, Rewards(badges=(code,)))
                case _:
                    pass
