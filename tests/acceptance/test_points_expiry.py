"""Points that expire, by the clock of the environment."""

import pytest

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check

GAME: Json = {
    "points": [{"code": "spend", "on": "bought", "award": "properties.amount"}],
    "points_expire": {"after": "P30D"},
}


@pytest.fixture(autouse=True)
def _clock(bq: Project) -> None:
    bq.request("PUT", "/sandbox/clock", json={"now": "2026-04-02T09:00:00Z"})
    bq.apply(GAME)


def advance(bq: Project, by: str) -> None:
    assert bq.post("/sandbox/clock/advance", {"by": by}).status_code == 200


def expiring(bq: Project) -> list[tuple[int, str]]:
    found = bq.participant("ada", "/points/expiring")["expiring"]
    return [(each["amount"], each["expires_at"]) for each in found]


def test_what_is_not_spent_expires_as_a_fact(bq: Project) -> None:
    bq.told(event("bought", "ada", properties={"amount": 50}))
    advance(bq, "P10D")
    bq.told(event("bought", "ada", properties={"amount": 20}))
    bq.post("/gamify/points/deduct", {"participant_id": "ada", "amount": 30})
    assert expiring(bq) == [(20, "2026-05-02T09:00:00Z"), (20, "2026-05-12T09:00:00Z")]
    advance(bq, "P20D")
    points = bq.participant("ada", "/points")
    assert (points["balance"], points["total_expired"], points["total_spent"]) == (20, 20, 30)
    (fact,) = bq.facts(fact_type="system.points_expired")
    assert (fact["properties"], fact["occurred_at"]) == ({"amount": 20}, "2026-05-02T09:00:00Z")
    newest = bq.participant("ada", "/points/transactions")["transactions"][0]
    assert (newest["type"], newest["amount"], newest["cause"]) == ("expiry", -20, f"expired:{fact['fact_id']}")
    assert expiring(bq) == [(20, "2026-05-12T09:00:00Z")]
    advance(bq, "P60D")
    assert bq.balance("ada") == 0
    assert expiring(bq) == []


def test_each_moment_has_its_own_fact_and_none_comes_twice(bq: Project) -> None:
    for _ in range(3):
        bq.told(event("bought", "ada", properties={"amount": 5}))
        advance(bq, "P1D")
    advance(bq, "P300D")
    advance(bq, "P300D")
    facts = bq.facts(fact_type="system.points_expired")
    assert [fact["occurred_at"] for fact in facts][::-1] == [f"2026-05-0{day}T09:00:00Z" for day in (2, 3, 4)]
    assert bq.balance("ada") == 0


def test_a_late_event_whose_points_have_expired_already(bq: Project) -> None:
    advance(bq, "P100D")
    bq.send(event("bought", "ada", properties={"amount": 5}, timestamp="2026-04-03T09:00:00Z"))
    bq.drain()
    points = bq.participant("ada", "/points")
    assert (points["balance"], points["total_earned"], points["total_expired"]) == (0, 5, 5)


def test_a_game_whose_points_begin_to_expire(bq: Project) -> None:
    bq.apply({**GAME, "points_expire": None})
    bq.told(event("bought", "ada", properties={"amount": 5}))
    advance(bq, "P40D")
    assert (bq.balance("ada"), expiring(bq)) == (5, [])
    bq.apply(GAME)
    bq.drain()
    assert bq.balance("ada") == 0


def test_expired_points_can_t_be_spent(bq: Project) -> None:
    bq.told(event("bought", "ada", properties={"amount": 5}))
    advance(bq, "P40D")
    check(bq.post("/gamify/points/deduct", {"participant_id": "ada", "amount": 1}), Code.INSUFFICIENT_POINTS)
