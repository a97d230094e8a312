"""The second opinion about challenges, and badges that are earned by criteria."""

import math
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from bq_server.game.facts import Fact
from tests.game.oracle_calendar import EPOCH, day, micros, period
from tests.game.oracle_facts import amount, finds_room, matching, total, zones
from tests.game.oracle_outcome import Outcome, reward


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
