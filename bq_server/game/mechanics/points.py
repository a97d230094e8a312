"""Points: the rules that award them, and the ledger, from which tiers and rankings by points follow."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from bq_server import causes
from bq_server.game.document.badges import Badge
from bq_server.game.document.points import PointsExpiry, PointsRule
from bq_server.game.document.tiers import Tier
from bq_server.game.effects import AwardRevoked, BadgeEarned, Effect, PointsChanged
from bq_server.game.expressions.conditions import ExpressionFailure, Formula, Variables
from bq_server.game.facts import Fact
from bq_server.game.mechanics.account import purse
from bq_server.game.mechanics.leaderboards import PointsBoardRule, scored
from bq_server.game.mechanics.measures import Condition, Hit, PartReading, fact_types, refused
from bq_server.game.mechanics.multipliers import award_of
from bq_server.game.mechanics.rule import (
    NO_REWARDS,
    Bounds,
    Grant,
    HistoryNeed,
    LedgerEntry,
    Rewards,
    Rule,
    RuleHistory,
    RuleOutcome,
    bounds,
    explain,
    merge,
    payments,
)
from bq_server.game.mechanics.tiers import climb
from bq_server.game.recipients import AwardTo, award_to
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells


class PointsRuleCompiled(Struct, Rule):
    """A points rule. It keeps no state: each fact is paid separately, once."""

    key: str
    code: str
    fact_types: frozenset[str]
    bounds: Bounds
    condition: Condition
    award: Formula
    rewards: Rewards = NO_REWARDS
    award_to: AwardTo | None = None
    currency: str | None = None
    """None is the default."""

    def cause(self, fact_id: str) -> str:
        """The cause of what a fact is paid."""
        return causes.in_currency(causes.of_points(self.code, fact_id), self.currency)

    @property
    def pays_points(self) -> bool:
        """It always does."""
        return True

    @property
    def keeps_nothing(self) -> bool:
        """The ledger knows what was paid."""
        return True

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:
        """How many points the fact is worth."""
        if not self.bounds.admits(fact.moment):
            return (PartReading(0, "outside_window"),)
        points = self.points(variables)
        if points is None or isinstance(points, ExpressionFailure):
            return (refused(0, points or False),)
        return (PartReading(0, "matched", points),)

    def points(self, variables: Variables) -> int | ExpressionFailure | None:
        """How many points a fact within the bounds is worth; None if it doesn't match."""
        holds = self.condition.holds(variables)
        return self.award.points(variables) if holds is True else holds or None

    def is_current(self, hits: Sequence[Hit], cells: Cells) -> bool | None:  # noqa: ARG002
        """What was paid stays paid: a changed rule counts from now on, unless its past is requested."""
        return True

    def whole(self) -> HistoryNeed:
        """All its facts, which of them were paid, and what is left of a limit that it had."""
        return HistoryNeed(
            self.fact_types, self.bounds.starts_at, (keys.limit(self.code), keys.members(self.key)), ledger=True
        )

    def step(self, hits: Sequence[Hit], cells: Cells, history: RuleHistory | None) -> RuleOutcome:  # noqa: ARG002
        """Pay the facts that match, except those already paid."""
        outcome = RuleOutcome()
        if history is not None:
            gone = (key for key in history.cells if key.startswith(keys.members(self.key)))
            outcome.cells.update(dict.fromkeys((*gone, *({keys.limit(self.code)} & history.cells.keys()))))
        paid = {entry.cause for entry in (history.ledger or ())} if history is not None else set()
        for hit in hits if history is None else merge(history.hits, hits):
            reading = hit.readings[0]
            cause = self.cause(hit.fact.fact_id)
            if reading.verdict == "matched" and reading.amount and cause not in paid:
                outcome.grants.append(Grant(hit.fact, hit.fact.occurred_at, cause, Rewards(), int(reading.amount)))
        for hit in hits:
            reading = hit.readings[0]
            outcome.explanations.append(explain(self, hit.fact, 0, reading.verdict, reading.message))
        return outcome


def points_rule(rule: PointsRule, applied_seq: int) -> PointsRuleCompiled:
    """Compile a points rule."""
    return PointsRuleCompiled(
        key=f"points/{rule.code}",
        code=rule.code,
        fact_types=fact_types(rule.on),
        bounds=bounds(rule, applied_seq),
        condition=Condition(rule.when),
        award=award_of(rule),
        currency=rule.currency,
        award_to=award_to(rule.award_to),
    )


class Treasury(Struct, frozen=True):
    """What follows from awards: badges held, the points ledger, tiers, and leaderboards by points."""

    badges: dict[str, Badge]
    tiers: tuple[Tier, ...]
    """In order of level."""
    boards: tuple[PointsBoardRule, ...]
    has_currencies: bool = False
    """Whether there is another currency than the default."""
    expiries: Mapping[str | None, PointsExpiry] = field(default_factory=dict)
    """When points expire, by currency, of those that do; None is the default."""

    @property
    def tier_currency(self) -> str | None:
        """Of which currency points lead to tiers; None is the default."""
        return self.tiers[0].currency if self.tiers else None

    @property
    def team_attributes(self) -> frozenset[str]:
        """The attributes whose values are the teams of leaderboards by points."""
        return frozenset(board.teams.attribute for board in self.boards if board.teams is not None)

    @property
    def revocable(self) -> frozenset[str]:
        """The codes of the badges that may be taken away."""
        return frozenset(code for code, badge in self.badges.items() if badge.revocable)

    def cells(self, facts: Iterable[Fact], badges: Iterable[str], who: Cells, *, points: bool) -> Iterable[str]:
        """The keys of the cells that awards caused by these facts may read. `who` has those of attributes."""
        for code in badges:
            yield keys.badge(code)
        if points:
            yield keys.POINTS
            yield keys.PURSES
            yield keys.TIERS
            for board in self.boards:
                for fact in facts:
                    for frame in board.frames(fact.moment, who):
                        yield frame.key(board.code)

    def pay(self, grants: Iterable[Grant], cells: Cells) -> "Payout":
        """Enter grants into the ledger, in the order of the facts that caused them."""
        payout = Payout(self, cells)
        for grant in sorted(grants, key=lambda grant: grant.fact.moment):
            payout.enter(grant)
        payout.finish()
        return payout


def held_count(held: Cell | None, cause: str, *, counted: bool) -> int | None:
    """How often a badge is held once it is given for a cause; none where that changes nothing.

    By hand it is given to who lacks it, and isn't counted: so no order of arrival makes a difference.
    """
    by_hand = causes.is_by_hand(cause)
    if held is None:
        return 0 if counted and by_hand else 1
    if not counted or by_hand:
        return None
    count: int = held.get("n", 1)
    return count + 1


class Payout(Struct):
    """A participant's awards of one batch."""

    treasury: Treasury
    before: Cells
    cells: dict[str, Cell | None] = field(default_factory=dict)
    """Those that change; none deletes."""
    effects: list[Effect] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)
    """For the ledger, as the effects tell them."""
    _newest: Fact | None = None

    def enter(self, grant: Grant) -> None:
        """Pay one grant."""
        _, badges, _ = grant.rewards
        for code in badges:
            self._give_badge(code, grant)
        for currency, cause, amount in payments(grant.cause, grant.amount, grant.rewards):
            self._enter_points(amount, grant, cause, currency)

    def finish(self) -> None:
        """Report the scores that changed."""
        if self._newest is not None:
            self.effects.extend(scored(self._newest, self.cells, int))

    def _give_badge(self, code: str, grant: Grant) -> None:
        key = keys.badge(code)
        badge = self.treasury.badges.get(code)
        held = self._cell(key)
        counted = badge is not None and badge.is_counted
        count = held_count(held, grant.cause, counted=counted)
        if count is None:
            return
        if held is not None:
            self.cells[key] = {**held, "n": count}
        else:
            uncounted = {"n": 0} if count == 0 else {}
            self.cells[key] = {"at": grant.at, "fact": grant.fact.fact_id, "cause": grant.cause, **uncounted}
        if badge is None:
            # Awarded by hand before the game knew it: held, and shown once the badge is defined.
            return
        self.effects.append(
            BadgeEarned(
                participant_id=grant.fact.participant_id,
                fact_id=grant.fact.fact_id,
                occurred_at=grant.at,
                code=code,
                name=badge.name,
                rarity=badge.rarity,
                cause=grant.cause,
                count=max(count, 1) if counted else None,
            )
        )

    def correct(self, cause: str, amount: int, fact: Fact) -> None:
        """Enter what a fact takes back or gives again."""
        currency = causes.currency_of(cause)
        points = self._purse(currency)
        points["balance"] += amount
        if (amount > 0) == causes.is_taken_back(cause):
            _lower(points, cause, amount)
        else:
            _raise(points, cause, amount)
        self._tell(points, cause, amount, fact, currency)
        if amount > 0:
            self._climb(points["earned"], fact, currency)

    def remove_badge(self, code: str, cause: str, fact: Fact) -> bool:
        """Take a badge away, if it was given for this cause; whether it was."""
        held = self._cell(keys.badge(code))
        if held is None or held["cause"] != cause:
            return False
        self.cells[keys.badge(code)] = None
        self.effects.append(
            AwardRevoked(
                participant_id=fact.participant_id,
                fact_id=fact.fact_id,
                occurred_at=fact.occurred_at,
                cause=cause,
                badge=code,
            )
        )
        return True

    def rank_anew(self, ledger: Sequence[LedgerEntry], cells: Cells, fact: Fact) -> None:
        """Compute the scores by points from the whole ledger, this payout's entries included.

        `cells` holds all their cells there are.
        """
        scores: dict[str, Cell | None] = {}
        for board in self.treasury.boards:
            known = {key: cell for key, cell in cells.items() if key.startswith(keys.every_score(board.code))}
            scores.update(board.step((), self.before, RuleHistory((), known, ledger)).cells)
        self.cells = {key: cell for key, cell in self.cells.items() if key not in scores}
        changed = {key: cell for key, cell in scores.items() if cell != cells.get(key)}
        self.cells.update(changed)
        self.effects.extend(scored(fact, changed, int))

    def _enter_points(self, amount: int, grant: Grant, cause: str, currency: str | None) -> None:
        fact = grant.fact
        points = self._purse(currency)
        points["balance"] += amount
        if amount > 0:
            _raise(points, cause, amount)
        else:
            _lower(points, cause, amount)
        cause = causes.given_again(cause, fact.fact_id) if grant.again else cause
        self._tell(points, cause, amount, fact, currency)
        if amount > 0 and not causes.is_of_transfer(cause):
            self._climb(points["earned"], fact, currency)
            self._score(amount, fact, currency)

    def _purse(self, currency: str | None) -> dict[str, int]:
        """A copy of what there is of a currency."""
        return dict(purse({key: self._cell(key) for key in (keys.POINTS, keys.PURSES)}, currency))

    def _tell(self, points: dict[str, int], cause: str, amount: int, fact: Fact, currency: str | None) -> None:
        if currency is None:
            self.cells[keys.POINTS] = points
        else:
            self.cells[keys.PURSES] = {**(self._cell(keys.PURSES) or {}), currency: points}
        self.entries.append(LedgerEntry(cause, amount, *fact.moment))
        self.effects.append(
            PointsChanged(
                participant_id=fact.participant_id,
                fact_id=fact.fact_id,
                occurred_at=fact.occurred_at,
                cause=cause,
                amount=amount,
                balance=points["balance"],
                currency=currency,
            )
        )

    def _climb(self, earned: int, fact: Fact, currency: str | None) -> None:
        if currency != self.treasury.tier_currency:
            return
        history: list[list[Any]] = [list(entry) for entry in self._cell(keys.TIERS) or ()]
        known = len(history)
        change = climb(self.treasury.tiers, history, earned, fact)
        if len(history) > known:
            self.cells[keys.TIERS] = history
        if change is not None:
            self.effects.append(change)

    def _score(self, amount: int, fact: Fact, currency: str | None) -> None:
        for board in self.treasury.boards:
            if board.currency != currency or not board.bounds.admits(fact.moment):
                continue
            for frame in board.frames(fact.moment, self.before):
                key = frame.key(board.code)
                self.cells[key] = frame.cell(board.add(self._cell(key), amount, fact.occurred_at))
                self._newest = fact

    def _cell(self, key: str) -> Cell | None:
        return self.cells.get(key, self.before.get(key))


def _raise(points: dict[str, int], cause: str, amount: int) -> None:
    """Count what was earned or received from another; less than nothing where that was taken back."""
    if not causes.is_of_transfer(cause):
        points["earned"] += amount
        return
    points["received"] = points.get("received", 0) + amount
    if not points["received"]:
        del points["received"]


def _lower(points: dict[str, int], cause: str, amount: int) -> None:
    """Count what was spent or has expired; more than nothing where that was taken back."""
    if not causes.is_of_expiry(cause):
        points["spent"] -= amount
        return
    points["expired"] = points.get("expired", 0) - amount
    if not points["expired"]:
        del points["expired"]
