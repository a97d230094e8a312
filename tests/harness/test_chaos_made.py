"""The facts that the server makes by itself in a chaos run: each test spoils one thing, and the ledger says so."""

import json
from typing import Any

import pytest

from bq_server.game import Fact, check
from bq_server.game.facts import (
    ATTRIBUTES_CHANGED,
    CONTEST_ENTERED,
    CONTEST_PLACED,
    POINTS_EXPIRED,
    SHARED_CHALLENGE_REACHED,
)
from bq_server.moments import SECOND, format_timestamp
from harness.chaos import game, made
from harness.chaos.ledger import ChaosLedger
from harness.chaos.oracle import Oracle
from tests.harness.chaos_support import CALM, START

NOW = START + 3 * game.DAY
PEOPLE = ("ada", "bob", "cyd")
ENTERED = {game.FINAL: PEOPLE, game.SPRINT: PEOPLE[:2]}


def expected() -> Oracle:
    found = check(json.dumps(game.document(START, 20))).game
    assert found is not None
    facts: list[Fact] = []

    def add(kind: str, who: str, properties: dict[str, Any], at: int) -> None:
        seq = len(facts) + 1
        facts.append(Fact(f"f{seq}", seq, kind, kind.partition(".")[2], who, properties, at, at))

    for who, team in zip(PEOPLE, ("red", "red", "blue"), strict=True):
        add(ATTRIBUTES_CHANGED, who, {"attributes": {"team": team}}, START - game.TEAMS_KNOWN_FOR)
    for who, visits in VISITS.items():
        for number in range(visits):
            add("custom.store_visited", who, {}, START + number)
    for who in PEOPLE:
        add(CONTEST_ENTERED, who, {"contest_code": game.FINAL}, START - SECOND)
    for who, amount in zip(PEOPLE, (5, 20, 10), strict=True):
        add("custom.purchase_completed", who, {"amount": amount, "currency": "EUR"}, START + SECOND + amount)
    for days in (1, 3, 30):  # the two older ones are five days old in the end
        add("custom.level_completed", "ada", {"score": 1}, START - days * game.DAY)
    return Oracle(found, facts)


def placed(code: str, rank: int, who: str, score: float, **prize: Any) -> dict[str, Any]:
    points, badge = game.prize_of(rank)
    won = ({"points": points} if points else {}) | ({"badge": badge} if badge else {})
    properties = {"contest_code": code, "rank": rank, "score": score, **won, **prize}
    return {"fact_type": CONTEST_PLACED, "participant_id": who, "properties": properties}


VISITS = {"ada": 17, "bob": 2, "cyd": 5}
"""Of a relay of 30, with milestones at 6 and 18."""


def reached(who: str, at: float, team: str = "red") -> dict[str, Any]:
    properties = {"challenge_code": game.RELAY, "group": team, "at": at}
    return {"fact_type": SHARED_CHALLENGE_REACHED, "participant_id": who, "properties": properties}


REACHED = [reached("ada", 0.2), reached("ada", 0.6), reached("bob", 0.6)]
"""Bob came later: the team had passed the first milestone."""
EXPIRED = [
    {"fact_type": POINTS_EXPIRED, "participant_id": "ada", "properties": {"amount": 1, "currency": game.EXPIRING}}
] * 2
FINAL = [placed(game.FINAL, 1, "bob", 20), placed(game.FINAL, 2, "cyd", 10), placed(game.FINAL, 3, "ada", 5)]
SPRINT = [placed(game.SPRINT, 1, "ada", 3), placed(game.SPRINT, 2, "bob", 3)]


def judged(facts: list[dict[str, Any]]) -> list[str]:
    ledger = ChaosLedger(CALM)
    made.judge([*facts, *REACHED], expected(), ENTERED, NOW, ledger)
    return [finding.subject for finding in ledger.findings]


def judged_groups(told: list[dict[str, Any]]) -> list[tuple[str, str]]:
    ledger = ChaosLedger(CALM)
    made.judge([*EXPIRED, *FINAL, *SPRINT, *told], expected(), ENTERED, NOW, ledger)
    return [(str(finding.kind), finding.subject.rpartition(" ")[2]) for finding in ledger.findings]


def test_what_expired_by_age_and_places_by_score_are_well() -> None:
    assert format_timestamp(START - 3 * game.DAY + game.EXPIRES_AFTER) < format_timestamp(NOW)
    assert judged([*EXPIRED, *FINAL, *SPRINT]) == []


@pytest.mark.parametrize("expired", [EXPIRED[:1], [*EXPIRED, EXPIRED[0]]])
def test_points_that_stay_too_long_or_expire_twice_are_found(expired: list[dict[str, Any]]) -> None:
    assert judged([*expired, *FINAL, *SPRINT]) == ["gems of ada"]


@pytest.mark.parametrize(
    "sprint",
    [
        SPRINT[:1],
        [*SPRINT, SPRINT[0]],
        [placed(game.SPRINT, 1, "ada", 3), placed(game.SPRINT, 3, "bob", 3)],
        [placed(game.SPRINT, 1, "ada", 2), placed(game.SPRINT, 2, "bob", 3)],
        [placed(game.SPRINT, 1, "ada", 3, points=41), SPRINT[1]],
        [placed(game.SPRINT, 1, "ada", 3, badge=None), SPRINT[1]],
    ],
)
def test_a_result_that_contradicts_itself_is_found(sprint: list[dict[str, Any]]) -> None:
    assert set(judged([*EXPIRED, *FINAL, *sprint])) == {"result of contest sprint"}


def test_a_result_frozen_too_early_is_found() -> None:
    early = [placed(game.FINAL, 1, "bob", 20), placed(game.FINAL, 2, "ada", 5), placed(game.FINAL, 3, "cyd", 0)]
    assert judged([*EXPIRED, *early, *SPRINT]) == ["result of contest final"]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (REACHED, []),
        ([reached("ada", 0.6), reached("bob", 0.6)], []),  # seen at once at the second milestone
        (REACHED[:2], [("lost", "bob")]),
        ([REACHED[0], REACHED[2]], [("lost", "ada")]),
        ([*REACHED, reached("bob", 0.6)], [("doubled", "bob")]),
        ([*REACHED, reached("ada", 0.2)], [("doubled", "ada")]),
        ([*REACHED, reached("ada", 1)], [("difference", "ada")]),
        ([*REACHED, reached("cyd", 0.2, "blue")], [("difference", "cyd")]),
        ([*REACHED, reached("cyd", 0.6)], [("difference", "cyd")]),
    ],
)
def test_what_members_are_told_of_their_group_is_the_highest_step_and_each_once(
    told: list[dict[str, Any]], found: list[tuple[str, str]]
) -> None:
    assert judged_groups(told) == found
