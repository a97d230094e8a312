"""Read models: what a participant's cells say at a moment, ready to be serialized.

Each takes the participant's cells (`state_keys` names those to load) and returns plain dataclasses; moments are
microseconds, ISO 8601 in JSON. Nothing here reads a clock: `now` is passed in.
"""

from dataclasses import dataclass

from bq_server.game.compiled_game import CompiledGame
from bq_server.game.document.currencies import overdraft_of
from bq_server.game.effects import At, Sometimes
from bq_server.game.mechanics.account import purse
from bq_server.game.mechanics.badges import BadgeRule
from bq_server.game.mechanics.counted_badges import CountedBadgeRule
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
class MilestoneState:
    """A milestone on the way."""

    at: float
    reached: bool
    reached_at: At | None


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


def milestone_state(at: float, given: dict[str, list[int]]) -> MilestoneState:
    """A milestone, given when each step of its rule was given."""
    reached = given.get(str(at))
    return MilestoneState(at, reached is not None, reached[0] if reached is not None else None)
