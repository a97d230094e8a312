"""The shape every mechanic has: a rule reads facts, names the cells and the history it needs, and steps."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple, assert_never

from msgspec import Struct, field
from msgspec.structs import replace
from pydantic import BaseModel

from bq_server.causes import currency_of, in_any_currency, in_currency, origin
from bq_server.game.document.fields import Definition
from bq_server.game.document.rewards import BadgeReward, PointsReward, Reward
from bq_server.game.effects import Effect, Explanation, Verdict
from bq_server.game.expressions.conditions import Variables
from bq_server.game.facts import Fact, Moment, can_be_named
from bq_server.game.mechanics.measures import Hit, PartReading
from bq_server.game.mechanics.periods import to_micros
from bq_server.game.recipients import AwardTo
from bq_server.game.state.keys import Cell, Cells, badge


class Bounds(Struct, frozen=True):
    """Which facts a definition counts at all."""

    applied_seq: int
    """Facts processed up to this one existed before the definition, and don't count; 0 counts all."""
    starts_at: int | None
    ends_at: int | None

    def admits(self, moment: Moment) -> bool:
        """Whether a fact was processed after the definition was applied, and happened within its bounds."""
        return (
            moment.seq > self.applied_seq
            and (self.starts_at is None or moment.at >= self.starts_at)
            and (self.ends_at is None or moment.at < self.ends_at)
        )


class Rewards(NamedTuple):
    """What reaching something awards. Whatever awards it unpacks it, see `RewardKind`."""

    points: int = 0
    """Of the default currency."""
    badges: tuple[str, ...] = ()
    others: tuple[tuple[str, int], ...] = ()
    """Points of other currencies, each with its code."""

    @classmethod
    def of(cls, rewards: Sequence[Reward]) -> "Rewards":
        """The total of a list of rewards."""
        badges: dict[str, None] = {}
        points: dict[str | None, int] = {None: 0}
        for reward in rewards:
            match reward.kind:
                case PointsReward(points=amount, currency=currency):
                    points[currency] = points.get(currency, 0) + amount
                case BadgeReward(badge=code):
                    badges[code] = None
                case never:
                    assert_never(never)
        return cls(
            points[None],
            tuple(badges),
            tuple((currency, amount) for currency, amount in points.items() if currency is not None),
        )


NO_REWARDS = Rewards()


class Grant(Struct, frozen=True):
    """Something reached: what it awards, once, and which fact caused it."""

    fact: Fact
    """The fact that caused it: its event time is the ledger's and determines the leaderboard window."""
    at: int
    """When it was reached in the story."""
    cause: str
    rewards: Rewards
    amount: int = 0
    """Points beside the rewards, positive or negative, of the cause's currency: a rule's award, or by hand."""
    again: bool = False
    """Whether it was given before and taken back."""


class HistoryNeed(Struct, frozen=True):
    """A rule's need to see past facts again before it can step."""

    fact_types: frozenset[str]
    since: int | None
    """From this event time on; None for all."""
    prefixes: tuple[str, ...] = ()
    """The cells under these prefixes are rewritten, so the existing ones must be known."""
    ledger: bool = False
    """Whether the points ledger must be known."""
    until: int | None = None
    """Facts from this event time on are not needed, though they may be included; None if all are."""


class LedgerEntry(Struct, frozen=True):
    """An entry of the points ledger, as the caller keeps it."""

    cause: str
    amount: int
    occurred_at: int
    """Event time of the fact that caused it, microseconds."""
    seq: int
    """Of that fact."""
    fact_id: str = ""
    """Of that fact, where it is known."""


class RuleHistory(Struct, frozen=True):
    """What a `HistoryNeed` asked for: the past as this rule reads it."""

    hits: Sequence[Hit]
    """In order, without the facts of the batch."""
    cells: Cells
    ledger: Sequence[LedgerEntry] | None
    """None if it was not requested."""
    by: Fact | None = None
    """The fact that voids others, where that is why the past is looked at: what was given may be taken back."""


class RuleOutcome(Struct):
    """What a rule's step changes and causes."""

    cells: dict[str, Cell | None] = field(default_factory=dict)
    """New values; None deletes the cell."""
    grants: list[Grant] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    explanations: list[Explanation] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """The causes of what was given and is not reached any more, where it may be taken back."""


class Rule:
    """A compiled definition. What most mechanics don't need has a default here."""

    __slots__ = ()

    key: str
    """`<kind>/<code>`."""
    fact_types: frozenset[str]
    """The types of the facts it listens to."""
    bounds: Bounds
    rewards: Rewards
    """Everything it may ever award, so that the cells of awards can be loaded beforehand."""
    award_to: AwardTo | None = None
    """Whom it awards, where that isn't the sender of the fact."""

    def listens_to(self, fact: Fact) -> bool:
        """Whether it listens to a fact where that stands: in its sender's story, or in a recipient's."""
        if fact.fact_type not in self.fact_types:
            return False
        if fact.sender is None:
            return self.award_to is None or not can_be_named(fact.fact_type)
        return self.award_to is not None and self.award_to.names(fact)

    @property
    def pays_points(self) -> bool:
        """Whether it may change the points ledger."""
        return self.rewards.points > 0 or bool(self.rewards.others)

    @property
    def applied_seq(self) -> int:
        """It counts facts after this one; 0 if it counts all."""
        return self.bounds.applied_seq

    @property
    def keeps_nothing(self) -> bool:
        """Whether each fact is taken by itself, so that one less changes nothing about others."""
        return False

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:
        """What its parts read from a fact of one of its types."""
        raise NotImplementedError

    def cells(self, hits: Sequence[Hit]) -> Iterable[str]:  # noqa: ARG002
        """The keys of the cells that a step over these hits reads; empty, unless it keeps state."""
        return ()

    def is_current(self, hits: Sequence[Hit], cells: Cells) -> bool | None:
        """Whether the cells were written under this same definition; None if there are none yet."""
        raise NotImplementedError

    def whole(self) -> HistoryNeed:
        """What computing the state from scratch needs."""
        raise NotImplementedError

    def late(self, hits: Sequence[Hit], cells: Cells) -> HistoryNeed | None:  # noqa: ARG002
        """Which past facts a step over these hits must see again; None if a late fact is added as any other."""
        return None

    def step(self, hits: Sequence[Hit], cells: Cells, history: RuleHistory | None) -> RuleOutcome:
        """Fold the hits, in order, into the state."""
        raise NotImplementedError

    def steps(self) -> list["Step"]:
        """Everything there is to reach, once, that pays something."""
        return []

    def part_name(self, part: int) -> str | None:  # noqa: ARG002
        """The name of a part, if a definition has several."""
        return None


Way = tuple[int | float | None, int | float | None]
"""A part's value and target."""


def bounds(definition: Definition, applied_seq: int) -> Bounds:
    """The bounds of a definition, in microseconds."""
    return Bounds(applied_seq, micros(definition.starts_at), micros(definition.ends_at))


def micros(moment: datetime | None) -> int | None:
    """A datetime as microseconds since the epoch."""
    return None if moment is None else to_micros(moment)


def revision(definition: BaseModel, applied_seq: int, *cosmetic: str, salt: str = "") -> str:
    """A short name for how a definition counts. A cell of another revision is recomputed when it is encountered.

    `cosmetic` names fields that don't affect counting; `salt` stands for what the definition doesn't contain.
    """
    text = definition.model_dump_json(exclude=set(cosmetic))
    return blake2b(f"{applied_seq} {salt} {text}".encode(), digest_size=6).hexdigest()


def explain(
    rule: Rule, fact: Fact, part: int, verdict: Verdict, message: str | None = None, way: Way = (None, None)
) -> Explanation:
    """An explanation, in the rule's name."""
    return Explanation(fact.fact_id, rule.key, rule.part_name(part), verdict, message, *way)


def merge(past: Sequence[Hit], batch: Sequence[Hit]) -> list[Hit]:
    """Both merged in order; a fact in both counts once."""
    known = {hit.fact.fact_id for hit in batch}
    hits = [hit for hit in past if hit.fact.fact_id not in known]
    hits.extend(batch)
    hits.sort(key=lambda hit: hit.fact.moment)
    return hits


def trigger(moment: Moment, hits: Sequence[Hit], batch: Sequence[Hit], by: Fact | None = None) -> Fact:
    """The fact that caused something reached at a moment.

    The fact at that moment, if it is in the batch or there is no batch; otherwise the newest fact of the batch before
    it, which is the late fact that changed the story. Where there is no batch, that is the one that voids others
    (`by`).
    """
    if by is not None and not batch:
        return by
    among = batch or hits
    chosen = among[0].fact
    for hit in among:
        if hit.fact.moment > moment:
            break
        chosen = hit.fact
    return chosen


def payments(cause: str, amount: int, rewards: Rewards) -> list[tuple[str | None, str, int]]:
    """What a cause pays, each with its currency, None for the default, and the cause of its entry in the ledger.

    `amount` is of the currency that the cause names, and is paid beside the rewards.
    """
    currency = currency_of(cause)
    own = amount + (rewards.points if currency is None else 0)
    others: list[tuple[str | None, str, int]] = [
        (code, in_currency(cause, code), points) for code, points in rewards.others
    ]
    return [(currency, cause, own), *others] if own else others


Step = tuple[str, str, Rewards]
"""Something to reach: its name, the cause of its award, and the award."""


class Dues(Struct, frozen=True):
    """What is still owed for steps that were given before."""

    rewards: Mapping[str, Rewards]
    """By the name of the step."""
    paid: frozenset[str]
    """The causes of what was paid for them."""

    def left(self, steps: Iterable[Step], given: Collection[str]) -> dict[str, list[str]]:
        """Of the steps that are not reached yet, and hence not `given` anew: the causes of what was paid, by name."""
        return {
            name: sorted(each for each in self.paid if in_any_currency(each) == cause)
            for name, cause, _ in steps
            if name in self.rewards and name not in given
        }


NO_DUES = Dues({}, frozenset())


def dues(
    steps: Iterable[Step], given: Mapping[str, Any], cell: Cell | None, cells: Cells, history: RuleHistory | None
) -> Dues:
    """What is owed of the steps given: their rewards were others then.

    The ledger tells where it is known. Without it, only what an earlier step over the ledger left in the `cell` under
    `owed` may still be owed: of a step that was given by another version of the game, and isn't reached in this one.
    `cells` contains the badges held.
    """
    if history is not None and history.ledger is not None:
        return still_due(steps, given, cells, history.ledger)
    owed: Mapping[str, list[str]] | None = None if cell is None else cell.get("owed")
    return _unpaid(steps, owed, cells, frozenset().union(*owed.values())) if owed else NO_DUES


def still_due(steps: Iterable[Step], given: Collection[str], cells: Cells, ledger: Iterable[LedgerEntry]) -> Dues:
    """What is owed for steps reached before their rewards were in the game.

    `cells` contains the badges held, `ledger` everything paid before.
    """
    return _unpaid(steps, given, cells, frozenset(origin(entry.cause) for entry in ledger))


def _unpaid(steps: Iterable[Step], given: Collection[str], cells: Cells, paid: frozenset[str]) -> Dues:
    owed = {
        name: Rewards(
            0 if cause in paid else points,
            tuple(code for code in badges if badge(code) not in cells),
            tuple((code, some) for code, some in others if in_currency(cause, code) not in paid),
        )
        for name, cause, (points, badges, others) in steps
        if name in given
    }
    return Dues({name: rewards for name, rewards in owed.items() if rewards != NO_REWARDS}, paid)


def reduced(grants: Iterable[Grant], steps: Iterable[Step], owed: Dues) -> list[Grant]:
    """The grants, reduced to what is still owed for their steps."""
    left = {cause: owed.rewards[name] for name, cause, _ in steps if name in owed.rewards}
    return [replace(grant, rewards=left.get(grant.cause, grant.rewards)) for grant in grants]


def again(grants: Iterable[Grant], steps: Iterable[Step], revoked: Collection[str]) -> list[Grant]:
    """The grants, where a step that was taken back before is marked as given again."""
    causes = {cause for name, cause, _ in steps if name in revoked}
    return [replace(grant, again=True) if grant.cause in causes else grant for grant in grants]
