"""Streaks and tiers over the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.client import Json, Project
from tests.support.game import (
    act,
    ago,
    paying,
)

# Streaks


def streaking(**more: Any) -> Json:
    return {"streaks": [{"code": "run", "on": "act", **more}]}


def run_of(bq: Project, *moments: str) -> Json:
    for at in moments:
        bq.send_sync(act("ada", at))
    (streak,) = bq.participant("ada", "/streaks")["streaks"]
    assert isinstance(streak, dict)
    return streak


@pytest.mark.parametrize(
    ("grace", "days", "longest"),
    [
        (0, ["01", "02", "03"], 3),
        (0, ["01", "01", "02"], 2),
        (0, ["01", "03", "04"], 2),
        (24, ["01", "03", "04"], 3),
        (24, ["01", "04"], 1),
        (48, ["01", "04"], 2),
        (24, ["04", "01", "03"], 3),
    ],
)
def test_a_daily_streak_with_its_grace(bq: Project, grace: int, days: list[str], longest: int) -> None:
    bq.apply(streaking(grace_period_hours=grace))
    streak = run_of(bq, *[f"2026-03-{day}T12:00:00Z" for day in days])
    assert (streak["longest_count"], streak["current_count"]) == (longest, 0)
    assert streak["last_recorded_at"] == f"2026-03-{max(days)}T12:00:00Z"


@pytest.mark.parametrize(
    ("period", "moments", "longest"),
    [
        ("weekly", ["2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z", "2026-03-15T12:00:00Z"], 3),
        ("weekly", ["2026-03-02T00:00:00Z", "2026-03-08T23:00:00Z"], 1),
        ("weekly", ["2026-03-02T00:00:00Z", "2026-03-16T00:00:00Z"], 1),
        ("monthly", ["2026-01-31T23:00:00Z", "2026-02-01T00:00:00Z", "2026-03-31T00:00:00Z"], 3),
        ("monthly", ["2025-12-01T00:00:00Z", "2026-01-31T00:00:00Z", "2026-03-01T00:00:00Z"], 2),
    ],
)
def test_weeks_start_on_monday_and_months_on_the_first(
    bq: Project, period: str, moments: list[str], longest: int
) -> None:
    bq.apply(streaking(period=period, grace_period_hours=0))
    assert run_of(bq, *moments)["longest_count"] == longest


def test_a_streak_of_now_is_running_and_at_risk_when_today_is_missing(bq: Project) -> None:
    bq.apply(streaking(grace_period_hours=0))
    yesterday = run_of(bq, ago(days=2), ago(days=1))
    assert (yesterday["current_count"], yesterday["is_at_risk"]) == (2, True)
    today = run_of(bq, ago())
    assert (today["current_count"], today["longest_count"], today["is_at_risk"]) == (3, 3, False)
    assert bq.participant("ada")["streaks"]["code"] == "run"


def test_a_streak_keeps_to_the_calendar_of_its_zone_through_dst(bq: Project) -> None:
    bq.apply(streaking(timezone="Europe/Paris", grace_period_hours=0))
    moments = [f"2026-03-{day}T23:30:00Z" for day in ("26", "27")]  # 00:30 on the day after, in winter
    moments += [f"2026-03-{day}T22:30:00Z" for day in ("29", "30")]  # and in summer
    streak = run_of(bq, *moments, "2026-03-29T10:00:00Z")
    assert (streak["longest_count"], streak["timezone"]) == (5, "Europe/Paris")


def test_a_new_zone_holds_from_now_on_and_never_for_the_past(bq: Project) -> None:
    bq.apply(streaking(grace_period_hours=0))
    moments = ["2026-03-01T10:00:00Z", "2026-03-01T23:30:00Z"]  # one day in UTC, two in Tokyo
    assert run_of(bq, *moments)["longest_count"] == 1
    bq.request("PATCH", "/gamify/participants/ada", json={"timezone": "Asia/Tokyo"})
    assert run_of(bq)["longest_count"] == 1
    assert run_of(bq, "2026-03-05T10:00:00Z", "2026-03-05T23:30:00Z")["longest_count"] == 1, "late, and before it"
    ahead = (datetime.now(UTC) + timedelta(days=10)).strftime("%Y-%m-%d")
    streak = run_of(bq, f"{ahead}T10:00:00Z", f"{ahead}T23:30:00Z")
    assert (streak["longest_count"], streak["timezone"]) == (2, "Asia/Tokyo")
    (fact,) = bq.facts(fact_type="system.timezone_changed")
    assert fact["properties"]["timezone"] == "Asia/Tokyo"


def test_a_zone_told_before_the_game_counts_for_it(bq: Project) -> None:
    bq.post("/gamify/participants", {"participant_id": "ada", "timezone": "Asia/Tokyo"})
    bq.apply(streaking(grace_period_hours=0))
    ahead = (datetime.now(UTC) + timedelta(days=10)).strftime("%Y-%m-%d")
    assert run_of(bq, f"{ahead}T10:00:00Z", f"{ahead}T23:30:00Z")["longest_count"] == 2


def test_a_streak_milestone_rewards_once(bq: Project) -> None:
    milestones = [{"at": 2, "rewards": [{"points": 7}]}]
    bq.apply(streaking(grace_period_hours=0, milestones=milestones))
    run_of(bq, "2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z", "2026-03-03T12:00:00Z")
    assert bq.balance("ada") == 7
    streak = run_of(bq, "2026-04-01T12:00:00Z", "2026-04-02T12:00:00Z")
    assert bq.balance("ada") == 7
    assert [(each["at"], each["reached_at"]) for each in streak["milestones"]] == [(2, "2026-03-02T12:00:00Z")]


# Tiers


TIERS = [
    {"code": "bronze", "name": "Bronze", "level": 1, "min_points": 0},
    {"code": "silver", "name": "Silver", "level": 2, "min_points": 100},
    {"code": "gold", "name": "Gold", "level": 3, "min_points": 300},
]


def test_a_tier_goes_by_lifetime_points_and_never_falls(bq: Project) -> None:
    bq.apply({"points": [paying(100)], "tiers": TIERS})
    bq.post("/gamify/participants", {"participant_id": "ada"})
    start = bq.participant("ada", "/tier")
    assert (start["current_tier"]["code"], start["next_tier"]["code"]) == ("bronze", "silver")
    bq.send_sync(act("ada", "2026-03-01T00:00:00Z"))
    assert bq.post("/gamify/points/deduct", {"participant_id": "ada", "amount": 100}).status_code == 200
    tier = bq.participant("ada", "/tier")
    assert (tier["current_tier"]["code"], tier["current_tier"]["achieved_at"]) == ("silver", "2026-03-01T00:00:00Z")
    assert tier["next_tier"] == {"code": "gold", "name": "Gold", "points_required": 300, "points_remaining": 200}
    bq.apply({"points": [paying(100)], "tiers": [*TIERS[:1], TIERS[1] | {"min_points": 250}, TIERS[2]]})
    assert bq.participant("ada", "/tier")["current_tier"]["code"] == "silver"
    for _ in range(2):
        bq.send_sync(act())
    tier = bq.participant("ada", "/tier")
    assert (tier["current_tier"]["code"], tier["next_tier"]) == ("gold", None)
    assert [each["code"] for each in tier["tier_history"]] == ["bronze", "silver", "gold"]


def test_without_tiers_there_is_none(bq: Project) -> None:
    bq.send_sync(act())
    tier = bq.participant("ada", "/tier")
    assert (tier["current_tier"], tier["next_tier"], tier["tier_history"]) == (None, None, [])
