"""What must hold between definitions: unique codes, existing badges, no circular prerequisites, consistent tiers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NoReturn, assert_never

from msgspec import Struct
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from bq_server.game.document.challenges import Challenge, Milestone
from bq_server.game.document.contests import Contest
from bq_server.game.document.criteria import MAX_INLINE_MEMBERS, Criteria, Objective
from bq_server.game.document.currencies import misnamed
from bq_server.game.document.definitions import Game
from bq_server.game.document.leaderboards import Leaderboard
from bq_server.game.document.rewards import BadgeReward, PointsReward, Reward
from bq_server.game.document.streaks import StreakMilestone

Location = tuple[int | str, ...]


class Inconsistency(Struct, frozen=True):
    """A mistake between definitions, and the place in the document where it is best corrected."""

    location: Location
    message: str


def inconsistencies(
    game: Game, other_badges: Iterable[str] = (), other_currencies: Iterable[str] = ()
) -> Iterator[Inconsistency]:
    """Every mistake between the definitions of a game.

    `other_badges` and `other_currencies` are codes that count as defined as well.
    """
    kinds = ("points", "badges", "challenges", "streaks", "tiers", "leaderboards", "rewards", "currencies", "contests")
    for kind in kinds:
        yield from _repeated((kind,), getattr(game, kind))
    badges = {badge.code for badge in game.badges} | set(other_badges)
    for index, badge in enumerate(game.badges):
        if badge.criteria is not None:
            yield from _limited(("badges", index, "criteria", "target"), badge.criteria)
    for index, challenge in enumerate(game.challenges):
        here: Location = ("challenges", index)
        yield from _challenge(here, challenge)
        yield from _dangling((*here, "rewards"), challenge.rewards, badges)
        yield from _milestones(here, challenge.milestones, badges)
    for index, streak in enumerate(game.streaks):
        yield from _milestones(("streaks", index), streak.milestones, badges)
    for index, contest in enumerate(game.contests):
        yield from _prizes(("contests", index), contest, badges)
    for index, board in enumerate(game.leaderboards):
        yield from _windows(("leaderboards", index, "window"), board)
    yield from _tiers(game)
    yield from (Inconsistency(place, message) for place, message in misnamed(game, other_currencies))


def refuse_inconsistencies(game: Game) -> None:
    """Raise Pydantic's `ValidationError`, with a location for each, if definitions contradict each other."""
    found = list(inconsistencies(game))
    if found:
        _refuse(found)


def _refuse(found: Sequence[Inconsistency]) -> NoReturn:
    raise ValidationError.from_exception_data(
        "Game",
        [
            InitErrorDetails(
                type=PydanticCustomError("inconsistent", "{problem}", {"problem": each.message}),
                loc=each.location,
                input=None,
            )
            for each in found
        ],
    )


def _repeated(parent: Location, definitions: Sequence[object]) -> Iterator[Inconsistency]:
    seen: set[str] = set()
    for index, definition in enumerate(definitions):
        code = getattr(definition, "code", "")
        if code in seen:
            yield Inconsistency((*parent, index, "code"), f"the code {code} is used twice")
        seen.add(code)


def _dangling(parent: Location, rewards: Sequence[Reward], badges: set[str]) -> Iterator[Inconsistency]:
    for index, reward in enumerate(rewards):
        match reward.kind:
            case BadgeReward(badge=code):
                if code not in badges:
                    yield Inconsistency((*parent, index, "badge"), f"there is no badge {code}")
            case PointsReward():
                pass  # whether there is the currency is looked at for all that names one
            case never:
                assert_never(never)


def _prizes(parent: Location, contest: Contest, badges: set[str]) -> Iterator[Inconsistency]:
    for index, prize in enumerate(contest.prizes):
        if prize.badge is not None and prize.badge not in badges:
            yield Inconsistency((*parent, "prizes", index, "badge"), f"there is no badge {prize.badge}")


def _milestones(
    parent: Location, milestones: Sequence[Milestone | StreakMilestone], badges: set[str]
) -> Iterator[Inconsistency]:
    seen: set[float] = set()
    for index, milestone in enumerate(milestones):
        here = (*parent, "milestones", index)
        if milestone.at in seen:
            yield Inconsistency((*here, "at"), f"there are two milestones at {milestone.at}")
        seen.add(milestone.at)
        yield from _dangling((*here, "rewards"), milestone.rewards, badges)


def _challenge(here: Location, challenge: Challenge) -> Iterator[Inconsistency]:
    yield from _repeated((*here, "objectives"), challenge.objectives)
    known = {objective.code: objective for objective in challenge.objectives}
    if challenge.duration.type == "recurring" and challenge.enrolment == "explicit":
        yield Inconsistency((*here, "enrolment"), "must be automatic: everyone takes part in a recurring challenge")
    for index, objective in enumerate(challenge.objectives):
        if challenge.duration.type == "recurring" and objective.is_limited:
            message = "can't have a limit or a cooldown in a recurring challenge"
            yield Inconsistency((*here, "objectives", index), message)
    if challenge.duration.type == "recurring" and challenge.revocable:
        yield Inconsistency((*here, "revocable"), "must be false: the rounds of a recurring challenge stay completed")
    if challenge.shared_by is not None:
        yield from _shared(here, challenge)
    for index, objective in enumerate(challenge.objectives):
        place = (*here, "objectives", index)
        for number, code in enumerate(objective.prerequisites):
            if code not in known:
                yield Inconsistency(
                    (*place, "prerequisites", number), f"there is no objective {code} in this challenge"
                )
        if _leads_to(objective.code, objective.code, known):
            yield Inconsistency((*place, "prerequisites"), f"the objective {objective.code} waits for itself")
        if challenge.depends_on_order and objective.aggregate == "distinct" and objective.target > MAX_INLINE_MEMBERS:
            yield Inconsistency(
                (*place, "target"),
                f"can be at most {MAX_INLINE_MEMBERS} for distinct if order matters "
                "(prerequisites, explicit enrolment, a rolling or recurring duration, or a limit)",
            )
        else:
            yield from _limited((*place, "target"), objective)


def _shared(here: Location, challenge: Challenge) -> Iterator[Inconsistency]:
    """What a challenge shared by a group can't have: anything that depends on the order of its members' events."""
    if challenge.enrolment == "explicit":
        yield Inconsistency((*here, "enrolment"), "must be automatic: the members of a group share a challenge")
    if challenge.duration.type not in ("fixed", "perpetual"):
        yield Inconsistency((*here, "duration", "type"), "must be fixed or perpetual in a shared challenge")
    if challenge.revocable:
        yield Inconsistency((*here, "revocable"), "must be false: what a group has reached stays reached")
    for index, objective in enumerate(challenge.objectives):
        place = (*here, "objectives", index)
        if index:
            yield Inconsistency(place, "is one too many: a shared challenge has one objective")
        if objective.aggregate not in ("count", "sum"):
            yield Inconsistency((*place, "aggregate"), "must be count or sum in a shared challenge")
        if objective.is_limited:
            yield Inconsistency(place, "can't have a limit or a cooldown in a shared challenge")


def _limited(target: Location, criteria: Criteria) -> Iterator[Inconsistency]:
    """What is counted of each object is kept in one place, and so is limited itself."""
    if not criteria.is_limited or criteria.target <= MAX_INLINE_MEMBERS:
        return
    if criteria.limit is not None and criteria.limit.by is not None:
        yield Inconsistency(target, f"can be at most {MAX_INLINE_MEMBERS} where the limit is by something")
    elif criteria.aggregate == "distinct":
        yield Inconsistency(target, f"can be at most {MAX_INLINE_MEMBERS} for distinct with a limit")


def _windows(here: Location, board: Leaderboard) -> Iterator[Inconsistency]:
    if len(set(board.window)) < len(board.window):
        yield Inconsistency(here, "names a window twice")
    for earlier, later in pairwise(board.seasons):
        if later.starts_at < earlier.ends_at and later != earlier:
            yield Inconsistency(
                (*here, board.window.index(later), "starts_at"),
                "is before the season before it has ended: of each leaderboard there is one at a time",
            )


def _leads_to(start: str, goal: str, known: Mapping[str, Objective]) -> bool:
    seen: set[str] = set()
    waiting = list(known[start].prerequisites)
    while waiting:
        code = waiting.pop()
        if code == goal:
            return True
        if code in known and code not in seen:
            seen.add(code)
            waiting.extend(known[code].prerequisites)
    return False


def _tiers(game: Game) -> Iterator[Inconsistency]:
    levels: dict[int, str] = {}
    thresholds: dict[int, str] = {}
    for index, tier in enumerate(game.tiers):
        if tier.level in levels:
            yield Inconsistency(("tiers", index, "level"), f"{levels[tier.level]} also has the level {tier.level}")
        if tier.min_points in thresholds:
            yield Inconsistency(
                ("tiers", index, "min_points"),
                f"overlaps {thresholds[tier.min_points]}, which starts at the same points",
            )
        levels.setdefault(tier.level, tier.code)
        thresholds.setdefault(tier.min_points, tier.code)
    ranked = sorted(enumerate(game.tiers), key=lambda entry: entry[1].level)
    for (_, lower), (index, higher) in pairwise(ranked):
        if higher.level > lower.level and higher.min_points < lower.min_points:
            yield Inconsistency(
                ("tiers", index, "min_points"),
                f"needs fewer points than {lower.code}, which is a lower level",
            )
