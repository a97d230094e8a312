"""A second opinion: what a game means, computed the slow and obvious way, sharing no code with the game.

Reads the documents that `strategies` draws, and knows just the expressions used there.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from bq_server.game.facts import Fact

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Outcome:
    earned: int = 0
    spent: int = 0
    expired: int = 0
    badges: set[str] = field(default_factory=set)
    objectives: dict[tuple[str, str], Any] = field(default_factory=dict)
    """`met`, or the value counted."""
    completed: set[str] = field(default_factory=set)
    milestones: set[tuple[str, float]] = field(default_factory=set)
    streaks: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Length of the newest run, and of the longest."""
    scores: dict[tuple[str, str, str], tuple[Any, int | None]] = field(default_factory=dict)


def play(document: dict[str, Any], applied_seq: int, facts: list[Fact]) -> Outcome:
    story = sorted(without_void(facts), key=lambda fact: (fact.occurred_at, fact.seq))
    out = Outcome()
    by_hand(story, out)
    for rule in document["points"]:
        for fact in matching(rule, story, applied_seq):
            points = rule["award"] if isinstance(rule["award"], int) else number(fact, "x")
            if points is not None and points > 0:
                out.earned += math.floor(points)
    for badge in document["badges"]:
        if "criteria" in badge:
            quest = {"objectives": [{"code": "only", **badge["criteria"], "prerequisites": []}], "code": badge["code"]}
            if run_quest(quest, story, applied_seq)[1]:
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
    return out


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
    ]


def amount(metric: dict[str, Any], fact: Fact) -> Any:
    match metric.get("aggregate"):
        case "sum" | "max":
            return number(fact, "x")
        case "distinct":
            return fact.properties.get(metric["of"].removeprefix("properties."))
        case "days":
            return day(fact.occurred_at, UTC)
        case _:
            return 1


def day(at: int, zone: tzinfo) -> date:
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone).date()


def by_hand(story: list[Fact], out: Outcome) -> None:
    for fact in story:
        match fact.fact_type:
            case "system.points_awarded":
                out.earned += fact.properties["amount"]
            case "system.points_deducted":
                out.spent += fact.properties["amount"]
            case "system.points_expired":
                out.expired += fact.properties["amount"]
            case "system.badge_awarded":
                out.badges.add(fact.properties["badge_code"])


def total(aggregate: str, amounts: list[Any]) -> Any:
    match aggregate:
        case "sum":
            return sum(amounts, Fraction(0))
        case "max":
            return max(amounts, default=0)
        case "count":
            return len(amounts)
        case _:
            return len(set(amounts))


def run_quest(quest: dict[str, Any], story: list[Fact], applied_seq: int) -> tuple[dict[str, Any], bool, set[float]]:
    """The objectives, whether all were met, and the milestones passed, over the facts that may count."""
    objectives = quest["objectives"]
    counts = {each["code"]: matching(each, story, applied_seq) for each in objectives}
    amounts: dict[str, list[Any]] = {each["code"]: [] for each in objectives}
    met: set[str] = set()
    passed: set[float] = set()
    for fact in story:
        before = set(met)
        for each in objectives:
            code = each["code"]
            if fact in counts[code] and code not in before and before.issuperset(each["prerequisites"]):
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


def micros(moment: str) -> int:
    return int((datetime.fromisoformat(moment) - EPOCH).total_seconds()) * 10**6


def run_challenge(challenge: dict[str, Any], story: list[Fact], applied_seq: int, out: Outcome) -> None:
    code, duration = challenge["code"], challenge["duration"]
    counted = [fact for fact in story if fact.fact_type.startswith("custom.")]
    first = micros(challenge.get("starts_at", EPOCH.isoformat()))
    counted = [fact for fact in counted if first <= fact.occurred_at]
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
    values, completed, passed = run_quest(challenge, counted, applied_seq)
    out.objectives.update({(code, objective): value for objective, value in values.items()})
    out.milestones |= {(code, at) for at in passed}
    out.earned += 5 * len(passed)
    if completed:
        out.completed.add(code)
        out.badges.add("given")
        out.earned += 7


def run_streak(streak: dict[str, Any], story: list[Fact], applied_seq: int, out: Outcome) -> None:
    zone: tzinfo = UTC if streak["timezone"] == "participant" else ZoneInfo(streak["timezone"])
    records: list[tuple[int, int, tzinfo]] = []
    wanted = matching(streak, story, applied_seq)
    for fact in story:
        if streak["timezone"] == "participant" and fact.fact_type == "system.timezone_changed":
            if fact.properties["timezone"] in available_timezones():
                zone = ZoneInfo(fact.properties["timezone"])
        elif fact in wanted:
            records.append((period(day(fact.occurred_at, zone), streak["period"]), fact.occurred_at, zone))
    periods = sorted({each for each, _, _ in records})
    group = {each: each for each in periods}
    grace = timedelta(hours=streak["grace_period_hours"])
    for later, at, where in records:
        shown = (EPOCH + timedelta(microseconds=at)).astimezone(where).replace(tzinfo=None)
        for earlier in periods:
            if earlier < later and shown < start_of(earlier + 2, streak["period"]) + grace:
                old, new = group[later], group[earlier]
                group = {each: new if root == old else root for each, root in group.items()}
    lengths = [sum(root == each for root in group.values()) for each in set(group.values())]
    if periods:
        longest = max(lengths)
        out.streaks[streak["code"]] = (sum(root == group[periods[-1]] for root in group.values()), longest)
        out.earned += 11 * sum(each["at"] <= longest for each in streak["milestones"])


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


def run_board(board: dict[str, Any], window: str, story: list[Fact], applied_seq: int, out: Outcome) -> None:
    metric = board["metric"]
    by_period: dict[str, list[Fact]] = {}
    for fact in matching(metric, story, applied_seq):
        local = day(fact.occurred_at, UTC)
        name = {
            "daily": local.isoformat(),
            "weekly": local.strftime("%G-W%V"),
            "monthly": local.strftime("%Y-%m"),
            "all_time": "all_time",
        }[window]
        by_period.setdefault(name, []).append(fact)
    for name, facts in by_period.items():
        amounts: list[Any] = []
        score, reached = None, None
        for fact in facts:
            amounts.append(amount(metric, fact))
            new = total(metric["aggregate"], amounts)
            moved = amounts[-1] != 0 if metric["aggregate"] == "sum" else new != score
            if moved:
                reached = fact.occurred_at
            score = new
        out.scores[board["code"], window, name] = (score, reached)
