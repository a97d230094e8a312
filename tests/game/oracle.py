"""A second opinion: what a game means, computed the slow and obvious way, sharing no code with the game.

Reads the documents that `strategies` draws, and knows just the expressions used there.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from bq_server.game.facts import Fact

WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Outcome:
    earned: int = 0
    spent: int = 0
    expired: int = 0
    received: dict[str, int] = field(default_factory=dict)
    """What others gave, by currency; coins are the default."""
    purses: dict[str, list[int]] = field(default_factory=dict)
    """Of currencies other than the default, what was earned, spent and has expired."""
    badges: set[str] = field(default_factory=set)
    objectives: dict[tuple[str, str], Any] = field(default_factory=dict)
    """`met`, or the value counted."""
    completed: set[str] = field(default_factory=set)
    milestones: set[tuple[str, float]] = field(default_factory=set)
    streaks: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Length of the newest run, and of the longest."""
    hidden: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    """Of badges that are counted."""
    rounds: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of recurring challenges how many rounds were completed, and how many in a row."""
    scores: dict[tuple[str, str, str], tuple[Any, int | None]] = field(default_factory=dict)
    contests: dict[str, tuple[Any, int | None]] = field(default_factory=dict)
    """The scores of those entered, and when they were reached."""
    placed: dict[str, int] = field(default_factory=dict)
    """Ranks in frozen results."""


def play(document: dict[str, Any], applied_seq: int, facts: list[Fact]) -> Outcome:
    story = sorted(without_void(facts), key=lambda fact: (fact.occurred_at, fact.seq))
    out = Outcome()
    by_hand(story, out)
    for rule in document["points"]:
        paying = [fact for fact in matching(rule, story, applied_seq) if worth(rule, fact) > 0]
        enter(out, rule, sum(worth(rule, fact) for fact in within_limit(rule, paying, zones(story))))
    for badge in document["badges"]:
        if badge.get("repeatable") or "levels" in badge.get("criteria", {}):
            count_badge(badge, story, applied_seq, out)
        elif "criteria" in badge:
            quest = {"objectives": [{"code": "only", **badge["criteria"], "prerequisites": []}], "code": badge["code"]}
            if run_quest(quest, story, zones(story), applied_seq)[1]:
                out.badges.add(badge["code"])
    for challenge in document["challenges"]:
        run_challenge(challenge, story, applied_seq, out)
    for streak in document["streaks"]:
        run_streak(streak, story, applied_seq, out)
    for board in document["leaderboards"]:
        if board["metric"] != "points":
            windows = board["window"] if isinstance(board["window"], list) else [board["window"]]
            for window in windows:
                run_board(board, window, story, applied_seq, out)
    for contest in document.get("contests", []):
        run_contest(contest, story, applied_seq, out)
    return out


EARNED, SPENT, EXPIRED = range(3)


def enter(out: Outcome, about: dict[str, Any], points: int, kind: int = EARNED) -> None:
    """Enter points of the currency that something names; coins are the default."""
    currency = about.get("currency", "coins")
    if currency != "coins":
        if points:
            out.purses.setdefault(currency, [0, 0, 0])[kind] += points
    elif kind == EARNED:
        out.earned += points
    elif kind == SPENT:
        out.spent += points
    else:
        out.expired += points


def reward(out: Outcome, rewards: list[dict[str, Any]]) -> None:
    for each in rewards:
        enter(out, each, each.get("points", 0))


def run_contest(contest: dict[str, Any], story: list[Fact], applied_seq: int, out: Outcome) -> None:
    code, begin, end = contest["code"], micros(contest["starts_at"]), micros(contest["ends_at"])
    told = [fact for fact in story if fact.fact_type.startswith("system.contest_") and fact.seq > applied_seq]
    told = [fact for fact in told if fact.properties["contest_code"] == code]
    places = [fact.properties["rank"] for fact in told if fact.fact_type == "system.contest_placed"]
    if places:
        out.placed[code] = places[-1]
    if not any(fact.fact_type == "system.contest_entered" and fact.occurred_at < end for fact in told):
        return
    scoring = contest["scoring"]
    counted = [fact for fact in matching(scoring, story, applied_seq) if begin <= fact.occurred_at < end]
    score = total(scoring["aggregate"], [amount(scoring, fact) for fact in counted])
    moved = [fact.occurred_at for fact in counted if amount(scoring, fact) != 0]
    out.contests[code] = (score, max(moved, default=None))


def worth(rule: dict[str, Any], fact: Fact) -> int:
    points = rule["award"] if isinstance(rule["award"], int) else number(fact, "x")
    for each in rule.get("multiplier", []):
        during = each["during"]
        local = day(fact.occurred_at, ZoneInfo(during.get("timezone", "UTC")))
        begun = "starts_at" not in during or micros(during["starts_at"]) <= fact.occurred_at
        ended = "ends_at" in during and micros(during["ends_at"]) <= fact.occurred_at
        if points is not None and begun and not ended and local.strftime("%a").lower() in during.get("on_days", WEEK):
            points *= Fraction(str(each["by"]))
    return 0 if points is None else max(math.floor(points), 0)


def zones(story: list[Fact]) -> list[Fact]:
    """The facts that tell a zone there is."""
    return [
        fact
        for fact in story
        if fact.fact_type == "system.timezone_changed" and fact.properties["timezone"] in available_timezones()
    ]


def within_limit(rule: dict[str, Any], candidates: list[Fact], told: list[Fact]) -> list[Fact]:
    """Those of the facts, in order, that a limit and a cooldown let count."""
    counted: list[Fact] = []
    for fact in candidates:
        if finds_room(rule, counted, fact, told):
            counted.append(fact)
    return counted


def finds_room(rule: dict[str, Any], counted: list[Fact], fact: Fact, told: list[Fact]) -> bool:
    limit, cooldown = rule.get("limit"), rule.get("cooldown")
    mine = [each for each in counted if limit is None or about(limit, each) == about(limit, fact)]
    if limit is not None:
        same = [each for each in mine if limit_period(limit, each, told) == limit_period(limit, fact, told)]
        if len(same) >= limit["times"]:
            return False
    pause = {None: 0, "PT5H": 5, "P1D": 24}[cooldown] * 3_600_000_000
    return not any(fact.occurred_at < each.occurred_at + pause for each in mine)


def about(limit: dict[str, Any], fact: Fact) -> Any:
    return fact.properties.get("s") if "by" in limit else None


def limit_period(limit: dict[str, Any], fact: Fact, told: list[Fact]) -> Any:
    zone = limit.get("timezone", "participant")
    if zone == "participant":
        before = [each for each in told if (each.occurred_at, each.seq) <= (fact.occurred_at, fact.seq)]
        zone = before[-1].properties["timezone"] if before else "UTC"
    local = day(fact.occurred_at, ZoneInfo(zone))
    kind = {"day": "daily", "week": "weekly", "month": "monthly", "ever": None}[limit["per"]]
    return None if kind is None else period(local, kind)


def without_void(facts: list[Fact]) -> list[Fact]:
    """The facts that count: whether one that voids another counts itself is decided by those made later."""
    void: set[str] = set()
    for fact in sorted(facts, key=lambda fact: -fact.seq):
        by_id = fact.fact_type == "system.fact_voided"
        if fact.fact_id in void or not (by_id or fact.voids):
            continue
        for other in facts:
            named = other.fact_id == fact.properties["fact_id"] if by_id else other.idempotency_key == fact.voids
            voids_too = other.voids is not None or other.fact_type == "system.fact_voided"
            reaches = not voids_too or (by_id and other.seq < fact.seq)
            reaches = reaches and (by_id or other.fact_type.startswith("custom."))
            if named and reaches and other.participant_id == fact.participant_id:
                void.add(other.fact_id)
    return [fact for fact in facts if fact.fact_id not in void]


def number(fact: Fact, name: str) -> Fraction | None:
    value = fact.properties.get(name)
    return Fraction(str(value)) if isinstance(value, int | float) else None


def holds(when: str | None, fact: Fact) -> bool:
    match when:
        case None:
            return True
        case "properties.x >= 2.0":
            value = number(fact, "x")
            return value is not None and value >= 2
        case 'properties.s == "u"':
            return fact.properties.get("s") == "u"
        case "has(properties.y)":
            return "y" in fact.properties
    raise AssertionError(when)


def matching(metric: dict[str, Any], story: list[Fact], applied_seq: int) -> list[Fact]:
    return [
        fact
        for fact in story
        if fact.fact_type.startswith("custom.")
        and fact.event_name in metric["on"]
        and fact.seq > applied_seq
        and holds(metric["when"], fact)
        and amount(metric, fact) is not None
        and ("by" not in metric.get("limit", {}) or "s" in fact.properties)
    ]


def amount(metric: dict[str, Any], fact: Fact) -> Any:
    match metric.get("aggregate"):
        case "sum" | "max" | "min":
            return number(fact, "x")
        case "distinct":
            return fact.properties.get(metric["of"].removeprefix("properties."))
        case "days":
            return day(fact.occurred_at, UTC)
        case _:
            return 1


def day(at: int, zone: tzinfo) -> date:
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone).date()


def wall(at: int, zone: tzinfo) -> datetime:
    """What the wall clock shows."""
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone).replace(tzinfo=None)


def by_hand(story: list[Fact], out: Outcome) -> None:
    for fact in story:
        match fact.fact_type:
            case "system.points_awarded":
                enter(out, dict(fact.properties), fact.properties["amount"])
            case "system.points_deducted" | "system.points_transferred":
                enter(out, dict(fact.properties), fact.properties["amount"], SPENT)
            case "system.reward_claimed":
                enter(out, dict(fact.properties), fact.properties["cost"], SPENT)
            case "system.points_expired":
                enter(out, dict(fact.properties), fact.properties["amount"], EXPIRED)
            case "system.streak_freeze_bought":
                out.spent += fact.properties["price"]
            case "system.badge_awarded":
                out.badges.add(fact.properties["badge_code"])
            case "system.contest_placed":
                out.earned += fact.properties.get("points", 0)
                out.badges |= {fact.properties["badge"]} if "badge" in fact.properties else set()
            case "system.visibility_changed":
                out.hidden = fact.properties["hidden"]


def total(aggregate: str, amounts: list[Any]) -> Any:
    match aggregate:
        case "sum":
            return sum(amounts, Fraction(0))
        case "max":
            return max(amounts, default=0)
        case "min":
            return min(amounts)
        case "count":
            return len(amounts)
        case _:
            return len(set(amounts))


def run_quest(
    quest: dict[str, Any], story: list[Fact], told: list[Fact], applied_seq: int
) -> tuple[dict[str, Any], bool, set[float]]:
    """The objectives, whether all were met, and the milestones passed, over the facts that may count."""
    objectives = quest["objectives"]
    counts = {each["code"]: matching(each, story, applied_seq) for each in objectives}
    amounts: dict[str, list[Any]] = {each["code"]: [] for each in objectives}
    counted: dict[str, list[Fact]] = {each["code"]: [] for each in objectives}
    met: set[str] = set()
    passed: set[float] = set()
    for fact in story:
        before = set(met)
        for each in objectives:
            code = each["code"]
            if fact in counts[code] and code not in before and before.issuperset(each["prerequisites"]):
                if not finds_room(each, counted[code], fact, told):
                    continue
                counted[code].append(fact)
                amounts[code].append(amount(each, fact))
                if total(each["aggregate"], amounts[code]) >= each["target"]:
                    met.add(code)
        parts = [
            Fraction(1)
            if each["code"] in met
            else Fraction(min(max(total(each["aggregate"], amounts[each["code"]]), 0), each["target"])) / each["target"]
            for each in objectives
        ]
        fraction = sum(parts, Fraction(0)) / len(parts)
        passed |= {each["at"] for each in quest.get("milestones", []) if fraction >= Fraction(str(each["at"]))}
    values = {
        each["code"]: "met" if each["code"] in met else total(each["aggregate"], amounts[each["code"]])
        for each in objectives
    }
    return values, len(met) == len(objectives), passed


def count_badge(badge: dict[str, Any], story: list[Fact], applied_seq: int, out: Outcome) -> None:
    criteria, code = badge["criteria"], badge["code"]
    amounts = [amount(criteria, fact) for fact in matching(criteria, story, applied_seq)]
    if criteria["aggregate"] == "sum":
        amounts = [each for each in amounts if each >= 0]
        if not criteria.get("levels"):
            amounts = [min(each, 1000 * Fraction(str(criteria["target"]))) for each in amounts]
    value = total(criteria["aggregate"], amounts)
    levels = criteria.get("levels")
    times = sum(level <= value for level in levels) if levels else math.floor(value / criteria["target"])
    by_hand = any(
        (fact.fact_type == "system.badge_awarded" and fact.properties["badge_code"] == code)
        or (fact.fact_type == "system.contest_placed" and fact.properties.get("badge") == code)
        for fact in story
    )
    times = max(times, by_hand)
    out.counts[code] = times
    if times:
        out.badges.add(code)


def micros(moment: str) -> int:
    return int((datetime.fromisoformat(moment) - EPOCH).total_seconds()) * 10**6


def run_challenge(challenge: dict[str, Any], story: list[Fact], applied_seq: int, out: Outcome) -> None:
    code, duration = challenge["code"], challenge["duration"]
    counted = [fact for fact in story if fact.fact_type.startswith("custom.")]
    first = micros(challenge.get("starts_at", EPOCH.isoformat()))
    counted = [fact for fact in counted if first <= fact.occurred_at]
    if duration["type"] == "recurring":
        run_rounds(challenge, counted, applied_seq, out)
        return
    if duration["type"] == "fixed":
        begin, last = micros(duration["starts_at"]), micros(duration["ends_at"])
        counted = [fact for fact in counted if begin <= fact.occurred_at < last]
    entries = [
        fact
        for fact in story
        if fact.fact_type == "system.challenge_enrolled"
        and fact.properties["challenge_code"] == code
        and fact.seq > applied_seq
    ]
    if challenge["enrolment"] == "automatic":
        entries += [fact for each in challenge["objectives"] for fact in matching(each, counted, applied_seq)]
    if not entries:
        counted = []
    elif challenge["enrolment"] == "explicit" or duration["type"] == "rolling":
        start = min((fact.occurred_at, fact.seq) for fact in entries)
        end = max(start[0], first) + duration["days"] * 86400 * 10**6 if duration["type"] == "rolling" else math.inf
        counted = [fact for fact in counted if start <= (fact.occurred_at, fact.seq) and fact.occurred_at < end]
    values, completed, passed = run_quest(challenge, counted, zones(story), applied_seq)
    out.objectives.update({(code, objective): value for objective, value in values.items()})
    out.milestones |= {(code, at) for at in passed}
    for each in challenge["milestones"]:
        reward(out, each["rewards"] if each["at"] in passed else [])
    if completed:
        out.completed.add(code)
        out.badges.add("given")
        reward(out, challenge["rewards"])


def run_rounds(challenge: dict[str, Any], counted: list[Fact], applied_seq: int, out: Outcome) -> None:
    code, duration = challenge["code"], challenge["duration"]
    kind = {"day": "daily", "week": "weekly", "month": "monthly"}[duration["every"]]
    rounds: dict[int, list[Fact]] = {}
    for fact in counted:
        rounds.setdefault(period(day(fact.occurred_at, ZoneInfo(duration["timezone"])), kind), []).append(fact)
    done = []
    for number, facts in sorted(rounds.items()):
        _, completed, passed = run_quest(challenge, facts, [], applied_seq)
        for each in challenge["milestones"]:
            reward(out, each["rewards"] if each["at"] in passed else [])
        if completed:
            done.append(number)
            out.badges.add("given")
            reward(out, challenge["rewards"])
    longest = run = 0
    for number in done:
        run = run + 1 if number - 1 in done else 1
        longest = max(longest, run)
    out.rounds[code] = (len(done), longest)
    out.objectives.update({(code, each["code"]): 0 for each in challenge["objectives"]})


def run_streak(streak: dict[str, Any], story: list[Fact], applied_seq: int, out: Outcome) -> None:
    kind = streak["period"]
    zone: tzinfo = UTC if streak["timezone"] == "participant" or kind == "hourly" else ZoneInfo(streak["timezone"])
    records: list[tuple[int, datetime]] = []
    wanted = matching(streak, story, applied_seq)
    hours, minutes = streak.get("day_starts_at", "00:00").split(":")
    begins = timedelta(hours=int(hours), minutes=int(minutes))
    rest = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"} - set(streak.get("on_days") or WEEK)
    times: dict[int, int] = {}
    bought: list[int] = []
    used: set[int] = set()
    frozen_by_hand = False
    grace = timedelta(hours=streak["grace_period_hours"])
    for fact in story:
        if fact.fact_type.startswith("system.streak_freeze") and fact.seq > applied_seq:
            if fact.properties["streak_code"] == streak["code"] and "freezes" in streak:
                frozen_by_hand = True
                shown = wall(fact.occurred_at, zone) - begins
                alive = oldest_alive(shown, streak_period(shown, kind), kind, rest, grace)
                savable = next_on(alive, kind, rest)
                if fact.fact_type.endswith("bought"):
                    bought.append(savable)
                else:
                    number = streak_period(wall(fact.properties["starts_at"], zone) - begins, kind)
                    number = number if kind != "daily" or on(number, rest) else next_on(number, kind, rest)
                    used |= {number} if number >= savable else set()
        elif streak["timezone"] == "participant" and kind != "hourly" and fact in zones(story):
            zone = ZoneInfo(fact.properties["timezone"])
        elif fact in wanted:
            # The wall clock, set back so that days begin at midnight on it.
            shown = wall(fact.occurred_at, zone) - begins
            if WEEK[shown.weekday()] in rest:
                continue
            number = streak_period(shown, kind)
            times[number] = times.get(number, 0) + 1
            if times[number] >= streak.get("required", 1):
                records.append((number, shown))
    periods = sorted({each for each, _ in records})
    group = {each: each for each in periods}
    for later, shown in records:
        for earlier in periods:
            if earlier < later and shown < end_of_the_next(earlier, kind, rest) + grace:
                old, new = group[later], group[earlier]
                group = {each: new if root == old else root for each, root in group.items()}
    if "freezes" in streak and periods:
        frozen(streak["freezes"], periods, records, group, bought, used, (kind, rest, grace))
    lengths = [sum(root == each for root in group.values()) for each in set(group.values())]
    if periods:
        longest = max(lengths)
        out.streaks[streak["code"]] = (sum(root == group[periods[-1]] for root in group.values()), longest)
        for each in streak["milestones"]:
            reward(out, each["rewards"] if each["at"] <= longest else [])
    elif wanted or frozen_by_hand:
        out.streaks[streak["code"]] = (0, 0)


def frozen(
    freezes: dict[str, Any],
    periods: list[int],
    records: list[tuple[int, datetime]],
    group: dict[int, int],
    bought: list[int],
    used: set[int],
    calendar: tuple[str, set[str], timedelta],
) -> None:
    """Join the groups between which freezes cover what was missed."""
    kind, rest, grace = calendar
    have, month = 0, month_of(periods[0], kind) - 1
    waiting = sorted(bought)
    for earlier, later in pairwise(periods):
        if group[earlier] == group[later]:
            continue
        members = [each for each in periods if each >= later and group[each] == group[later]]
        reach = min(oldest_alive(shown, number, kind, rest, grace) for number, shown in records if number in members)
        last, lost = earlier, False
        while last < reach and not lost:
            missed = next_on(last, kind, rest)
            came = [each for each in waiting if each <= missed]
            waiting = waiting[len(came) :]
            have += len(came) + freezes.get("monthly", 0) * (month_of(missed, kind) - month)
            have, month = min(have, freezes["max"]), month_of(missed, kind)
            if have and (freezes.get("automatic", True) or missed in used):
                have, last = have - 1, missed
            else:
                lost = True
        if last >= reach:
            old, new = group[later], group[earlier]
            group.update({each: new if root == old else root for each, root in group.items()})


def oldest_alive(shown: datetime, number: int, kind: str, rest: set[str], grace: timedelta) -> int:
    """The oldest last period of a streak that isn't lost when the wall clock shows this."""
    oldest = number
    while shown < end_of_the_next(oldest - 1, kind, rest) + grace:
        oldest -= 1
    while kind == "daily" and not on(oldest, rest):
        oldest -= 1
    return oldest


def on(number: int, rest: set[str]) -> bool:
    return WEEK[start_of(number, "daily").weekday()] not in rest


def next_on(number: int, kind: str, rest: set[str]) -> int:
    number += 1
    while kind == "daily" and not on(number, rest):
        number += 1
    return number


def month_of(number: int, kind: str) -> int:
    begins = datetime(2000, 1, 3) + timedelta(hours=number) if kind == "hourly" else start_of(number, kind)
    return begins.year * 12 + begins.month


WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def streak_period(shown: datetime, kind: str) -> int:
    if kind == "hourly":
        return int((shown - datetime(2000, 1, 3)).total_seconds() // 3600)
    return period(shown.date(), kind)


def end_of_the_next(number: int, kind: str, rest: set[str]) -> datetime:
    """What the wall clock shows when the period after one ends."""
    if kind == "hourly":
        return datetime(2000, 1, 3) + timedelta(hours=number + 2)
    following = number + 1
    while kind == "daily" and WEEK[start_of(following, kind).weekday()] in rest:
        following += 1
    return start_of(following + 1, kind)


def period(local: date, kind: str) -> int:
    if kind == "daily":
        return (local - date(2000, 1, 3)).days
    if kind == "weekly":
        return (local - date(2000, 1, 3)).days // 7
    return local.year * 12 + local.month - 1


def start_of(number: int, kind: str) -> datetime:
    """What the wall clock shows when a period begins."""
    if kind == "monthly":
        return datetime(number // 12, number % 12 + 1, 1)
    first = date(2000, 1, 3) + timedelta(days=number * (7 if kind == "weekly" else 1))
    return datetime(first.year, first.month, first.day)


def run_board(board: dict[str, Any], window: Any, story: list[Fact], applied_seq: int, out: Outcome) -> None:
    metric = board["metric"]
    by_period: dict[tuple[str, str], list[Fact]] = {}
    for fact in matching(metric, story, applied_seq):
        local = day(fact.occurred_at, ZoneInfo(board.get("timezone", "UTC")))
        if isinstance(window, dict):
            if not micros(window["starts_at"]) <= fact.occurred_at < micros(window["ends_at"]):
                continue
            kind, name = "season", window["starts_at"].replace("+00:00", "Z")
        else:
            kind = window
            name = {
                "daily": local.isoformat(),
                "weekly": local.strftime("%G-W%V"),
                "monthly": local.strftime("%Y-%m"),
                "all_time": "all_time",
            }[window]
        by_period.setdefault((kind, name), []).append(fact)
    for (kind, name), facts in by_period.items():
        amounts: list[Any] = []
        score: Any = None
        reached = None
        for fact in facts:
            amounts.append(amount(metric, fact))
            new = total(metric["aggregate"], amounts)
            moved = amounts[-1] != 0 if metric["aggregate"] == "sum" else new != score
            if moved:
                reached = fact.occurred_at
            score = new
        ranked = -score if board.get("order") == "ascending" else score
        out.scores[board["code"], kind, name] = (ranked, reached)
