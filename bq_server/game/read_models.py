"""Read models: what a participant's cells say at a moment, ready to be serialized.

Each takes the participant's cells (`state_keys` names those to load) and returns plain dataclasses; moments are
microseconds, ISO 8601 in JSON. Nothing here reads a clock: `now` is passed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bq_server.game.compiled_game import CompiledGame
from bq_server.game.document.currencies import overdraft_of
from bq_server.game.effects import At, Sometimes
from bq_server.game.facts import Moment
from bq_server.game.mechanics.account import purse
from bq_server.game.mechanics.badges import BadgeRule
from bq_server.game.mechanics.challenges import ChallengeRule
from bq_server.game.mechanics.counted_badges import CountedBadgeRule
from bq_server.game.mechanics.periods import period_name
from bq_server.game.mechanics.quests import COMPLETE
from bq_server.game.mechanics.recurring_challenges import RecurringChallengeRule, count, rounds_of, streaks_at
from bq_server.game.mechanics.rule import micros
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells

FAR_SEQ = 2**63
"""Beyond every fact's `seq`."""


@dataclass(frozen=True, slots=True)
class CurrencyState:
    """The figures of one currency."""

    code: str
    name: str
    balance: int
    total_earned: int
    total_spent: int
    total_expired: int
    owed: int
    total_received: Sometimes[int] = None
    """What others gave, which isn't earned; none where nobody did."""


@dataclass(frozen=True, slots=True)
class PointsState:
    """The figures of the ledger; `total_earned` falls by nothing but what voids take back."""

    balance: int
    total_earned: int
    total_spent: int
    total_expired: int
    owed: int
    """What voids took back beyond the balance; later points go towards it first."""
    total_received: Sometimes[int] = None
    """What others gave, which isn't earned; none where nobody did."""
    currencies: Sometimes[list[CurrencyState]] = None
    """All of a game that has several, the default first, which the other figures are of."""


@dataclass(frozen=True, slots=True)
class BadgeState:
    """A badge, held or not."""

    code: str
    name: str
    description: str | None
    icon: str | None
    category: str | None
    rarity: str
    earned: bool
    earned_at: At | None
    progress: float | None
    """Towards its criteria, 0 to 1, or the next time or level; none for a badge without."""
    count: int | None
    """How often a repeatable badge was earned, or the level reached of one with levels; none for others."""
    levels: list[float] | None
    """The targets of its levels; none for a badge without."""


@dataclass(frozen=True, slots=True)
class ObjectiveState:
    """An objective; its value is never shown beyond the target."""

    code: str
    name: str | None
    value: int | float
    target: int | float
    progress: float
    completed: bool
    prerequisites: list[str]


@dataclass(frozen=True, slots=True)
class MilestoneState:
    """A milestone on the way."""

    at: float
    reached: bool
    reached_at: At | None


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group that shares a challenge."""

    name: str
    value: int | float
    """What its members have added up, beyond the target, too."""
    target: int | float
    members: int
    """How many have added something."""
    contributed: int | float
    """What the participant has added for this group."""


ChallengeStatus = Literal["not_enrolled", "upcoming", "active", "completed", "expired"]


@dataclass(frozen=True, slots=True)
class ChallengeState:
    """A participant's progress through a challenge at a moment."""

    code: str
    name: str
    description: str | None
    status: ChallengeStatus
    progress: float
    objectives: list[ObjectiveState]
    milestones: list[MilestoneState]
    enrolled_at: At | None
    """None if everyone takes part from the start."""
    starts_at: At | None
    expires_at: At | None
    completed_at: At | None
    period: str | None
    """The round that is now, of a recurring challenge, which all of this is about."""
    completions: int | None
    """How many rounds of it were completed."""
    current_streak: int | None
    """How many in a row, up to this round or the one before."""
    longest_streak: int | None
    group: Sometimes[GroupState] = None
    """That with which the participant shares the challenge now; none where they don't share it, or with nobody."""


@dataclass(frozen=True, slots=True)
class NextTier:
    """The tier above."""

    code: str
    name: str
    points_required: int
    points_remaining: int


@dataclass(frozen=True, slots=True)
class TierHeld:
    """A tier reached; `achieved_at` is None for one that needs no points."""

    code: str
    name: str
    level: int
    color: str | None
    achieved_at: At | None


@dataclass(frozen=True, slots=True)
class TierState:
    """A participant's tiers."""

    current_tier: TierHeld | None
    next_tier: NextTier | None
    tier_history: list[TierHeld]


def state_keys(game: CompiledGame) -> list[str]:
    """The keys of every cell that these read models use, beside all those under `cells.BADGES`."""
    document = game.game
    return [
        keys.POINTS,
        keys.PURSES,
        keys.TIERS,
        keys.ZONE,
        *(keys.criteria(each.code) for each in document.badges if each.criteria is not None),
        *(keys.challenge(each.code) for each in document.challenges),
        *(keys.streak(each.code) for each in document.streaks),
    ]


def read_points(game: CompiledGame, cells: Cells) -> PointsState:
    """The points balance and totals."""
    currencies = [
        CurrencyState(each.code, each.name or each.code, *_figures(game, cells, each.code if index else None))
        for index, each in enumerate(game.game.currencies)
    ]
    return PointsState(*_figures(game, cells, None), currencies or None)


def _figures(game: CompiledGame, cells: Cells, currency: str | None) -> tuple[int, int, int, int, int, int | None]:
    """The balance, what was earned, spent and has expired, is owed and was received; None is the default."""
    points = purse(cells, currency)
    owed = max(-points["balance"], 0) if overdraft_of(game.game, currency) == "owed" else 0
    expired, received = points.get("expired", 0), points.get("received")
    return points["balance"] + owed, points["earned"], points["spent"], expired, owed, received


def read_badges(game: CompiledGame, cells: Cells) -> list[BadgeState]:
    """Every badge of the game by display order, held or not; then those held that the game no longer has."""
    defined = {keys.badge(badge.code) for badge in game.game.badges}
    gone = sorted(key for key in cells if key.startswith(keys.BADGES) and key not in defined)
    return [
        BadgeState(
            badge.code,
            badge.name,
            badge.description,
            badge.icon_url,
            badge.category,
            badge.rarity,
            earned=keys.badge(badge.code) in cells,
            earned_at=(cells.get(keys.badge(badge.code)) or {}).get("at"),
            progress=_badge_progress(game, badge.code, cells),
            count=_badge_count(cells.get(keys.badge(badge.code))) if badge.is_counted else None,
            levels=badge.criteria.levels or None if badge.criteria is not None else None,
        )
        for badge in sorted(game.game.badges, key=lambda badge: badge.display_order)
    ] + [
        BadgeState(
            code,
            code,
            None,
            None,
            None,
            "common",
            earned=True,
            earned_at=cells[key]["at"],
            progress=None,
            count=None,
            levels=None,
        )
        for key in gone
        for code in [key.removeprefix(keys.BADGES)]
    ]


NO_GROUPS: Mapping[str, GroupState] = {}


def read_challenge(
    game: CompiledGame, code: str, cells: Cells, now: int, groups: Mapping[str, GroupState] = NO_GROUPS
) -> ChallengeState:
    """One challenge at a moment. Raises `KeyError` if the game has no such challenge.

    `groups` are those with which the participant shares challenges, by their codes: these have come as far as their
    group has, or as facts tell that an earlier one had.
    """
    rule = game.rules[f"challenge/{code}"]
    definition = next(each for each in game.game.challenges if each.code == code)
    rounds: dict[str, Any] = dict.fromkeys(("period", "completions", "current_streak", "longest_streak"))
    if isinstance(rule, RecurringChallengeRule):
        rounds = _rounds(rule, cells, now)
        rule = rule.round(rule.number_at(now))
    if not isinstance(rule, ChallengeRule):
        raise KeyError(code)
    cell = cells.get(rule.cell)
    state = rule.open(cell)
    given = (cell or {}).get("given", {})
    completed_at = given[COMPLETE][0] if COMPLETE in given else None
    personal = rule.explicit or rule.rolling is not None
    enrolled = state.course.enrolled if personal and state.course is not None else None
    ends = [
        each for each in (rule.bounds.ends_at, state.course.expires_at if state.course else None) if each is not None
    ]
    expires_at = min(ends, default=None)
    group = groups.get(code)
    shared = 0.0 if group is None else min(1.0, group.value / group.target)
    objectives = []
    for part, objective in enumerate(definition.objectives):
        value, target = state.progress.shown(rule.quest, part), rule.quest.targets[part]
        shown_target = rule.quest.measures[part].shown(target)
        if group is not None:
            value = max(value, min(group.value, shown_target))
        objectives.append(
            ObjectiveState(
                objective.code,
                objective.name,
                value,
                shown_target,
                progress=max(0.0, min(1.0, value / shown_target)),
                completed=state.progress.done[part] is not None,
                prerequisites=list(objective.prerequisites),
            )
        )
    return ChallengeState(
        code,
        definition.name,
        definition.description,
        _status(rule, enrolled, completed_at, expires_at, now),
        max(float(state.progress.fraction(rule.quest)), shared),
        objectives,
        [milestone_state(each.at, given) for each in sorted(definition.milestones, key=lambda each: each.at)],
        enrolled_at=enrolled.at if enrolled is not None else None,
        starts_at=rule.bounds.starts_at if rule.rolling is None else micros(definition.starts_at),
        expires_at=expires_at,
        completed_at=completed_at,
        group=group,
        **rounds,
    )


def rounds_now(game: CompiledGame, now: int) -> list[str]:
    """The keys of the cells kept apart that `read_challenge` looks at: the present rounds of recurring challenges."""
    recurring = [rule for rule in game.rules.values() if isinstance(rule, RecurringChallengeRule)]
    return [keys.challenge_round(rule.code, rule.every, rule.number_at(now)) for rule in recurring]


def _rounds(rule: RecurringChallengeRule, cells: Cells, now: int) -> dict[str, Any]:
    """What is said of all rounds of a recurring challenge."""
    number = rule.number_at(now)
    completed = rounds_of(cells.get(keys.challenge(rule.code)), rule.every)
    current, longest = streaks_at(completed, number)
    return {
        "period": period_name(number, rule.every),
        "completions": count(completed),
        "current_streak": current,
        "longest_streak": longest,
    }


def read_challenges(
    game: CompiledGame, cells: Cells, now: int, groups: Mapping[str, GroupState] = NO_GROUPS
) -> list[ChallengeState]:
    """Every challenge of the game at a moment, in the order of the document; for `groups` see `read_challenge`."""
    return [read_challenge(game, challenge.code, cells, now, groups) for challenge in game.game.challenges]


def read_tier(game: CompiledGame, cells: Cells) -> TierState:
    """The current tier, the next one, and all that were reached, oldest first."""
    tiers = game.treasury.tiers
    earned = purse(cells, game.treasury.tier_currency)["earned"]
    defined = {tier.code: tier for tier in tiers}
    history = [
        TierHeld(
            code,
            defined[code].name if code in defined else code,
            defined[code].level if code in defined else level,
            defined[code].color if code in defined else None,
            at,
        )
        for code, level, at in cells.get(keys.TIERS, ())
    ]
    reached = [held for held in history if held.code in defined]
    reached += [
        TierHeld(tier.code, tier.name, tier.level, tier.color, None)
        for tier in tiers
        if tier.min_points <= earned and tier.code not in {held.code for held in reached}
    ]
    current = max(reached, key=lambda held: held.level, default=None)
    above = next(
        (tier for tier in tiers if tier.min_points > earned and (not current or tier.level > current.level)), None
    )
    return TierState(
        current,
        NextTier(above.code, above.name, above.min_points, above.min_points - earned) if above else None,
        history,
    )


def _badge_count(cell: Cell | None) -> int:
    return 0 if cell is None else max(1, cell.get("n", 1))


def _badge_progress(game: CompiledGame, code: str, cells: Cells) -> float | None:
    rule = game.rules.get(f"badge/{code}")
    if isinstance(rule, CountedBadgeRule):
        cell = cells.get(rule.cell)
        value, target = rule.way(cell["v"] if cell is not None and cell["rev"] == rule.revision else 0)
        return 1.0 if target is None else value / target
    if not isinstance(rule, BadgeRule):
        return None
    if keys.badge(code) in cells:
        return 1.0
    return float(rule.open(cells.get(rule.cell)).progress.fraction(rule.quest))


def _status(
    rule: ChallengeRule,
    enrolled: Moment | None,
    completed_at: int | None,
    expires_at: int | None,
    now: int,
) -> ChallengeStatus:
    if completed_at is not None:
        return "completed"
    if expires_at is not None and now >= expires_at:
        return "expired"
    if rule.explicit and enrolled is None:
        return "not_enrolled"
    if rule.bounds.starts_at is not None and now < rule.bounds.starts_at:
        return "upcoming"
    return "active"


def milestone_state(at: float, given: dict[str, list[int]]) -> MilestoneState:
    """A milestone, given when each step of its rule was given."""
    reached = given.get(str(at))
    return MilestoneState(at, reached is not None, reached[0] if reached is not None else None)
