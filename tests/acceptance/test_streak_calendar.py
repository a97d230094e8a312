"""A streak's calendar, and freezes bought and used over HTTP."""

from typing import Any

from bq_server.refusals import Code
from tests.support.client import Project
from tests.support.game import act, send_sync
from tests.support.problems import check

Json = dict[str, Any]


def game(**more: Any) -> Json:
    return {"streaks": [{"code": "daily", "on": "act", "grace_period_hours": 0, "timezone": "UTC", **more}]}


def at_noon(bq: Project, day: str) -> None:
    bq.request("PUT", "/sandbox/clock", json={"now": f"{day}T12:00:00Z"})


def test_a_calendar_shows_the_month(bq: Project) -> None:
    bq.apply(game(freezes={"monthly": 1, "max": 1}))
    send_sync(bq, [act("ada", "2026-04-02T12:00:00Z"), act("ada", "2026-04-04T12:00:00Z")])
    at_noon(bq, "2026-04-05")
    calendar = bq.participant("ada", "/streaks/daily/calendar")
    assert {name: calendar[name] for name in ("participant_id", "streak_code", "period", "timezone", "required")} == {
        "participant_id": "ada",
        "streak_code": "daily",
        "period": "daily",
        "timezone": "UTC",
        "required": 1,
    }
    assert (calendar["start"], calendar["end"]) == ("2026-04-01", "2026-04-30")
    assert calendar["periods"][1] == {
        "date": "2026-04-02",
        "starts_at": "2026-04-02T00:00:00Z",
        "ends_at": "2026-04-03T00:00:00Z",
        "status": "recorded",
        "times": 1,
    }
    assert [each["status"] for each in calendar["periods"][:6]] == [
        "none",
        "recorded",
        "frozen",
        "recorded",
        "open",
        "upcoming",
    ]
    two = bq.participant("ada", "/streaks/daily/calendar", start="2026-04-03", end="2026-04-04")
    assert [each["date"] for each in two["periods"]] == ["2026-04-03", "2026-04-04"]


def test_a_calendar_is_refused_with_a_reason(bq: Project) -> None:
    bq.apply(game())
    send_sync(bq, [act("ada", "2026-04-02T12:00:00Z")])
    path = "/gamify/participants/ada/streaks"
    assert "no streak other" in check(bq.get(f"{path}/other/calendar"), Code.NOT_FOUND)["detail"]
    check(bq.get("/gamify/participants/bob/streaks/daily/calendar"), Code.NOT_FOUND)
    for query in (
        {"start": "2026-04-31"},
        {"start": "2026-04-02", "end": "2026-04-01"},
        {"start": "2024-01-01", "end": "2026-04-01"},
        {"month": "4"},
    ):
        check(bq.get(f"{path}/daily/calendar", **query), Code.VALIDATION_FAILED)


def test_a_freeze_is_bought_once_under_one_key(bq: Project) -> None:
    bq.apply(game(freezes={"max": 2, "price": 30}))
    at_noon(bq, "2026-04-02")
    send_sync(bq, [act("ada", "2026-04-02T11:00:00Z")])
    bq.post("/gamify/points/award", {"participant_id": "ada", "amount": 100})
    path = "/gamify/participants/ada/streaks/daily/freezes/buy"
    first = bq.request("POST", path, json={}, headers={"Idempotency-Key": "f-1"})
    assert first.json() == {
        "participant_id": "ada",
        "streak_code": "daily",
        "freezes": {"available": 1, "max": 2, "automatic": True, "price": 30},
    }
    again = bq.request("POST", path, json={}, headers={"Idempotency-Key": "f-1"})
    assert again.headers["Idempotent-Replayed"] == "true"
    assert bq.participant("ada", "/points")["balance"] == 70
    assert bq.post(path, {}).json()["freezes"]["available"] == 2
    assert "at most" in check(bq.post(path, {}), Code.FREEZE_UNAVAILABLE)["detail"]
    (state,) = bq.participant("ada", "/streaks")["streaks"]
    assert state["freezes"] == {"available": 2, "max": 2, "automatic": True, "price": 30}
    assert state["is_at_risk"] is False


def test_what_can_not_be_bought_or_used_is_refused(bq: Project) -> None:
    bq.apply(
        {
            "streaks": [
                {"code": "none", "on": "act"},
                {"code": "free", "on": "act", "freezes": {"max": 1}},
                {"code": "dear", "on": "act", "freezes": {"max": 1, "price": 30}},
                {"code": "own", "on": "act", "freezes": {"max": 1, "automatic": False}},
            ]
        }
    )
    send_sync(bq, [act("ada", "2026-04-02T11:00:00Z")])
    path = "/gamify/participants/ada/streaks"
    for code, action, expected in (
        ("none", "buy", Code.FREEZE_UNAVAILABLE),
        ("free", "buy", Code.FREEZE_UNAVAILABLE),
        ("dear", "buy", Code.INSUFFICIENT_POINTS),
        ("gone", "buy", Code.NOT_FOUND),
        ("none", "use", Code.FREEZE_UNAVAILABLE),
        ("dear", "use", Code.FREEZE_UNAVAILABLE),
        ("own", "use", Code.FREEZE_UNAVAILABLE),
        ("gone", "use", Code.NOT_FOUND),
    ):
        check(bq.post(f"{path}/{code}/freezes/{action}", {}), expected)
    check(bq.post(f"{path}/dear/freezes/buy", {"price": 1}), Code.VALIDATION_FAILED)
    check(bq.post(f"{path}/own/freezes/use", {"date": "tomorrow"}), Code.VALIDATION_FAILED)
    assert bq.facts(fact_type="system.streak_freeze_bought") == []


def test_a_day_is_covered_once(bq: Project) -> None:
    bq.apply(game(grace_period_hours=24, freezes={"monthly": 2, "max": 2, "automatic": False}))
    at_noon(bq, "2026-04-02")
    send_sync(bq, [act("ada", "2026-04-02T11:00:00Z")])
    at_noon(bq, "2026-04-04")
    path = "/gamify/participants/ada/streaks/daily/freezes/use"
    for _ in range(2):
        assert bq.post(path, {"date": "2026-04-03"}).json()["freezes"]["available"] == 1
    (fact,) = bq.facts(fact_type="system.streak_freeze_used")
    assert fact["properties"] == {"streak_code": "daily", "starts_at": 1775174400000000}
    check(bq.post(path, {"date": "2026-04-02"}), Code.FREEZE_UNAVAILABLE)
    at_noon(bq, "2026-04-05")
    calendar = bq.participant("ada", "/streaks/daily/calendar")
    assert [each["status"] for each in calendar["periods"][1:5]] == ["recorded", "frozen", "forgiven", "open"]
