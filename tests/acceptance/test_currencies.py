"""Several currencies over the API: what is given, spent, claimed and expires in each, and what is told of it."""

import pytest

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check

GAME: Json = {
    "currencies": [
        {"code": "coins", "name": "Coins"},
        {"code": "gems", "name": "Gems", "points_expire": {"after": "P30D"}},
    ],
    "points": [
        {"code": "coins", "on": "act", "award": 10},
        {"code": "gems", "on": "act", "award": 3, "currency": "gems"},
    ],
    "rewards": [{"code": "mug", "name": "A mug", "cost": 2, "currency": "gems", "limit": None}],
}


@pytest.fixture(autouse=True)
def _game(bq: Project) -> None:
    bq.request("PUT", "/sandbox/clock", json={"now": "2026-04-02T09:00:00Z"})
    bq.apply(GAME)


def balances(bq: Project, who: str = "ada") -> dict[str, int]:
    answer = bq.participant(who, "/points")
    told = {each["code"]: each["balance"] for each in answer["currencies"]}
    assert answer["balance"] == told["coins"]
    for points in (bq.participant(who)["points"], bq.participant(who, "/state")["points"]):
        assert points["currencies"] == answer["currencies"]
    return told


def test_an_event_is_paid_in_both_and_the_ledger_tells_them_apart(bq: Project) -> None:
    effects = bq.told(event("act", "ada"))["effects"]
    assert [(each["amount"], each["balance"], each.get("currency")) for each in effects] == [
        (10, 10, None),
        (3, 3, "gems"),
    ]
    assert balances(bq) == {"coins": 10, "gems": 3}
    gems, coins = bq.participant("ada", "/points/transactions")["transactions"]
    assert (gems["currency"], gems["balance"], gems["cause"].partition(":")[0]) == ("gems", 3, "gems/points")
    assert "currency" not in coins


def test_by_hand_in_a_currency(bq: Project) -> None:
    body = {"participant_id": "ada", "amount": 5, "currency": "gems", "idempotency_key": "k-1"}
    given = bq.post("/gamify/points/award", body).json()
    assert (given["new_balance"], given["currency"]) == (5, "gems")
    assert bq.post("/gamify/points/award", body).json() == given
    in_coins = bq.post("/gamify/points/award", body | {"currency": "coins", "idempotency_key": "k-2"}).json()
    assert (in_coins["new_balance"], "currency" in in_coins) == (5, False)
    assert [fact["properties"].get("currency") for fact in bq.facts(fact_type="system.points_awarded")] == [
        None,
        "gems",
    ]
    taken = bq.post("/gamify/points/deduct", {"participant_id": "ada", "amount": 4, "currency": "gems"}).json()
    assert (taken["new_balance"], taken["currency"]) == (1, "gems")
    short = {"participant_id": "ada", "amount": 2, "currency": "gems"}
    problem = check(bq.post("/gamify/points/deduct", short), Code.INSUFFICIENT_POINTS)
    assert "1 gems are available and 2 were requested" in problem["detail"]
    assert balances(bq) == {"coins": 5, "gems": 1}


@pytest.mark.parametrize("verb", ["award", "deduct"])
@pytest.mark.parametrize("currency", ["gold", "", "a:b"])
def test_only_a_currency_of_the_game(bq: Project, verb: str, currency: str) -> None:
    body = {"participant_id": "ada", "amount": 1, "currency": currency}
    problem = check(bq.post(f"/gamify/points/{verb}", body), Code.VALIDATION_FAILED)
    assert [error["field"] for error in problem["errors"]] == ["currency"]
    assert "coins, gems" in problem["detail"]
    assert bq.facts() == []


def test_a_reward_is_claimed_in_its_currency(bq: Project) -> None:
    bq.told(event("act", "ada"))
    assert bq.get("/gamify/rewards").json()["rewards"][0]["currency"] == "gems"
    claimed = bq.post("/gamify/rewards/mug/claim", {"participant_id": "ada"}).json()
    assert (claimed["points_deducted"], claimed["new_balance"], claimed["currency"]) == (2, 1, "gems")
    check(bq.post("/gamify/rewards/mug/claim", {"participant_id": "ada"}), Code.INSUFFICIENT_POINTS)
    (held,) = bq.participant("ada", "/rewards")["rewards"]
    assert (held["points_deducted"], held["currency"]) == (2, "gems")
    bq.post(f"/gamify/claims/{claimed['claim_id']}/cancel", {})
    assert balances(bq) == {"coins": 10, "gems": 3}


def test_points_of_one_currency_expire_and_those_of_another_stay(bq: Project) -> None:
    bq.told(event("act", "ada"))
    expiring = bq.participant("ada", "/points/expiring")["expiring"]
    assert expiring == [{"amount": 3, "expires_at": "2026-05-02T09:00:00Z", "currency": "gems"}]
    bq.post("/gamify/points/deduct", {"participant_id": "ada", "amount": 1, "currency": "gems"})
    assert bq.post("/sandbox/clock/advance", {"by": "P30D"}).status_code == 200
    assert balances(bq) == {"coins": 10, "gems": 0}
    (fact,) = bq.facts(fact_type="system.points_expired")
    assert fact["properties"] == {"amount": 2, "currency": "gems"}


def test_the_default_can_t_change_places(bq: Project) -> None:
    turned = {**GAME, "currencies": [{"code": "gems"}, {"code": "coins"}], "rewards": [], "points": []}
    problem = check(bq.request("PUT", "/gamify/admin/game", json=turned), Code.VALIDATION_FAILED)
    assert problem["errors"][0]["field"] == "currencies"
    assert "keep it first, or rename it" in problem["detail"]


def test_a_game_of_one_currency_answers_as_before(bq: Project) -> None:
    bq.apply({"points": [{"code": "p", "on": "act", "award": 1}]})
    bq.told(event("act", "bob"))
    assert "currencies" not in bq.participant("bob", "/points")
    assert "currencies" not in bq.participant("bob", "/state")["points"]
    assert "currency" not in bq.participant("bob", "/points/transactions")["transactions"][0]
