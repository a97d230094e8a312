"""Challenges over the API: enrolment, durations, prerequisites, milestones, aggregates, ranking."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.game import (
    SPRING,
    act,
    ago,
    badges,
)
from tests.support.problems import check

# Challenges


def challenge(**more: Any) -> Json:
    return {
        "challenges": [
            {
                "code": "quest",
                "name": "Quest",
                "objectives": [{"code": "acts", "on": "act", "target": 3}],
                "rewards": [{"points": 100}],
                **more,
            }
        ]
    }


def quest(bq: Project, participant_id: str = "ada") -> Json:
    (found,) = bq.participant(participant_id, "/challenges")["challenges"]
    assert isinstance(found, dict)
    return found


def enrol(bq: Project, participant_id: str = "ada") -> Json:
    answer = bq.post("/gamify/challenges/quest/enrol", {"participant_id": participant_id})
    assert answer.status_code == 200, answer.text
    enrolled: Json = answer.json()
    return enrolled


def test_an_automatic_perpetual_challenge_takes_everyone_at_any_time(bq: Project) -> None:
    bq.apply(challenge())
    bq.send_sync(event("hello", "ada"))
    assert (quest(bq)["status"], quest(bq)["progress"], quest(bq)["expires_at"]) == ("active", 0, None)
    for at in ("1999-01-01T00:00:00Z", "2026-01-01T00:00:00Z"):
        bq.send_sync(act("ada", at))
    assert quest(bq)["progress"] == pytest.approx(2 / 3)
    bq.send_sync(act())
    assert (quest(bq)["status"], quest(bq)["progress"], bq.balance("ada")) == ("completed", 1, 100)
    bq.send_sync(act())
    assert bq.balance("ada") == 100
    (objective,) = quest(bq)["objectives"]
    assert (objective["value"], objective["target"]) == (3, 3)
    assert enrol(bq)["challenge"]["status"] == "completed"


def test_an_explicit_challenge_counts_from_enrolment_on(bq: Project) -> None:
    bq.apply(challenge(enrolment="explicit"))
    bq.send_sync(act())
    assert quest(bq)["status"] == "not_enrolled"
    enrolled = enrol(bq)["challenge"]
    assert (enrolled["status"], enrolled["progress"]) == ("active", 0)
    bq.send_sync(act("ada", ago(hours=1)))
    assert quest(bq)["progress"] == 0, "it happened before"
    for _ in range(3):
        bq.send_sync(act())
    assert (quest(bq)["status"], bq.balance("ada")) == ("completed", 100)


def test_to_enrol_where_everyone_takes_part_counts_once_the_challenge_becomes_explicit(bq: Project) -> None:
    bq.apply(challenge())
    answers = [enrol(bq), enrol(bq)]
    assert answers[0] == answers[1]
    assert answers[0]["challenge"]["status"] == "active"
    (fact,) = bq.facts()
    assert fact["fact_type"] == "system.challenge_enrolled"
    bq.apply(challenge(enrolment="explicit"))
    assert quest(bq)["enrolled_at"] == fact["occurred_at"]


def test_to_enrol_again_after_the_clock_was_set_back_moves_the_enrolment_back(bq: Project) -> None:
    bq.apply(challenge(enrolment="explicit"))
    for now, enrolled_at in (("2026-04-10", "2026-04-10"), ("2026-04-12", "2026-04-10"), ("2026-04-01", "2026-04-01")):
        bq.request("PUT", "/sandbox/clock", json={"now": f"{now}T00:00:00Z"})
        assert enrol(bq)["challenge"]["enrolled_at"] == f"{enrolled_at}T00:00:00Z"
    assert len(bq.facts()) == 2


def test_to_enrol_again_answers_the_same_even_at_the_same_time(bq: Project) -> None:
    bq.apply(challenge(enrolment="explicit", duration={"type": "rolling", "days": 14}))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: enrol(bq), range(16)))
    assert all(answer == answers[0] for answer in answers)
    assert enrol(bq) == answers[0]
    (fact,) = bq.facts(participant_id="ada")
    assert fact["fact_type"] == "system.challenge_enrolled"
    enrolled = answers[0]["challenge"]
    runs = datetime.fromisoformat(enrolled["expires_at"]) - datetime.fromisoformat(enrolled["enrolled_at"])
    assert runs == timedelta(days=14)
    assert quest(bq) == enrolled
    assert bq.participant("ada")["total_events"] == 0


def test_only_a_challenge_there_is_can_be_entered(bq: Project) -> None:
    check(bq.post("/gamify/challenges/none/enrol", {"participant_id": "ada"}), Code.NOT_FOUND)
    bq.apply(challenge(enrolment="explicit"))
    check(bq.post("/gamify/challenges/quest/enrol", {}), Code.VALIDATION_FAILED)
    check(bq.post("/gamify/challenges/quest/enrol", {"participant_id": "x" * 256}), Code.VALIDATION_FAILED)
    with bq.using("test:read") as reader:
        check(reader.post("/gamify/challenges/quest/enrol", {"participant_id": "ada"}), Code.FORBIDDEN)
    assert bq.facts() == []


def test_a_rolling_challenge_runs_from_the_first_fact_and_expires(bq: Project) -> None:
    bq.apply(challenge(duration={"type": "rolling", "days": 10}))
    for at in ("2026-03-01T00:00:00Z", "2026-03-10T23:59:59Z", "2026-03-11T00:00:00Z", "2026-03-12T00:00:00Z"):
        bq.send_sync(act("ada", at))
    found = quest(bq)
    assert (found["status"], found["objectives"][0]["value"]) == ("expired", 2)
    assert (found["enrolled_at"], found["expires_at"]) == ("2026-03-01T00:00:00Z", "2026-03-11T00:00:00Z")
    bq.send_sync(act("ada", "2026-03-02T00:00:00Z"))
    assert (quest(bq)["status"], bq.balance("ada")) == ("completed", 100), "a late fact of within the time"


def test_an_earlier_first_fact_moves_a_rolling_challenge(bq: Project) -> None:
    bq.apply(challenge(duration={"type": "rolling", "days": 10}))
    for at in ("2026-03-05T00:00:00Z", "2026-03-13T00:00:00Z"):
        bq.send_sync(act("ada", at))
    assert quest(bq)["objectives"][0]["value"] == 2
    bq.send_sync(act("ada", "2026-03-01T00:00:00Z"))
    found = quest(bq)
    assert found["enrolled_at"] == "2026-03-01T00:00:00Z"
    assert (found["status"], found["objectives"][0]["value"]) == ("expired", 2), "the 13th is out of time now"


def test_a_fixed_challenge_has_its_dates(bq: Project) -> None:
    dates = {"type": "fixed", "starts_at": "2026-03-01T00:00:00Z", "ends_at": "2026-04-01T00:00:00Z"}
    bq.apply(challenge(duration=dates))
    for at in ("2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"):
        bq.send_sync(act("ada", at))
    assert (quest(bq)["status"], quest(bq)["objectives"][0]["value"]) == ("expired", 1)
    bq.apply(challenge(duration=dates | {"starts_at": "2999-01-01T00:00:00Z", "ends_at": "2999-02-01T00:00:00Z"}))
    assert (quest(bq)["status"], quest(bq)["objectives"][0]["value"]) == ("upcoming", 0)


STAIRS = [
    {"code": "first", "on": "begun", "target": 1},
    {"code": "then", "on": "act", "target": 2, "prerequisites": ["first"]},
]


def test_a_prerequisite_met_late_counts_what_came_after_it(bq: Project) -> None:
    bq.apply(challenge(objectives=STAIRS))
    for day in (2, 3):
        bq.send_sync(act("ada", f"2026-03-0{day}T00:00:00Z"))
    assert quest(bq)["progress"] == 0
    bq.send_sync(event("begun", "ada", timestamp="2026-03-01T00:00:00Z"))
    assert (quest(bq)["status"], quest(bq)["completed_at"]) == ("completed", "2026-03-03T00:00:00Z")
    assert bq.balance("ada") == 100


def test_what_came_before_a_prerequisite_does_not_count_even_when_it_arrives_later(bq: Project) -> None:
    bq.apply(challenge(objectives=STAIRS))
    bq.send_sync(event("begun", "ada", timestamp="2026-03-05T00:00:00Z"))
    for day in (1, 2, 3):
        bq.send_sync(act("ada", f"2026-03-0{day}T00:00:00Z"))
    assert [each["value"] for each in quest(bq)["objectives"]] == [1, 0]
    bq.send_sync(event("begun", "ada", timestamp="2026-03-02T12:00:00Z"))
    assert [each["value"] for each in quest(bq)["objectives"]] == [1, 1]


def test_milestones_pay_once_and_stay_reached(bq: Project) -> None:
    milestones = [{"at": 0.25, "rewards": [{"points": 1}]}, {"at": 0.75, "rewards": [{"points": 10}]}]
    summed = [{"code": "sum", "on": "act", "aggregate": "sum", "of": "properties.amount", "target": 100}]
    bq.apply(challenge(objectives=summed, milestones=milestones))
    bq.send_sync(act("ada", "2026-03-01T00:00:00Z", amount=30))
    assert bq.balance("ada") == 1
    bq.send_sync(act("ada", "2026-03-02T00:00:00Z", amount=-20))
    bq.send_sync(act("ada", "2026-03-03T00:00:00Z", amount=20))
    found = quest(bq)
    assert (bq.balance("ada"), found["progress"]) == (1, 0.3)
    assert [each["reached"] for each in found["milestones"]] == [True, False]
    bq.send_sync(act("ada", "2026-03-04T00:00:00Z", amount=1000))
    assert bq.balance("ada") == 111
    assert [each["reached"] for each in quest(bq)["milestones"]] == [True, True]


def test_every_award_has_a_cause_of_its_own_whatever_the_codes_are(bq: Project) -> None:
    one = {"objectives": [{"code": "a", "on": "act", "target": 2}], "name": "One"}
    bq.apply(
        {
            "challenges": [
                {"code": "c", **one, "milestones": [{"at": 0.5, "rewards": [{"points": 1}]}]},
                {
                    "code": "c@0.5",
                    "name": "Two",
                    "objectives": [{"code": "a", "on": "act", "target": 1}],
                    "rewards": [{"points": 10}],
                },
            ]
        }
    )
    assert bq.send_sync(act()).status_code == 200
    assert bq.balance("ada") == 11


@pytest.mark.parametrize(
    ("objective", "values", "reached"),
    [
        ({"aggregate": "count", "target": 2}, [1, 1], True),
        ({"aggregate": "sum", "of": "properties.x", "target": 0.3}, [0.1, 0.1, 0.1], True),
        ({"aggregate": "max", "of": "properties.x", "target": 5}, [4, 3, 4.5], False),
        ({"aggregate": "max", "of": "properties.x", "target": 5}, [4, 5], True),
        ({"aggregate": "distinct", "of": "properties.x", "target": 2}, ["a", "a"], False),
        ({"aggregate": "distinct", "of": "properties.x", "target": 2}, ["a", "b"], True),
        ({"aggregate": "distinct", "of": "properties.x", "target": 3}, [1, "1", True], True),
    ],
)
def test_aggregates(bq: Project, objective: Json, values: list[Any], reached: bool) -> None:
    bq.apply({"badges": [{"code": "b", "name": "B", "criteria": {"on": "act", **objective}}]})
    for value in values:
        bq.send_sync(act(x=value))
    assert ("b" in badges(bq)) is reached


def test_distinct_days_count_days(bq: Project) -> None:
    bq.apply({"badges": [{"code": "b", "name": "B", "criteria": {"on": "act", "aggregate": "days", "target": 2}}]})
    for at in ("2026-03-01T00:00:00Z", "2026-03-01T23:59:59Z"):
        bq.send_sync(act("ada", at))
    assert badges(bq) == {}
    bq.send_sync(act("ada", "2026-02-01T12:00:00Z"))
    assert badges(bq).keys() == {"b"}


def test_a_challenge_ranks_those_who_take_part(bq: Project) -> None:
    bq.apply(challenge(enrolment="explicit"))
    for who in ("ada", "bob", "cid"):
        enrol(bq, who)
    for who in ("bob", "ada", "stranger", "bob"):
        bq.send_sync(act(who))
    ranking = bq.get("/gamify/challenges/quest/leaderboard").json()
    places = [(entry["rank"], entry["participant_id"], entry["progress"]) for entry in ranking["entries"]]
    assert places[:2] == [(1, "bob", pytest.approx(2 / 3)), (2, "ada", pytest.approx(1 / 3))]
    assert "stranger" not in {who for _, who, _ in places}
    first = bq.get("/gamify/challenges/quest/leaderboard", limit=1).json()
    assert first["entries"] == ranking["entries"][:1]
    assert first["total_participants"] == ranking["total_participants"]
    for limit in (0, 101, "x"):
        check(bq.get("/gamify/challenges/quest/leaderboard", limit=limit), Code.VALIDATION_FAILED)
    check(bq.get("/gamify/challenges/none/leaderboard"), Code.NOT_FOUND)


def test_challenges_are_listed_as_they_are_defined(bq: Project) -> None:
    bq.apply(SPRING)
    listed = bq.get("/gamify/challenges").json()
    assert listed["total"] == 1
    (one,) = listed["challenges"]
    assert bq.get("/gamify/challenges/spring_sale").json() == one
    assert [each["code"] for each in one["objectives"]] == ["visit", "buy3", "spend100"]
    check(bq.get("/gamify/challenges/none"), Code.NOT_FOUND)
