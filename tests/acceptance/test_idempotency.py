"""One key, one fact: across routes, paths, batches and races."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from tests.support.client import Json, Project, event

ROUTES = ("/ingest/events", "/ingest/events/batch", "/ingest/events/sync", "/gamify/events", "/gamify/events/batch")
SINGLE = tuple(route for route in ROUTES if not route.endswith("batch"))
PURCHASE = event(properties={"amount": 1}, idempotency_key="order-1")


def body(route: str, sent: Json) -> Json:
    return {"events": [sent]} if route.endswith("batch") else sent


@pytest.mark.parametrize("route", ROUTES)
def test_a_repeat_gets_the_first_answer_and_makes_no_second_fact(bq: Project, route: str) -> None:
    first = bq.post(route, body(route, PURCHASE))
    again = bq.post(route, body(route, PURCHASE))
    bq.drain()
    later = bq.post(route, body(route, PURCHASE))
    assert first.is_success
    assert "Idempotent-Replayed" not in first.headers
    for repeat in (again, later):
        assert repeat.headers["Idempotent-Replayed"] == "true"
        assert (repeat.status_code, repeat.json()) == (first.status_code, first.json())
    bq.drain()
    assert len(bq.facts(event_name="purchase_completed")) == 1


@pytest.mark.parametrize(("first", "second"), list(product(ROUTES, ROUTES)))
def test_a_repeat_by_any_route_makes_no_second_fact(bq: Project, first: str, second: str) -> None:
    assert bq.post(first, body(first, PURCHASE)).is_success
    repeat = bq.post(second, body(second, PURCHASE))
    assert repeat.is_success
    assert repeat.headers["Idempotent-Replayed"] == "true"
    bq.drain()
    (fact,) = bq.facts(event_name="purchase_completed")
    if "event_id" in (answer := repeat.json()):
        assert answer["event_id"] == fact["event_id"]


@pytest.mark.parametrize(
    "change",
    [
        {"event_name": "purchase_refunded"},
        {"participant_id": "user_456"},
        {"properties": {"amount": 2}},
        {"timestamp": "2026-04-10T10:30:00Z"},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize(("first", "second"), list(product(ROUTES, ROUTES)))
def test_the_same_key_with_another_event_is_refused(bq: Project, first: str, second: str, change: Json) -> None:
    bq.post(first, body(first, PURCHASE))
    refused = bq.post(second, body(second, PURCHASE | change))
    if second.endswith("batch"):
        assert refused.status_code == 422
        assert [(error["index"], error["code"]) for error in refused.json()["errors"]] == [(0, "idempotency_conflict")]
    else:
        assert refused.status_code == 409
        assert refused.json()["code"] == "idempotency_conflict"
    bq.drain()
    assert [fact["properties"] for fact in bq.facts() if fact["event_name"] != "last"] == [{"amount": 1}]


def test_the_same_event_written_otherwise_is_a_repeat(bq: Project) -> None:
    bq.send(event(properties={"a": 1, "b": {"x": 2.0, "y": 1}}, idempotency_key="k", timestamp="2026-04-10T10:30:00Z"))
    repeat = bq.send(
        event(
            properties={"b": {"y": 1.0, "x": 2}, "a": 1.0}, idempotency_key="k", timestamp="2026-04-10T12:30:00+02:00"
        )
    )
    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert bq.send(event(properties={"a": True, "b": {"x": 2, "y": 1}}, idempotency_key="k")).status_code == 409


def test_repeats_inside_one_batch_follow_the_same_rule(bq: Project) -> None:
    other = PURCHASE | {"participant_id": "somebody_else"}
    answer = bq.send_batch([PURCHASE, PURCHASE, other, event("login")]).json()
    assert (answer["accepted"], answer["rejected"]) == (3, 1)
    assert answer["message_ids"][0] == answer["message_ids"][1]
    assert answer["errors"][0]["index"] == 2
    bq.drain()
    assert len(bq.facts(event_name="purchase_completed")) == 1


@pytest.mark.parametrize("route", SINGLE)
def test_the_header_is_the_same_as_the_field(bq: Project, route: str) -> None:
    first = bq.post(route, event(), **{"Idempotency-Key": "k-1"})
    assert bq.post(route, event(idempotency_key="k-1")).json() == first.json()
    assert bq.post(route, event(idempotency_key="k-1"), **{"Idempotency-Key": "k-1"}).json() == first.json()
    differing = bq.post(route, event(idempotency_key="k-1"), **{"Idempotency-Key": "k-2"})
    assert differing.status_code == 422
    assert differing.json()["errors"][0]["field"] == "Idempotency-Key"
    bq.drain()
    assert [fact["idempotency_key"] for fact in bq.facts() if fact["event_name"] != "last"] == ["k-1"]


def test_the_header_on_a_batch_is_refused_rather_than_ignored(bq: Project) -> None:
    refused = bq.post("/ingest/events/batch", {"events": [event()]}, **{"Idempotency-Key": "k"})
    assert refused.status_code == 422
    assert bq.facts() == []


def test_environments_do_not_share_keys(bq: Project) -> None:
    with bq.using("live") as live:
        first = bq.send_sync(PURCHASE)
        second = live.send_sync(PURCHASE)
        assert first.json()["fact_id"] != second.json()["fact_id"]
        assert [fact["fact_id"] for fact in live.facts()] == [second.json()["fact_id"]]


def test_an_async_repeat_of_a_sync_event_ends_as_its_duplicate(bq: Project) -> None:
    fact_id = bq.send_sync(PURCHASE).json()["fact_id"]
    message_id = bq.send(PURCHASE).json()["message_id"]
    settled = bq.settled(message_id)
    assert (settled["status"], settled["fact_id"]) == ("duplicate", fact_id)
    assert bq.send(PURCHASE).json()["message_id"] == message_id


def test_a_sync_repeat_of_a_queued_event_makes_the_fact_of_that_message(bq: Project) -> None:
    message_id = bq.send(PURCHASE).json()["message_id"]
    answer = bq.send_sync(PURCHASE)
    assert answer.headers["Idempotent-Replayed"] == "true"
    bq.drain()
    (fact,) = bq.facts(event_name="purchase_completed")
    assert fact["message_id"] == message_id
    assert answer.json()["fact_id"] == fact["fact_id"]
    assert bq.message(message_id)["status"] == "processed"


@pytest.mark.parametrize("routes", [SINGLE, ("/ingest/events/sync",), ("/ingest/events",)], ids=str)
def test_racing_requests_with_one_key_make_one_fact(bq: Project, routes: tuple[str, ...]) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: bq.post(routes[number % len(routes)], PURCHASE), range(24)))
    assert all(answer.is_success for answer in answers)
    bq.drain()
    (fact,) = bq.facts(event_name="purchase_completed")
    assert {answer.json()["event_id"] for answer in answers if "event_id" in answer.json()} <= {fact["event_id"]}


def test_racing_requests_with_one_key_and_two_events_make_one_fact(bq: Project) -> None:
    other = PURCHASE | {"properties": {"amount": 2}}
    with ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(lambda number: bq.post(SINGLE[number % len(SINGLE)], (PURCHASE, other)[number % 2]), range(24))
        )
    bq.drain()
    (fact,) = bq.facts(event_name="purchase_completed")
    winner = 0 if fact["properties"] == {"amount": 1} else 1
    assert [answer.is_success for answer in answers] == [number % 2 == winner for number in range(24)]
    assert {answer.status_code for answer in answers if not answer.is_success} == {409}
