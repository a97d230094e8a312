"""Points that one participant gives another, over HTTP: both or neither, once for each key, never overdrawn."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx import Response

from bq_server.refusals import Code
from tests.support.client import Json, Project
from tests.support.problems import check

GAME: Json = {"transfers": True, "currencies": [{"code": "coins"}, {"code": "gems"}]}


@pytest.fixture(autouse=True)
def _game(bq: Project) -> None:
    bq.apply(GAME)


def give(bq: Project, amount: int, who: str = "ada", **more: Any) -> None:
    assert bq.post("/gamify/points/award", {"participant_id": who, "amount": amount, **more}).status_code == 200


def transfer(bq: Project, amount: int, to: str = "bob", who: str = "ada", **more: Any) -> Response:
    return bq.post("/gamify/points/transfer", {"participant_id": who, "recipient_id": to, "amount": amount, **more})


def test_both_are_told_of_one_fact(bq: Project) -> None:
    give(bq, 50)
    told = transfer(bq, 20, reason="thanks", metadata={"by": "hand"}).json()
    assert told == {
        "transfer_id": told["transfer_id"],
        "participant_id": "ada",
        "recipient_id": "bob",
        "amount": 20,
        "new_balance": 30,
        "recipient_balance": 20,
    }
    (fact,) = bq.facts(fact_type="system.points_transferred")
    assert fact["fact_id"] == told["transfer_id"]
    assert fact["properties"] == {"recipient_id": "bob", "amount": 20, "reason": "thanks", "metadata": {"by": "hand"}}
    effects = bq.get(f"/facts/{told['transfer_id']}/effects").json()["effects"]
    assert [(each.get("participant_id"), each["amount"], each["balance"]) for each in effects] == [
        (None, -20, 30),
        ("bob", 20, 20),
    ]
    for who, amount, kind in (("ada", -20, "deduction"), ("bob", 20, "award")):
        newest = bq.participant(who, "/points/transactions")["transactions"][0]
        assert (newest["amount"], newest["type"]) == (amount, kind)
        assert newest["cause"] == f"transfer:{told['transfer_id']}"
    points = bq.participant("bob", "/points")
    assert (points["balance"], points["total_earned"], points["total_received"]) == (20, 0, 20)
    assert "total_received" not in bq.participant("ada", "/points")
    assert bq.get("/admin/audit-log").json()["entries"][0]["action"] == "points_transferred"


def test_a_repeat_gets_the_first_answer_though_nothing_is_left(bq: Project) -> None:
    give(bq, 20)
    first = transfer(bq, 20, idempotency_key="k-1")
    give(bq, 5, "bob")
    again = transfer(bq, 20, idempotency_key="k-1")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    check(transfer(bq, 20, "eve", idempotency_key="k-1"), Code.IDEMPOTENCY_CONFLICT)
    assert (bq.balance("ada"), bq.balance("bob")) == (0, 25)


def test_a_short_balance_moves_nothing(bq: Project) -> None:
    give(bq, 30)
    problem = check(transfer(bq, 31), Code.INSUFFICIENT_POINTS)
    assert "30 points are available and 31 were requested" in problem["detail"]
    check(transfer(bq, 1, currency="gems"), Code.INSUFFICIENT_POINTS)
    check(bq.get("/gamify/participants/bob"), Code.NOT_FOUND)
    assert bq.balance("ada") == 30


def test_in_a_currency(bq: Project) -> None:
    give(bq, 9, currency="gems")
    told = transfer(bq, 4, currency="gems").json()
    assert (told["new_balance"], told["recipient_balance"], told["currency"]) == (5, 4, "gems")
    gems = bq.participant("bob", "/points")["currencies"][1]
    assert (gems["balance"], gems["total_received"]) == (4, 4)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"recipient_id": "ada"}, "recipient_id"),
        ({"recipient_id": ""}, "recipient_id"),
        ({"amount": 0}, "amount"),
        ({"amount": 1_000_001}, "amount"),
        ({"currency": "gold"}, "currency"),
        ({"to": "eve"}, "to"),
    ],
    ids=str,
)
def test_what_a_transfer_must_be(bq: Project, change: Json, field: str) -> None:
    body = {"participant_id": "ada", "recipient_id": "bob", "amount": 1} | change
    problem = check(bq.post("/gamify/points/transfer", body), Code.VALIDATION_FAILED)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert bq.facts() == []


def test_only_where_the_game_says_so(bq: Project) -> None:
    give(bq, 10)
    transfer(bq, 4)
    bq.apply({**GAME, "transfers": False})
    assert "transfers: true" in check(transfer(bq, 1), Code.NOT_FOUND)["detail"]
    assert (bq.balance("ada"), bq.balance("bob")) == (6, 4)


def test_a_void_undoes_it_for_both_and_the_recipient_may_owe(bq: Project) -> None:
    give(bq, 10)
    made = transfer(bq, 10).json()
    bq.post("/gamify/points/deduct", {"participant_id": "bob", "amount": 4})
    assert bq.post(f"/facts/{made['transfer_id']}/void", {"reason": "a mistake"}).status_code == 200
    assert bq.balance("ada") == 10
    points = bq.participant("bob", "/points")
    assert (points["balance"], points["owed"], points["total_spent"]) == (0, 4, 4)


def test_a_recipient_keeps_what_an_erased_participant_gave(bq: Project) -> None:
    give(bq, 10)
    transfer(bq, 10)
    with bq.using("test:admin") as admin:
        erased = admin.post("/admin/participants/erase", {"participant_id": "ada", "clean_up": False})
    assert erased.status_code == 200, erased.text
    assert bq.balance("bob") == 10
    give(bq, 1, "bob")
    assert bq.balance("bob") == 11


def test_at_the_same_time_nothing_is_made_or_lost(bq: Project) -> None:
    people = ["ada", "bob", "eve"]
    for who in people:
        give(bq, 20, who)

    def one(number: int) -> int:
        who, to = people[number % 3], people[(number * 2 + 1) % 3]
        return transfer(bq, 7, to if to != who else people[(number + 1) % 3], who).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(one, range(30))) <= {200, 400}
    balances = [bq.balance(who) for who in people]
    assert sum(balances) == 60
    assert min(balances) >= 0
