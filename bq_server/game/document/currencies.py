"""Several kinds of points: which is the default, how each expires, and what must hold between them and definitions."""

from collections.abc import Iterable, Iterator
from typing import Any, assert_never

from bq_server.game.document.definitions import Game
from bq_server.game.document.points import Currency, Overdraft, PointsExpiry
from bq_server.game.document.rewards import BadgeReward, PointsReward, Reward

Place = tuple[int | str, ...]
"""Where in the document something is."""


def without_default(document: Any) -> Any:
    """A document that names no currency where it names the default: the two mean the same, and are one definition."""
    if not isinstance(document, dict) or not (told := document.get("currencies")) or not isinstance(told, list):
        return document
    first = told[0]
    code = first.get("code") if isinstance(first, dict) else getattr(first, "code", None)
    return document if code is None else {name: _unnamed(value, code) for name, value in document.items()}


def _unnamed(value: Any, code: Any) -> Any:
    if isinstance(value, list):
        return [_unnamed(each, code) for each in value]
    if isinstance(value, dict):
        return {name: _unnamed(each, code) for name, each in value.items() if name != "currency" or each != code}
    return value


def others(game: Game) -> list[Currency]:
    """The currencies beside the default."""
    return game.currencies[1:]


def expiries(game: Game) -> dict[str | None, PointsExpiry]:
    """When points expire, by currency, of those that do; None is the default."""
    found: dict[str | None, PointsExpiry] = {} if game.points_expire is None else {None: game.points_expire}
    return found | {each.code: each.points_expire for each in others(game) if each.points_expire is not None}


def overdraft_of(game: Game, currency: str | None) -> Overdraft:
    """Whether a void may make a balance of the currency negative; None is the default."""
    own = {each.code: each.overdraft for each in others(game)}
    return game.overdraft if currency is None else own.get(currency, "owed")


def named(game: Game, code: str | None) -> str | None:
    """The currency of a code, as facts and causes name it: None is the default. Raises `KeyError` if there is none."""
    if code is None or (game.currencies and code == game.currencies[0].code):
        return None
    if all(code != each.code for each in others(game)):
        raise KeyError(code)
    return code


def moved_default(old: Game, new: Game) -> str | None:
    """Why one game can't replace another: it has another default, to which the stored points would then belong.

    A default may get another code, which only renames it. None if there is nothing against it.
    """
    if not old.currencies or not new.currencies:
        return None
    before, after = old.currencies[0].code, new.currencies[0].code
    if any(each.code == after for each in others(old)) or any(each.code == before for each in others(new)):
        return f"{before} is the default, and can't change places with another: keep it first, or rename it"
    return None


def misnamed(game: Game, other_currencies: Iterable[str] = ()) -> Iterator[tuple[Place, str]]:
    """The places that name an unknown currency, or one where none may stand, each with what is wrong.

    `other_currencies` are codes that count as defined as well.
    """
    if game.currencies:
        default = game.currencies[0]
        if default.points_expire is not None:
            yield ("currencies", 0, "points_expire"), "is the game's points_expire for the first currency, the default"
        if default.overdraft != "owed":
            yield ("currencies", 0, "overdraft"), "is the game's overdraft for the first currency, the default"
    known = {each.code for each in game.currencies} | set(other_currencies)
    for place, code in _names(game):
        if code not in known:
            yield (*place, "currency"), f"there is no currency {code}"
    first = game.tiers[0] if game.tiers else None
    for index, tier in enumerate(game.tiers):
        if first is not None and tier.currency != first.currency:
            yield ("tiers", index), f"needs the currency of {first.code}: tiers are reached by points of one"


def _names(game: Game) -> Iterator[tuple[Place, str]]:
    """Everything that names a currency other than the default."""
    definitions: list[tuple[Place, str | None]] = [
        ((kind, index), each.currency)
        for kind in ("points", "tiers", "leaderboards", "rewards")
        for index, each in enumerate(getattr(game, kind))
    ]
    for number, challenge in enumerate(game.challenges):
        definitions += _rewards(("challenges", number, "rewards"), challenge.rewards)
        for index, milestone in enumerate(challenge.milestones):
            definitions += _rewards(("challenges", number, "milestones", index, "rewards"), milestone.rewards)
    for number, streak in enumerate(game.streaks):
        for index, reached in enumerate(streak.milestones):
            definitions += _rewards(("streaks", number, "milestones", index, "rewards"), reached.rewards)
    return ((place, code) for place, code in definitions if code is not None)


def _rewards(here: Place, rewards: Iterable[Reward]) -> list[tuple[Place, str | None]]:
    return [((*here, index), _currency(reward)) for index, reward in enumerate(rewards)]


def _currency(reward: Reward) -> str | None:
    match reward.kind:
        case PointsReward(currency=code):
            return code
        case BadgeReward():
            return None
        case never:
            assert_never(never)
