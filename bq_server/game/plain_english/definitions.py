"""Each kind of definition in sentences. A new field of one gets its sentence here, in the function of its kind.

A test changes every field of every definition: what it says must change too, or the test lists the field as silent.
"""

from collections.abc import Iterator, Sequence
from typing import assert_never

from bq_server.game.document.badges import Badge
from bq_server.game.document.challenges import (
    Challenge,
    FixedDuration,
    Milestone,
    PerpetualDuration,
    RecurringDuration,
    RollingDuration,
)
from bq_server.game.document.contests import Contest
from bq_server.game.document.criteria import BadgeCriteria, Objective
from bq_server.game.document.fields import Definition, expressions_in
from bq_server.game.document.leaderboards import Leaderboard, Season, Window
from bq_server.game.document.points import Multiplier, MultiplierPeriod, PointsRule
from bq_server.game.document.rewards import ClaimableReward
from bq_server.game.document.streaks import Freezes, Streak
from bq_server.game.document.teams import Combine, attribute_of
from bq_server.game.document.tiers import Tier
from bq_server.game.expressions.conditions import read_of_participant
from bq_server.game.expressions.participant import NOTHING
from bq_server.game.plain_english.criteria import event, goal, limits, measure
from bq_server.game.plain_english.expressions import condition, value
from bq_server.game.plain_english.phrases import (
    amount,
    between,
    counted,
    length,
    listed,
    points,
    rewards,
    times,
    titled,
    weekdays,
    zone,
)

AnyDefinition = PointsRule | Badge | Challenge | Streak | Tier | Leaderboard | ClaimableReward | Contest
_WINDOWS: dict[Window, str] = {
    "daily": "each day", "weekly": "each week", "monthly": "each month", "yearly": "each year", "all_time": "all time",
}  # fmt: skip


def heading(definition: AnyDefinition) -> str:
    """Its code, and what it is shown as."""
    named = titled(definition.code, definition.name)
    match definition:
        case Badge(rarity=rarity):
            return f"{named}, {rarity}"
        case Tier(level=level):
            return f"{named}, level {level}"
        case ClaimableReward(type=kind):
            return f"{named}, {kind.replace('_', ' ')}"
        case _:
            return named


def sentences(definition: AnyDefinition) -> Iterator[str]:
    """What it says, one thing after another."""
    match definition:
        case PointsRule():
            yield from _points(definition)
        case Badge():
            yield from _badge(definition)
        case Challenge():
            yield from _challenge(definition)
        case Streak():
            yield from _streak(definition)
        case Tier():
            yield from _tier(definition)
        case Leaderboard():
            yield from _leaderboard(definition)
        case ClaimableReward():
            yield from _reward(definition)
        case Contest():
            yield from _contest(definition)
        case _ as unknown:
            assert_never(unknown)


def _points(rule: PointsRule) -> Iterator[str]:
    said = value(rule.award)
    if said.isdecimal():
        paid = points(int(said), rule.currency)
    else:
        paid = f"{rule.currency or 'points'}: {said}, rounded down"
    yield f"Each {event(rule.on, rule.when)} gives {paid}."
    yield from _recipient(rule, rule.award_to)
    yield from _multipliers(rule.multiplier)
    yield from limits(rule)
    yield from _dates(rule)


def _multipliers(multipliers: Sequence[Multiplier]) -> Iterator[str]:
    for each in multipliers:
        held = [] if each.during is None else _during(each.during)
        held += [] if each.when is None else [f"where {condition(each.when)}"]
        yield f"Times {amount(each.by)} {', '.join(held)}."
    if len(multipliers) > 1:
        yield "Of these, all that hold are multiplied."


def _during(during: MultiplierPeriod) -> list[str]:
    days = f"on {weekdays(during.on_days)} {zone(during.timezone)}" if during.on_days else ""
    return [each for each in (days, between(during.starts_at, during.ends_at)) if each]


def _badge(badge: Badge) -> Iterator[str]:
    if badge.criteria is None:
        yield "Given by a reward or by hand."
        if badge.repeatable:
            yield "Each reward gives it once more."
    else:
        yield from _criteria(badge.criteria)
        if badge.repeatable:
            yield "Earned again at each multiple of that, and with each reward that gives it."
    yield from _recipient(badge, badge.award_to)
    yield from _revocable(revocable=badge.revocable)
    yield from _dates(badge)


def _criteria(criteria: BadgeCriteria) -> Iterator[str]:
    if criteria.levels:
        levels = listed(map(amount, criteria.levels))
        yield f"Rises a level at {levels}, measured by {measure(criteria)}."
    else:
        yield f"Takes {goal(criteria, criteria.target)}."
    yield from limits(criteria)


def _challenge(challenge: Challenge) -> Iterator[str]:
    yield _course(challenge)
    yield from _dates(challenge)
    if challenge.shared_by is not None:
        attribute = attribute_of(challenge.shared_by)
        yield f"Shared by those with the same {attribute} at the time of an event: what they do adds up."
        yield "Whatever is reached is given, once, to each who has added something, then or later."
    for objective in challenge.objectives:
        yield from _objective(objective)
    for milestone in sorted(challenge.milestones, key=lambda each: each.at):
        yield _milestone(milestone)
    met = "the objective is met" if len(challenge.objectives) == 1 else "all of them are met"
    gives = f", which gives {rewards(challenge.rewards)}" if challenge.rewards else ""
    yield f"Completed when {met}{gives}."
    yield from _revocable(revocable=challenge.revocable)


def _course(challenge: Challenge) -> str:
    """Who takes part, and when."""
    by_hand = challenge.enrolment == "explicit"
    who = "Those who enrol take part" if by_hand else "Everyone takes part"
    match challenge.duration:
        case FixedDuration(starts_at=starts_at, ends_at=ends_at):
            return f"{who}, {between(starts_at, ends_at)}."
        case RollingDuration(days=days):
            since = "their enrolment" if by_hand else "their first event that counts, or an earlier enrolment"
            return f"{who}, for {counted(days, 'day')} from {since}."
        case RecurringDuration(every=every, timezone=timezone):
            return f"{who}, anew each {every} {zone(timezone)}."
        case PerpetualDuration():
            return f"{who}, without an end."
        case _ as unknown:
            assert_never(unknown)


def _objective(objective: Objective) -> Iterator[str]:
    after = f"after {listed(objective.prerequisites)}, " if objective.prerequisites else ""
    yield f"Objective {titled(objective.code, objective.name)}: {after}{goal(objective, objective.target)}."
    for limit in limits(objective):
        yield f"Objective {objective.code}: {limit[0].lower()}{limit[1:]}"


def _milestone(milestone: Milestone) -> str:
    return f"At {amount(round(milestone.at * 100, 4))} % it gives {rewards(milestone.rewards)}."


def _streak(streak: Streak) -> Iterator[str]:
    unit = _unit(streak)
    clock = "in UTC" if streak.period == "hourly" else zone(streak.timezone)
    least = "one" if streak.required == 1 else f"{streak.required:,}"
    yield f"Counts {unit}s in a row, {clock}, with at least {least} {event(streak.on, streak.when)}."
    if streak.day_starts_at != "00:00":
        yield f"A day begins at {streak.day_starts_at}."
    if streak.on_days is not None:
        yield f"Only {weekdays(streak.on_days)} count; other days rest."
    hours = streak.grace_period_hours
    later = f"{counted(hours, 'hour')} after" if hours else "at"
    unless = ", unless a freeze covers it" if streak.freezes is not None else ""
    yield f"Lost {later} the end of the first {unit} missed{unless}."
    if streak.freezes is not None:
        yield from _freezes(streak.freezes, unit)
    for milestone in sorted(streak.milestones, key=lambda each: each.at):
        yield f"At {counted(milestone.at, unit)} it gives {rewards(milestone.rewards)}."
    yield from _dates(streak)


def _unit(streak: Streak) -> str:
    match streak.period:
        case "hourly":
            return "hour"
        case "daily":
            return "day"
        case "weekly":
            return "week"
        case "monthly":
            return "month"
        case never:
            assert_never(never)


def _freezes(freezes: Freezes, unit: str) -> Iterator[str]:
    if freezes.monthly:
        come = "comes" if freezes.monthly == 1 else "come"
        yield f"{counted(freezes.monthly, 'freeze')} {come} with each month."
    if freezes.price is not None:
        yield f"A freeze can be bought for {counted(freezes.price, 'point')}."
    yield f"A participant can hold {counted(freezes.max, 'freeze')}."
    if freezes.automatic:
        yield f"A missed {unit} takes one by itself."
    else:
        yield f"A missed {unit} takes one only if the participant says so."


def _tier(tier: Tier) -> Iterator[str]:
    yield f"Reached with {points(tier.min_points, tier.currency)} earned in all."
    if tier.benefits:
        yield f"Benefits: {'; '.join(tier.benefits)}."


_COMBINED: dict[Combine, str] = {"sum": "the sum of the scores", "mean": "the mean score", "best": "the best score"}


def _leaderboard(board: Leaderboard) -> Iterator[str]:
    ranked = f"{board.currency or 'points'} earned" if board.metric == "points" else measure(board.metric)
    leads = "lowest" if board.order == "ascending" else "highest"
    if board.group_by is None:
        yield f"Ranks by {ranked}; the {leads} leads."
    else:
        yield f"Ranks teams, which the attribute {attribute_of(board.group_by)} names, by {ranked}; the {leads} leads."
        yield f"A team's score is {_COMBINED[board.combine or 'sum']} of its members."
        yield "Whatever happens counts for the team that its participant is of at that time."
    windows = [window for window in board.window if not isinstance(window, Season)]
    if windows:
        clock = "" if windows == ["all_time"] else f", {zone(board.timezone)}"
        yield f"Kept for {listed(_WINDOWS[window] for window in windows)}{clock}."
    for season in board.seasons:
        yield f"A season runs {between(season.starts_at, season.ends_at)}."
    if len(board.window_names) > 1:
        first = board.window_names[0]
        yield f"Shown first: {'the season' if first == 'season' else _WINDOWS[first]}."
    equal = "share the rank" if board.tie == "shared" else "are ranked by who got there first"
    yield f"Equal scores {equal}."
    yield from _dates(board)


def _reward(reward: ClaimableReward) -> Iterator[str]:
    cost = points(reward.cost, reward.currency) if reward.cost else "nothing"
    yield f"Costs {cost}."
    if reward.codes:
        yield f"Each claim gets one of {counted(len(reward.codes), 'code')}, until none is left."
    elif reward.stock is not None:
        yield f"There {'is' if reward.stock == 1 else 'are'} {reward.stock:,} of it."
    if reward.limit is None:
        yield "A participant may claim it as often as they can pay."
    else:
        yield f"A participant may claim it {times(reward.limit)}."
    if dates := between(reward.starts_at, reward.ends_at):
        yield f"Can be claimed {dates}."


def _recipient(definition: Definition, award_to: str | None) -> Iterator[str]:
    if award_to is not None:
        asks = any(read_of_participant(each) != NOTHING for each in expressions_in(definition))
        who = ": they are the participant meant here" if asks else ""
        yield f"Counts for whom {value(award_to)} names, in place of the sender{who}."


def _contest(contest: Contest) -> Iterator[str]:
    yield f"Ranks those who enter by {measure(contest.scoring)}, {between(contest.starts_at, contest.ends_at)}."
    late = f"{length(contest.freeze_after)} later" if contest.freeze_after else "at once"
    yield f"The result is frozen {late}."
    for prize in contest.prizes:
        won = [counted(prize.points, "point")] if prize.points is not None else []
        if prize.badge is not None:
            won.append(f"the badge {prize.badge}")
        ranks = f"Rank {prize.rank_from:,} wins"
        if prize.rank_to != prize.rank_from:
            ranks = f"Ranks {prize.rank_from:,} to {prize.rank_to:,} win"
        yield f"{ranks} {listed(won)}."


def _dates(definition: Definition) -> Iterator[str]:
    if dates := between(definition.starts_at, definition.ends_at):
        yield f"Counts only what happened {dates}."


def _revocable(*, revocable: bool) -> Iterator[str]:
    if revocable:
        yield "Taken back when a fact is made void and it is no longer reached."
