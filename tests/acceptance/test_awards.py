"""Points and badges given by hand: once for each key, never more than there is, each with its line in the ledger."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check

GAME = {
    "points": [{"code": "pay", "on": "act", "award": 10}],
    "badges": [
        {"code": "champion", "name": "Champion", "rarity": "epic", "icon_url": "champion.svg"},
        {"code": "starter", "name": "Starter", "criteria": {"on": "act", "target": 1}},
    ],
    "tiers": [
        {"code": "bronze", "name": "Bronze", "level": 1, "min_points": 0},
        {"code": "gold", "name": "Gold", "level": 3, "min_points": 100},
    ],
}


def sent(amount: int = 10, **more: Any) -> Json:
    return {"participant_id": "ada", "amount": amount, **more}


def award(bq: Project, amount: int = 10, **more: Any) -> Json:
    answer = bq.post("/gamify/points/award", sent(amount, **more))
    assert answer.status_code == 200, answer.text
    awarded: Json = answer.json()
    return awarded


def ledger(bq: Project, participant_id: str = "ada") -> list[Json]:
    """The oldest entry first."""
    page = bq.participant(participant_id, "/points/transactions", page_size=100)
    assert page["total"] == len(page["transactions"])
    found: list[Json] = page["transactions"][::-1]
    return found


def check_ledger(bq: Project, participant_id: str = "ada") -> None:
    """Each balance is the one before and the amount, each cause is there once, and the sum is the balance."""
    balance = earned = spent = 0
    entries = ledger(bq, participant_id)
    for entry in entries:
        balance += entry["amount"]
        assert entry["balance"] == balance
        assert entry["type"] == ("award" if entry["amount"] > 0 else "deduction")
        earned, spent = earned + max(entry["amount"], 0), spent + max(-entry["amount"], 0)
    assert len({entry["cause"] for entry in entries}) == len({e["transaction_id"] for e in entries}) == len(entries)
    assert bq.participant(participant_id, "/points") == {
        "participant_id": participant_id,
        "balance": balance,
        "total_earned": earned,
        "total_spent": spent,
        "total_expired": 0,
        "owed": 0,
    }


def test_an_award_and_a_deduction_and_their_ledger(bq: Project) -> None:
    bq.apply(GAME)
    awarded = bq.post("/gamify/points/award", sent(50, reason="welcome", metadata={"by": "hand"})).json()
    assert awarded.keys() == {
        "transaction_id",
        "participant_id",
        "amount",
        "new_balance",
        "tier_upgrade",
        "badges_unlocked",
    }
    assert (awarded["participant_id"], awarded["amount"], awarded["new_balance"]) == ("ada", 50, 50)
    bq.send_sync(event("act", "ada"))
    deducted = bq.post("/gamify/points/deduct", sent(35)).json()
    assert deducted == {
        "transaction_id": deducted["transaction_id"],
        "participant_id": "ada",
        "amount": 35,
        "new_balance": 25,
    }
    entries = ledger(bq)
    assert [(entry["type"], entry["amount"], entry["balance"]) for entry in entries] == [
        ("award", 50, 50),
        ("award", 10, 60),
        ("deduction", -35, 25),
    ]
    assert (entries[0]["transaction_id"], entries[2]["transaction_id"]) == (
        awarded["transaction_id"],
        deducted["transaction_id"],
    )
    check_ledger(bq)
    facts = bq.facts(fact_type="system.points_awarded")
    assert [fact["properties"] for fact in facts] == [{"amount": 50, "reason": "welcome", "metadata": {"by": "hand"}}]
    assert entries[0]["fact_id"] == facts[0]["fact_id"]
    earlier = entries
    award(bq)
    assert ledger(bq)[:3] == earlier, "append-only"


def test_an_award_works_without_a_game(bq: Project) -> None:
    assert award(bq, 5)["new_balance"] == 5
    assert bq.balance("ada") == 5
    assert award(bq, 5)["tier_upgrade"] is None


def test_an_award_tells_the_tier_it_leads_to(bq: Project) -> None:
    bq.apply(GAME)
    assert award(bq, 99)["tier_upgrade"]["code"] == "bronze"
    assert award(bq, 1)["tier_upgrade"] == {
        "code": "gold",
        "name": "Gold",
        "level": 3,
        "previous_code": "bronze",
        "previous_level": 1,
    }
    assert award(bq, 1)["tier_upgrade"] is None


@pytest.mark.parametrize("by", ["header", "body"])
@pytest.mark.parametrize("verb", ["award", "deduct"])
def test_a_repeat_gets_the_original_answer_even_after_the_balance_changed(bq: Project, by: str, verb: str) -> None:
    bq.apply(GAME)
    award(bq, 90)

    def post() -> Any:
        if by == "header":
            return bq.post(f"/gamify/points/{verb}", sent(20), **{"Idempotency-Key": "k-1"})
        return bq.post(f"/gamify/points/{verb}", sent(20, idempotency_key="k-1"))

    first = post()
    assert first.status_code == 200
    assert "Idempotent-Replayed" not in first.headers
    award(bq, 500)
    balance = bq.balance("ada")
    again = post()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert bq.balance("ada") == balance
    check_ledger(bq)


def test_a_repeat_of_a_deduction_is_answered_though_nothing_is_left(bq: Project) -> None:
    award(bq, 20)
    first = bq.post("/gamify/points/deduct", sent(20, idempotency_key="k-1"))
    again = bq.post("/gamify/points/deduct", sent(20, idempotency_key="k-1"))
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert bq.balance("ada") == 0


def test_a_key_in_header_and_body_is_one_key(bq: Project) -> None:
    first = bq.post("/gamify/points/award", sent(), **{"Idempotency-Key": "k-1"})
    again = bq.post("/gamify/points/award", sent(idempotency_key="k-1"))
    assert again.json() == first.json()
    differing = bq.post("/gamify/points/award", sent(idempotency_key="k-2"), **{"Idempotency-Key": "k-3"})
    check(differing, Code.VALIDATION_FAILED)
    assert bq.balance("ada") == 10


@pytest.mark.parametrize("more", [{"amount": 11}, {"participant_id": "bob"}, {"reason": "other"}], ids=str)
def test_a_key_for_another_award_is_a_conflict(bq: Project, more: Json) -> None:
    award(bq, 10, idempotency_key="k-1")
    check(bq.post("/gamify/points/award", sent(idempotency_key="k-1") | more), Code.IDEMPOTENCY_CONFLICT)
    check(bq.post("/gamify/points/deduct", sent(idempotency_key="k-1")), Code.IDEMPOTENCY_CONFLICT)
    assert bq.balance("ada") == 10


@pytest.mark.parametrize("route", ["/ingest/events", "/ingest/events/sync", "/gamify/events"])
def test_a_key_of_an_award_and_of_an_event_is_one_key(bq: Project, route: str) -> None:
    award(bq, idempotency_key="k-1")
    check(bq.post(route, event(idempotency_key="k-1")), Code.IDEMPOTENCY_CONFLICT)
    accepted = bq.post(route, event(idempotency_key="k-2"))
    assert accepted.is_success
    check(bq.post("/gamify/points/award", sent(idempotency_key="k-2")), Code.IDEMPOTENCY_CONFLICT)
    bq.settled(bq.send(event("last")).json()["message_id"])
    assert len(bq.facts(event_name="purchase_completed")) == 1
    assert bq.balance("ada") == 10


def test_the_same_award_at_the_same_time_is_given_once(bq: Project) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: award(bq, 7, idempotency_key="k-1"), range(16)))
    assert all(answer == answers[0] for answer in answers)
    assert bq.balance("ada") == 7
    check_ledger(bq)


def test_a_short_balance_is_told_with_what_is_available_and_requested(bq: Project) -> None:
    award(bq, 30)
    problem = check(bq.post("/gamify/points/deduct", sent(31, idempotency_key="k-1")), Code.INSUFFICIENT_POINTS)
    assert problem["status"] == 400
    assert "30" in problem["detail"]
    assert "31" in problem["detail"]
    assert bq.balance("ada") == 30
    assert bq.facts(fact_type="system.points_deducted") == []
    award(bq, 1)
    assert bq.post("/gamify/points/deduct", sent(31, idempotency_key="k-1")).status_code == 200, "the key is free"
    check(bq.post("/gamify/points/deduct", sent(1) | {"participant_id": "unknown"}), Code.INSUFFICIENT_POINTS)
    check(bq.get("/gamify/participants/unknown"), Code.NOT_FOUND)


def test_deductions_at_the_same_time_never_overdraw(bq: Project) -> None:
    award(bq, 100)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: bq.post("/gamify/points/deduct", sent(10)), range(20)))
    taken = [answer.json()["new_balance"] for answer in answers if answer.status_code == 200]
    assert sorted(taken) == list(range(0, 100, 10))
    for answer in answers:
        if answer.status_code != 200:
            check(answer, Code.INSUFFICIENT_POINTS)
    assert bq.balance("ada") == 0
    check_ledger(bq)


def test_awards_and_events_at_the_same_time_add_up(bq: Project) -> None:
    bq.apply(GAME)

    def one(number: int) -> int:
        if number % 2:
            return bq.send_sync(event("act", "ada")).status_code
        return bq.post("/gamify/points/award", sent(1)).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(60))) == {200}
    assert bq.balance("ada") == 30 * 10 + 30
    check_ledger(bq)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 1_000_001}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"amount": "10"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": None}, "amount"),
        ({"participant_id": ""}, "participant_id"),
        ({"participant_id": "x" * 256}, "participant_id"),
        ({"participant_id": 7}, "participant_id"),
        ({"reason": "x" * 501}, "reason"),
        ({"metadata": []}, "metadata"),
        ({"points": 5}, "points"),
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["award", "deduct"])
def test_what_an_award_must_be(bq: Project, verb: str, change: Json, field: str) -> None:
    problem = check(bq.post(f"/gamify/points/{verb}", sent() | change), Code.VALIDATION_FAILED)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert bq.facts() == []


def test_the_largest_award_is_a_million(bq: Project) -> None:
    assert award(bq, 1_000_000)["new_balance"] == 1_000_000


@pytest.mark.parametrize("path", ["points/award", "points/deduct", "badges/award"])
def test_awards_need_the_scope_ingest(bq: Project, path: str) -> None:
    with bq.using("test:read") as reader:
        check(reader.post(f"/gamify/{path}", sent()), Code.FORBIDDEN)


def test_live_points_are_not_test_points(bq: Project) -> None:
    award(bq, 10, idempotency_key="k-1")
    with bq.using("live") as other:
        check(other.get("/gamify/participants/ada/points"), Code.NOT_FOUND)
        assert award(other, 20, idempotency_key="k-1")["new_balance"] == 20
    assert bq.balance("ada") == 10


# Badges


def give(bq: Project, code: str = "champion", participant_id: str = "ada") -> Json:
    answer = bq.post("/gamify/badges/award", {"participant_id": participant_id, "badge_code": code})
    assert answer.status_code == 200, answer.text
    given: Json = answer.json()
    return given


def test_a_badge_is_given_once_and_keeps_the_time(bq: Project) -> None:
    bq.apply(GAME)
    first = give(bq)
    assert first == {
        "participant_id": "ada",
        "badge_code": "champion",
        "badge_name": "Champion",
        "icon": "champion.svg",
        "rarity": "epic",
        "earned_at": first["earned_at"],
        "already_earned": False,
    }
    assert give(bq) == first | {"already_earned": True}
    (held,) = bq.participant("ada", "/badges", earned_only=True)["badges"]
    assert (held["code"], held["earned_at"]) == ("champion", first["earned_at"])
    assert len(bq.facts(fact_type="system.badge_awarded")) == 1


def test_a_badge_given_at_the_same_time_is_given_once(bq: Project) -> None:
    bq.apply(GAME)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: give(bq), range(16)))
    assert [answer["already_earned"] for answer in answers].count(False) == 1
    assert len({answer["earned_at"] for answer in answers}) == 1
    assert len(bq.facts(fact_type="system.badge_awarded")) == 1


def test_a_badge_that_was_earned_is_not_given_again_nor_the_other_way_round(bq: Project) -> None:
    bq.apply(GAME)
    bq.send_sync(event("act", "ada", timestamp="2026-03-01T00:00:00Z"))
    given = give(bq, "starter")
    assert (given["already_earned"], given["earned_at"]) == (True, "2026-03-01T00:00:00Z")
    first = give(bq, "starter", "bob")
    assert first["already_earned"] is False
    assert [effect for effect in bq.told(event("act", "bob"))["effects"] if effect["type"] == "badge"] == []
    assert give(bq, "starter", "bob")["earned_at"] == first["earned_at"]


def test_only_a_badge_of_the_game_can_be_given(bq: Project) -> None:
    bq.apply(GAME)
    check(bq.post("/gamify/badges/award", {"participant_id": "ada", "badge_code": "none"}), Code.NOT_FOUND)
    for body in ({"participant_id": "ada"}, {"badge_code": "champion"}, {"participant_id": "", "badge_code": "x"}):
        check(bq.post("/gamify/badges/award", body), Code.VALIDATION_FAILED)
    with bq.using("live") as other:
        check(other.post("/gamify/badges/award", {"participant_id": "ada", "badge_code": "champion"}), Code.NOT_FOUND)
    assert bq.facts() == []
