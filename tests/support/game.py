"""A game, its story, and the small steps that tests of a game take."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.client import Json, Project, event

SPRING = """\
points:
  - code: spend
    on: purchase_completed
    when: properties.currency == "USD"
    award: int(properties.amount)
badges:
  - code: first_purchase
    name: First purchase
    rarity: common
    criteria: {on: purchase_completed, aggregate: count, target: 1}
  - {code: champion, name: Champion, rarity: epic}
challenges:
  - code: spring_sale
    name: Spring sale
    enrolment: automatic
    duration: {type: fixed, starts_at: 2026-04-01T00:00:00Z, ends_at: 2026-05-01T00:00:00Z}
    objectives:
      - {code: visit, on: store_visited, aggregate: count, target: 1}
      - code: buy3
        on: purchase_completed
        when: properties.amount >= 20.0
        aggregate: count
        target: 3
        prerequisites: [visit]
      - {code: spend100, on: purchase_completed, aggregate: sum, of: properties.amount, target: 100}
    milestones: [{at: 0.5, rewards: [{points: 50}]}]
    rewards: [{points: 500}, {badge: champion}]
streaks:
  - code: daily_login
    on: login
    period: daily
    grace_period_hours: 24
    timezone: participant
    milestones: [{at: 7, rewards: [{badge: champion}]}]
tiers:
  - {code: bronze, name: Bronze, level: 1, min_points: 0}
  - {code: gold, name: Gold, level: 3, min_points: 5000}
leaderboards:
  - code: top_spenders
    name: Top spenders
    metric: {on: purchase_completed, aggregate: sum, of: properties.amount}
    window: weekly
  - {code: points_all, name: Points, metric: points, window: all_time}
"""


def visit(**more: Any) -> Json:
    return event("store_visited", "ada", timestamp="2026-04-02T09:00:00Z", **more)


def purchase(timestamp: str, key: str, **more: Any) -> Json:
    properties = {"amount": 40, "currency": "USD"}
    return event(participant_id="ada", properties=properties, timestamp=timestamp, idempotency_key=key, **more)


STORY = [
    visit(idempotency_key="v-1"),
    *[purchase("2026-04-02T09:00:01Z", "o-1")] * 3,
    purchase("2026-04-03T09:00:00Z", "o-2"),
    purchase("2026-04-03T09:00:01Z", "o-3"),
    *[event("login", "ada", timestamp=f"2026-04-0{day}T10:00:00Z", idempotency_key=f"l-{day}") for day in range(2, 6)],
]
AWARD_TIMES = ("achieved_at", "earned_at", "reached_at", "completed_at")


def send_async(bq: Project, events: Sequence[Json]) -> None:
    answers = [bq.send(each) for each in events]
    assert {answer.status_code for answer in answers} == {202}
    _settled(bq, [answer.json()["message_id"] for answer in answers])


def send_batch(bq: Project, events: Sequence[Json]) -> None:
    answer = bq.send_batch(events).json()
    assert answer["accepted"] == len(events)
    _settled(bq, answer["message_ids"])


def _settled(bq: Project, message_ids: Iterable[str]) -> None:
    """Wait for each: the last may be a repeat, which has the id of an early one."""
    for message_id in dict.fromkeys(message_ids):
        bq.settled(message_id)


def send_sync(bq: Project, events: Sequence[Json]) -> None:
    for each in events:
        assert bq.send_sync(each).status_code == 200


def send_gamify_batch(bq: Project, events: Sequence[Json]) -> None:
    assert bq.post("/gamify/events/batch", {"events": events}).json()["processed"] == len(events)


def without(document: Any, *names: str) -> Any:
    """The document without these fields, at any depth."""
    match document:
        case dict():
            return {name: without(value, *names) for name, value in document.items() if name not in names}
        case list():
            return [without(each, *names) for each in document]
        case _:
            return document


@contextmanager
def live(bq: Project) -> Iterator[Project]:
    """The other environment of the project: as good as another server (promise 5)."""
    with bq.using("live") as other:
        yield other


def told(effects: Sequence[Json], kind: str) -> list[Json]:
    return [effect for effect in effects if effect["type"] == kind]


def badges(bq: Project, participant_id: str = "ada") -> dict[str, str]:
    """When each badge held was earned."""
    held = bq.participant(participant_id, "/badges", earned_only=True)["badges"]
    return {badge["code"]: badge["earned_at"] for badge in held}


def counting(code: str = "busy", target: int = 3, **more: Any) -> Json:
    """A badge for a number of `act` events."""
    return {"code": code, "name": code, "criteria": {"on": "act", "target": target}, **more}


def paying(award: int | str = 10, code: str = "pay", **more: Any) -> Json:
    """A points rule for `act` events."""
    return {"code": code, "on": "act", "award": award, **more}


def act(participant_id: str = "ada", timestamp: str | None = None, **properties: Any) -> Json:
    at = {} if timestamp is None else {"timestamp": timestamp}
    return event("act", participant_id, properties=properties, **at)


def ago(**by: float) -> str:
    return (datetime.now(UTC) - timedelta(**by)).isoformat()
