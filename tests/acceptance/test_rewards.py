"""Rewards: claimed by spending, never more of them than there are, and given back by cancelling."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx import Response

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check
from tests.support.store import of_one_process

GAME: Json = {
    "points": [{"code": "pay", "on": "act", "award": "properties.amount"}],
    "rewards": [
        {"code": "mug", "name": "A mug", "type": "physical", "cost": 40, "stock": 2, "limit": 2},
        {"code": "voucher", "name": "A voucher", "type": "voucher", "cost": 10, "codes": ["AAA", "BBB"], "limit": None},
        {"code": "early", "name": "Too early", "starts_at": "2126-01-01T00:00:00Z"},
        {"code": "thanks", "name": "Thank you"},
    ],
}


@pytest.fixture(autouse=True)
def _game(bq: Project) -> None:
    bq.apply(GAME)


def paid(bq: Project, who: str, amount: int) -> None:
    bq.told(event("act", who, properties={"amount": amount}))


def claim(bq: Project, reward: str, who: str = "ada", **more: Any) -> Response:
    return bq.post(f"/gamify/rewards/{reward}/claim", {"participant_id": who, **more})


def rewards(bq: Project, who: str = "ada") -> list[tuple[str, str, str | None, int]]:
    found = bq.participant(who, "/rewards")
    assert found["total"] == len(found["rewards"])
    return [
        (each["reward_id"], each["status"], each["code_value"], each["points_deducted"]) for each in found["rewards"]
    ]


def left(bq: Project) -> dict[str, int | None]:
    return {each["id"]: each["available_codes"] for each in bq.get("/gamify/rewards").json()["rewards"]}


def test_a_claim_spends_and_takes_stock(bq: Project) -> None:
    paid(bq, "ada", 100)
    answer = claim(bq, "mug").json()
    assert answer == {
        "claim_id": answer["claim_id"],
        "participant_id": "ada",
        "reward_name": "A mug",
        "reward_type": "physical",
        "code_value": None,
        "points_deducted": 40,
        "new_balance": 60,
    }
    assert left(bq) == {"mug": 1, "voucher": 2, "thanks": None}
    assert [claim(bq, "voucher").json()["code_value"] for _ in range(2)] == ["AAA", "BBB"]
    assert check(claim(bq, "voucher"), Code.REWARD_UNAVAILABLE)["errors"][0]["code"] == "sold_out"
    points = bq.participant("ada", "/points")
    assert (points["balance"], points["total_earned"], points["total_spent"]) == (40, 100, 60)
    assert rewards(bq) == [
        ("voucher", "claimed", "BBB", 10),
        ("voucher", "claimed", "AAA", 10),
        ("mug", "claimed", None, 40),
    ]


def test_what_stands_against_a_claim(bq: Project) -> None:
    paid(bq, "ada", 1000)
    paid(bq, "bob", 39)
    check(claim(bq, "mug", "bob"), Code.INSUFFICIENT_POINTS)
    check(claim(bq, "hat"), Code.NOT_FOUND)
    assert check(claim(bq, "early"), Code.REWARD_UNAVAILABLE)["errors"][0]["code"] == "not_open"
    assert claim(bq, "thanks").status_code == 200
    assert check(claim(bq, "thanks"), Code.REWARD_UNAVAILABLE)["errors"][0]["code"] == "limit_reached"
    assert claim(bq, "thanks", "newcomer").json()["new_balance"] == 0
    assert claim(bq, "mug", "bob", points_deduction=False).json()["points_deducted"] == 0
    assert claim(bq, "mug").status_code == 200
    assert check(claim(bq, "mug"), Code.REWARD_UNAVAILABLE)["errors"][0]["code"] == "sold_out"
    assert bq.balance("ada") == 960


def test_a_repeat_gets_the_first_answer(bq: Project) -> None:
    paid(bq, "ada", 100)
    first = claim(bq, "voucher", idempotency_key="once")
    again = claim(bq, "voucher", idempotency_key="once")
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert left(bq)["voucher"] == 1


def test_cancelling_gives_points_and_stock_back(bq: Project) -> None:
    paid(bq, "ada", 100)
    claimed = [claim(bq, "voucher").json()["claim_id"] for _ in range(2)]
    answer = bq.post(f"/gamify/claims/{claimed[0]}/cancel", {"reason": "torn"})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert bq.post(f"/gamify/claims/{claimed[0]}/cancel", {}).json()["status"] == "cancelled"
    points = bq.participant("ada", "/points")
    assert (points["balance"], points["total_spent"]) == (90, 10)
    assert claim(bq, "voucher").json()["code_value"] == "AAA"
    assert [status for _, status, _, _ in rewards(bq)] == ["claimed", "claimed", "cancelled"]
    assert bq.participant("ada")["rewards_claimed"] == 2


def test_a_dry_run_of_a_claim_says_what_it_would_come_to_and_claims_nothing(bq: Project) -> None:
    paid(bq, "ada", 45)
    path = "/gamify/rewards/mug/claim?dry_run=true"
    assert bq.post(path, {"participant_id": "ada"}).json() == {
        "dry_run": True,
        "participant_id": "ada",
        "reward_name": "A mug",
        "reward_type": "physical",
        "points_deducted": 40,
        "new_balance": 5,
    }
    assert bq.post(path, {"participant_id": "new", "points_deduction": False}).json()["new_balance"] == 0
    check(bq.post(path, {"participant_id": "new"}), Code.INSUFFICIENT_POINTS)
    early = bq.post("/gamify/rewards/early/claim?dry_run=true", {"participant_id": "ada"})
    assert check(early, Code.REWARD_UNAVAILABLE)["errors"][0]["code"] == "not_open"
    assert (bq.balance("ada"), left(bq)["mug"], rewards(bq)) == (45, 2, [])
    claim(bq, "mug", points_deduction=False)
    claim(bq, "mug", points_deduction=False)
    gone = bq.post(path, {"participant_id": "ada"})
    assert check(gone, Code.REWARD_UNAVAILABLE)["errors"][0]["code"] == "limit_reached"


def test_the_state_has_what_was_claimed(bq: Project) -> None:
    paid(bq, "ada", 100)
    assert bq.participant("ada", "/state")["rewards"] == []
    claim_id = claim(bq, "voucher").json()["claim_id"]
    found = bq.participant("ada", "/state", include="rewards")
    assert found == {
        "participant_id": "ada",
        "total_events": 1,
        "rewards": bq.participant("ada", "/rewards")["rewards"],
    }
    assert found["rewards"][0]["claim_id"] == claim_id


def test_a_claim_is_fulfilled_once(bq: Project) -> None:
    claim_id = claim(bq, "thanks").json()["claim_id"]
    for _ in range(2):
        assert bq.post(f"/gamify/claims/{claim_id}/fulfil", {}).json()["status"] == "fulfilled"
    assert len(bq.facts(fact_type="system.reward_fulfilled")) == 1
    check(bq.post("/gamify/claims/fact_x/fulfil", {}), Code.NOT_FOUND)


def test_no_key_of_an_event_stands_in_the_way_of_fulfilling(bq: Project) -> None:
    claim_id = claim(bq, "thanks").json()["claim_id"]
    bq.told(event("act", "ada", idempotency_key=f"fulfil:{claim_id}", properties={"amount": 1}))
    assert bq.post(f"/gamify/claims/{claim_id}/fulfil", {}).json()["status"] == "fulfilled"


def test_what_was_fulfilled_by_mistake_can_be_fulfilled_again(bq: Project) -> None:
    claim_id = claim(bq, "thanks").json()["claim_id"]
    bq.post(f"/gamify/claims/{claim_id}/fulfil", {})
    (fulfilled,) = bq.facts(fact_type="system.reward_fulfilled")
    assert bq.post(f"/facts/{fulfilled['fact_id']}/void", {}).status_code == 200
    assert [status for _, status, _, _ in rewards(bq)] == ["claimed"]
    assert bq.post(f"/gamify/claims/{claim_id}/fulfil", {}).json()["status"] == "fulfilled"


def test_many_at_once_fulfil_a_claim_once(bq: Project) -> None:
    claim_id = claim(bq, "thanks").json()["claim_id"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: bq.post(f"/gamify/claims/{claim_id}/fulfil", {}), range(16)))
    assert {answer.json()["status"] for answer in answers} == {"fulfilled"}
    assert len(bq.facts(fact_type="system.reward_fulfilled")) == 1


@of_one_process
def test_two_hundred_at_once_never_oversell(bq: Project) -> None:
    bq.apply({**GAME, "rewards": [{"code": "hat", "name": "A hat", "cost": 1, "stock": 25}]})
    people = [f"p{number}" for number in range(200)]
    bq.send_batch([event("act", who, properties={"amount": 1}) for who in people[:100]])
    bq.send_batch([event("act", who, properties={"amount": 1}) for who in people[100:]])
    bq.drain()
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda who: claim(bq, "hat", who), people))
    assert sorted({answer.status_code for answer in answers}) == [200, 409]
    assert sum(answer.status_code == 200 for answer in answers) == 25
    assert sum(bq.balance(who) for who in people) == 175


def test_what_was_claimed_is_claimed_in_an_imported_environment(bq: Project) -> None:
    paid(bq, "ada", 100)
    claim(bq, "voucher")
    cancelled = claim(bq, "mug").json()["claim_id"]
    bq.post(f"/gamify/claims/{cancelled}/cancel", {})
    lines, before = bq.get("/sandbox/export").content, left(bq)
    assert bq.post("/sandbox/reset", {"game": True}).status_code == 200
    headers = {"Content-Type": "application/x-ndjson"}
    assert bq.request("POST", "/sandbox/import", content=lines, headers=headers).status_code == 200
    assert left(bq) == before
    assert [status for _, status, _, _ in rewards(bq)] == ["cancelled", "claimed"]


def test_a_claim_of_somebody_who_was_erased_is_not_to_be_found(bq: Project) -> None:
    paid(bq, "ada", 100)
    claim_id = claim(bq, "mug").json()["claim_id"]
    erased = bq.post("/admin/participants/erase", {"participant_id": "ada", "clean_up": False})
    assert erased.status_code == 200, erased.text
    for what, body in (("fulfil", None), ("cancel", {})):
        check(bq.post(f"/gamify/claims/{claim_id}/{what}", body), Code.NOT_FOUND)
