"""Challenges as a participant's cells say them at a moment, ready to be serialized; see `read_models`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import At, Sometimes
from bq_server.game.facts import Moment
from bq_server.game.mechanics.challenges import ChallengeRule
from bq_server.game.mechanics.periods import period_name
from bq_server.game.mechanics.quests import COMPLETE
from bq_server.game.mechanics.recurring_challenges import RecurringChallengeRule, count, rounds_of, streaks_at
from bq_server.game.mechanics.rule import micros
from bq_server.game.read_models import MilestoneState, milestone_state
from bq_server.game.state import keys
from bq_server.game.state.keys import Cells


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
