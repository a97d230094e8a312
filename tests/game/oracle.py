"""A second opinion: what a game means, computed the slow and obvious way, sharing no code with the game.

Reads the documents that `strategies` draws, and knows just the expressions used there. Each mechanic is beside it.
"""

import math
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from bq_server.game.facts import Fact
from tests.game.oracle_calendar import WEEK, day, micros
from tests.game.oracle_facts import fails, holds, matching, number, within_limit, without_void, zones
from tests.game.oracle_groups import run_shared
from tests.game.oracle_outcome import EXPIRED, SPENT, Outcome, enter
from tests.game.oracle_participants import attribute, reads_awards, with_attributes, with_awards
from tests.game.oracle_quests import count_badge, run_challenge, run_quest
from tests.game.oracle_rankings import run_board, run_contest
from tests.game.oracle_streaks import run_streak


def play(document: dict[str, Any], applied_seq: int, facts: list[Fact]) -> Outcome:
    story = with_attributes(sorted(without_void(facts), key=lambda fact: (fact.occurred_at, fact.seq)))
    if reads_awards(document):
        before: list[Fact] = []
        for fact in story:
            before.append(with_awards(document, fact, outcome(document, applied_seq, before)))
        story = before
    return outcome(document, applied_seq, story)


def outcome(document: dict[str, Any], applied_seq: int, story: list[Fact]) -> Outcome:
    """What comes of facts that count, in order, each of which knows who its participant was."""
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
        run = run_shared if "shared_by" in challenge else run_challenge
        run(challenge, story, applied_seq, out)
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


def worth(rule: dict[str, Any], fact: Fact) -> int:
    points = rule["award"] if isinstance(rule["award"], int) else number(fact, "x")
    if rule["award"] == "participant.attributes.bonus":
        points = attribute(fact, "bonus")
    for each in rule.get("multiplier", []):
        during = each.get("during", {})
        local = day(fact.occurred_at, ZoneInfo(during.get("timezone", "UTC")))
        begun = "starts_at" not in during or micros(during["starts_at"]) <= fact.occurred_at
        ended = "ends_at" in during and micros(during["ends_at"]) <= fact.occurred_at
        if not begun or ended or local.strftime("%a").lower() not in during.get("on_days", WEEK):
            continue
        if fails(each.get("when"), fact):
            return 0
        if points is not None and holds(each.get("when"), fact):
            points *= Fraction(str(each["by"]))
    return 0 if points is None else max(math.floor(points), 0)


def by_hand(story: list[Fact], out: Outcome) -> None:
    for fact in story:
        match fact.fact_type:
            case "system.points_awarded":
                enter(out, dict(fact.properties), fact.properties["amount"])
            case "system.points_transferred" if fact.properties["recipient_id"] == fact.participant_id:
                pass
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
