"""Points for many participants in one request: each award stands or fails on its own, and once for each key."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bq_server.refusals import Code
from tests.acceptance.test_awards import check_ledger
from tests.support.client import Json, Project, event
from tests.support.problems import check

GAME = {
    "currencies": [{"code": "coins"}, {"code": "gems"}],
    "badges": [{"code": "first", "name": "First", "criteria": {"on": "act", "target": 1}}],
    "tiers": [{"code": "gold", "name": "Gold", "level": 3, "min_points": 100}],
}


def post(bq: Project, *awards: Any, **headers: str) -> Json:
    answer = bq.post("/gamify/points/award-batch", {"awards": list(awards)}, **headers)
    assert answer.status_code == 200, answer.text
    told: Json = answer.json()
    assert told["awarded"] + told["failed"] == len(told["results"]) == len(awards)
    return told


def award(who: str, amount: int = 10, **more: Any) -> Json:
    return {"participant_id": who, "amount": amount, **more}


def test_each_is_awarded_and_told_in_order(bq: Project) -> None:
    bq.apply(GAME)
    told = post(bq, award("ada", 100, reason="welcome"), award("bob", 5, currency="gems"), award("ada", 1))
    assert told["awarded"] == 3
    first, second, third = told["results"]
    assert first == {
        "participant_id": "ada",
        "success": True,
        "transaction_id": first["transaction_id"],
        "amount": 100,
        "new_balance": 100,
        "tier_upgrade": {"code": "gold", "name": "Gold", "level": 3, "previous_code": None, "previous_level": None},
        "badges_unlocked": [],
        "error": None,
    }
    assert (second["currency"], second["new_balance"]) == ("gems", 5)
    assert (third["new_balance"], third["tier_upgrade"]) == (101, None)
    (entry,) = bq.participant("bob", "/points/transactions")["transactions"]
    assert entry["transaction_id"] == second["transaction_id"]
    actions = [each["action"] for each in bq.get("/admin/audit-log").json()["entries"]]
    assert actions.count("points_awarded") == 3


def test_a_failure_is_told_in_its_place_and_touches_no_other(bq: Project) -> None:
    bq.apply(GAME)
    bq.told(event("act", "ada", idempotency_key="k-1"))
    told = post(
        bq,
        award("ada"),
        award("bob", -1),
        "no award",
        award("bob", currency="gold"),
        award("bob", idempotency_key="k-1"),
        award(""),
        award("bob"),
    )
    assert [each["success"] for each in told["results"]] == [True, False, False, False, False, False, True]
    errors = [each["error"] and (each["error"]["code"], each["error"]["field"]) for each in told["results"]]
    assert errors == [
        None,
        ("validation_failed", "amount"),
        ("validation_failed", "body"),
        ("validation_failed", "currency"),
        ("idempotency_conflict", None),
        ("validation_failed", "participant_id"),
        None,
    ]
    assert told["results"][3]["participant_id"] == "bob"
    assert (bq.balance("ada"), bq.balance("bob")) == (10, 10)


@pytest.mark.parametrize("by", ["header", "items"])
def test_a_repeat_gets_the_first_answers_and_gives_nothing(bq: Project, by: str) -> None:
    headers = {"Idempotency-Key": "welcome"} if by == "header" else {}
    keys: list[Json] = [{}, {}] if by == "header" else [{"idempotency_key": "k-1"}, {"idempotency_key": "k-2"}]
    awards = [award("ada", **keys[0]), award("bob", 20, **keys[1])]
    first = post(bq, *awards, **headers)
    bq.post("/gamify/points/award", award("ada", 500))
    again = bq.post("/gamify/points/award-batch", {"awards": awards}, **headers)
    assert again.json() == first
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (bq.balance("ada"), bq.balance("bob")) == (510, 20)
    check_ledger(bq)


def test_another_batch_under_the_same_key_is_told_so_where_it_differs(bq: Project) -> None:
    headers = {"Idempotency-Key": "welcome"}
    post(bq, award("ada"), award("bob"), **headers)
    told = post(bq, award("ada"), award("bob", 11), award("eve"), **headers)
    assert [each["success"] for each in told["results"]] == [True, False, True]
    assert told["results"][1]["error"]["code"] == "idempotency_conflict"
    assert (bq.balance("ada"), bq.balance("bob"), bq.balance("eve")) == (10, 10, 10)


def test_the_same_batch_at_the_same_time_is_given_once(bq: Project) -> None:
    awards = [award(f"user_{number}", 7) for number in range(10)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(bq, *awards, **{"Idempotency-Key": "once"}), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert {bq.balance(each["participant_id"]) for each in awards} == {7}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "awards"),
        ([], "awards"),
        ({"awards": {}}, "awards"),
        ({"awards": []}, "awards"),
        ({"awards": [award("ada")] * 101}, "awards"),
        ({"awards": [award("ada")], "reason": "x"}, "reason"),
    ],
    ids=str,
)
def test_what_a_batch_must_be(bq: Project, body: Any, field: str) -> None:
    problem = check(bq.post("/gamify/points/award-batch", body), Code.VALIDATION_FAILED)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert bq.facts() == []


def test_a_hundred_are_a_batch_and_a_key_has_room_for_their_places(bq: Project) -> None:
    assert (
        post(bq, *[award(f"user_{number}", 1) for number in range(100)], **{"Idempotency-Key": "x" * 250})["awarded"]
        == 100
    )
    answer = bq.post("/gamify/points/award-batch", {"awards": [award("ada")]}, **{"Idempotency-Key": "x" * 251})
    assert [error["field"] for error in check(answer, Code.VALIDATION_FAILED)["errors"]] == ["Idempotency-Key"]
