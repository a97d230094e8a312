"""What tests of the sandbox share: a game of every mechanic, and its calls."""

import json
from typing import Any

import httpx

from tests.support.client import Json, Project, event

GAME = {
    "points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}],
    "badges": [
        {"code": "first", "name": "First", "criteria": {"on": "purchase_completed", "target": 1}},
        {"code": "medal", "name": "Medal"},
    ],
    "streaks": [
        {"code": "daily", "on": "purchase_completed", "period": "daily", "timezone": "UTC", "grace_period_hours": 0}
    ],
    "challenges": [
        {
            "code": "april",
            "name": "April",
            "duration": {"type": "fixed", "starts_at": "2026-04-01T00:00:00Z", "ends_at": "2026-05-01T00:00:00Z"},
            "objectives": [{"code": "buy", "on": "purchase_completed", "target": 3}],
        },
        {
            "code": "club",
            "name": "Club",
            "enrolment": "explicit",
            "duration": {"type": "rolling", "days": 7},
            "objectives": [{"code": "buy", "on": "purchase_completed", "target": 5}],
        },
    ],
    "tiers": [
        {"code": "bronze", "name": "Bronze", "level": 1, "min_points": 0},
        {"code": "gold", "name": "Gold", "level": 2, "min_points": 15},
    ],
    "leaderboards": [
        {"code": "today", "name": "Today", "metric": {"on": "purchase_completed"}, "window": "daily"},
        {"code": "ever", "name": "Ever", "metric": {"on": "purchase_completed"}, "window": "all_time"},
    ],
}


def buy(amount: float = 10, **more: Any) -> Json:
    return event(properties={"amount": amount}, **more)


def set_clock(bq: Project, now: str, *, frozen: bool = True) -> None:
    answer = bq.request("PUT", "/sandbox/clock", json={"now": now, "frozen": frozen})
    assert answer.status_code == 200, answer.text


def advance(bq: Project, by: str) -> str:
    answer = bq.post("/sandbox/clock/advance", {"by": by})
    assert answer.status_code == 200, answer.text
    now: str = answer.json()["now"]
    return now


def state(bq: Project, participant_id: str = "user_123") -> Json:
    return bq.participant(participant_id, "/state")


def export(bq: Project) -> list[Json]:
    answer = bq.get("/sandbox/export")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def import_lines(bq: Project, lines: list[Json]) -> httpx.Response:
    content = "".join(json.dumps(line) + "\n" for line in lines)
    return bq.request("POST", "/sandbox/import", content=content, headers={"Content-Type": "application/x-ndjson"})
