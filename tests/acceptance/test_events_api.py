"""The three requests of the Events API, as its page shows them."""

import re
from collections.abc import Iterator
from urllib.parse import quote

from tests.support.client import Project

PURCHASE = {
    "event_name": "purchase_completed",
    "participant_id": "user_123",
    "properties": {"amount": 49.99, "currency": "USD", "product_id": "prod_abc"},
    "timestamp": "2026-04-10T10:30:00Z",
}
BATCH = [
    {"event_name": "page_view", "participant_id": "user_123", "properties": {"page": "/products"}},
    {
        "event_name": "add_to_cart",
        "participant_id": "user_123",
        "properties": {"product_id": "prod_abc", "quantity": 1},
    },
    {
        "event_name": "purchase_completed",
        "participant_id": "user_123",
        "properties": {"amount": 49.99, "currency": "USD"},
    },
]
MESSAGE_ID = re.compile(r"\d{13}-\d+")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?Z")


def test_an_async_event_becomes_one_fact(bq: Project) -> None:
    response = bq.send(PURCHASE)
    assert response.status_code == 202
    answer = response.json()
    assert answer.keys() == {"accepted", "message_id"}
    assert answer["accepted"] is True
    assert MESSAGE_ID.fullmatch(answer["message_id"])

    settled = bq.settled(answer["message_id"])
    (fact,) = bq.facts()
    assert settled == {
        "message_id": answer["message_id"],
        "status": "processed",
        "event_id": fact["event_id"],
        "fact_id": fact["fact_id"],
        "reason": None,
    }
    assert fact["fact_type"] == "custom.purchase_completed"
    assert fact["message_id"] == answer["message_id"]
    assert {name: fact[name] for name in ("event_name", "participant_id", "properties")} == {
        name: PURCHASE[name] for name in ("event_name", "participant_id", "properties")
    }
    assert fact["occurred_at"] == "2026-04-10T10:30:00Z"
    assert MOMENT.fullmatch(fact["received_at"])
    assert fact["received_at"] <= fact["processed_at"]
    assert fact["idempotency_key"] is None
    assert fact["warnings"] == []
    assert bq.get(f"/facts/{fact['fact_id']}").json() == fact


def test_a_batch_becomes_a_fact_each_in_its_order(bq: Project) -> None:
    response = bq.send_batch(BATCH)
    assert response.status_code == 202
    answer = response.json()
    assert answer.keys() == {"accepted", "rejected", "message_ids"}
    assert (answer["accepted"], answer["rejected"]) == (3, 0)
    assert len(set(answer["message_ids"])) == 3
    bq.settled(answer["message_ids"][-1])
    facts = bq.facts()
    assert [fact["message_id"] for fact in reversed(facts)] == answer["message_ids"]
    assert [fact["fact_type"] for fact in reversed(facts)] == [
        "custom.page_view",
        "custom.add_to_cart",
        "custom.purchase_completed",
    ]


def test_a_sync_event_is_a_fact_when_answered(bq: Project) -> None:
    response = bq.send_sync(
        {
            "event_name": "level_completed",
            "participant_id": "user_123",
            "properties": {"level": 5, "score": 9200, "time_seconds": 120},
        }
    )
    assert response.status_code == 200
    answer = response.json()
    assert answer.keys() == {"event_id", "fact_id", "fact_type", "processed_at"}
    assert answer["event_id"].startswith("evt_")
    assert answer["fact_id"].startswith("fact_")
    assert answer["fact_type"] == "custom.level_completed"
    (fact,) = bq.facts()
    assert {name: fact[name] for name in answer} == answer
    assert fact["message_id"] is None


def test_the_vendors_sync_dialect_makes_the_same_fact(bq: Project) -> None:
    answer = bq.post("/gamify/events", PURCHASE)
    assert answer.status_code == 200
    (fact,) = bq.facts()
    assert answer.json() == {"event_id": fact["event_id"], "fact_id": fact["fact_id"], "status": "processed"}


def test_the_vendors_sync_batch_reports_each_event(bq: Project) -> None:
    answer = bq.post("/gamify/events/batch", {"events": [PURCHASE, {"event_name": "x"}]})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["processed"], body["rejected"]) == (1, 1)
    (fact,) = bq.facts()
    assert body["results"] == [{"event_id": fact["event_id"], "fact_id": fact["fact_id"], "status": "processed"}]
    assert [(error["index"], error["field"]) for error in body["errors"]] == [(1, "participant_id")]


def test_both_paths_give_the_same_fact(bq: Project) -> None:
    bq.settled(bq.send(PURCHASE).json()["message_id"])
    bq.send_sync(PURCHASE)
    one, other = (
        {
            name: value
            for name, value in fact.items()
            if name not in ("fact_id", "event_id", "message_id", "received_at", "processed_at")
        }
        for fact in bq.facts()
    )
    assert one == other


def test_the_events_of_a_participant_the_latest_first(bq: Project) -> None:
    for day in (3, 1, 2):
        bq.send_sync(PURCHASE | {"timestamp": f"2026-04-0{day}T00:00:00Z", "properties": {"day": day}})
    bq.send_sync(PURCHASE | {"event_name": "login"})
    bq.send_sync(PURCHASE | {"participant_id": "another"})
    answer = bq.get("/gamify/participants/user_123/events", page_size=2, event_name="purchase_completed").json()
    assert {name: answer[name] for name in ("participant_id", "total", "page", "page_size")} == {
        "participant_id": "user_123",
        "total": 3,
        "page": 1,
        "page_size": 2,
    }
    assert [item["properties"] for item in answer["events"]] == [{"day": 3}, {"day": 2}]
    assert answer["events"][0].keys() == {"id", "event_name", "properties", "occurred_at"}
    last = bq.get("/gamify/participants/user_123/events", page_size=2, page=2, event_name="purchase_completed").json()
    assert [item["properties"] for item in last["events"]] == [{"day": 1}]
    assert bq.get("/gamify/participants/nobody/events").json()["total"] == 0


def test_a_participant_with_a_slash_and_a_space(bq: Project) -> None:
    bq.send_sync(PURCHASE | {"participant_id": "a/b c?"})
    assert bq.get("/gamify/participants/a%2Fb%20c%3F/events").json()["total"] == 1


def test_a_participant_with_a_character_that_programs_keep_for_themselves(bq: Project) -> None:
    names = ["team/ada", "team\ufdd0ada", "team\ufdd0/ada", "team/\ufdd1", "team\ufdd0\ufdd1", "\ufdd0\ufdd2"]
    for count, name in enumerate(names, 1):
        for _ in range(count):
            assert bq.send_sync(PURCHASE | {"participant_id": name}).status_code == 200
    for count, name in enumerate(names, 1):
        path = f"/gamify/participants/{quote(name, safe='')}"
        assert bq.get(f"{path}/events").json()["total"] == count
        token = bq.post(f"{path}/tokens", {}).json()
        assert token["participant_id"] == name


TWICE = (
    b'{"event_name": "first", "event_name": "last", "participant_id": "p", "idempotency_key": "%s", '
    b'"properties": {"points": 1, "of": {"a": 1, "a": 2}, "points": 2}, "properties": {"points": 3, "points": 4}}'
)


def test_of_a_name_that_stands_twice_the_last_value_counts_whichever_way_it_is_sent(bq: Project) -> None:
    def pieces(body: bytes) -> Iterator[bytes]:
        yield from (body[:50], body[50:])  # what the lane leaves to others

    as_json = {"Content-Type": "application/json"}
    for path, body in (
        ("/ingest/events", TWICE % b"lane"),
        ("/ingest/events", pieces(TWICE % b"pieces")),
        ("/ingest/events/sync", TWICE % b"sync"),
        ("/ingest/events/batch", b'{"events": [], "events": [%s]}' % (TWICE % b"batch")),
        ("/ingest/events/batch", pieces(b'{"events": [], "events": [%s]}' % (TWICE % b"batch in pieces"))),
    ):
        assert bq.request("POST", path, content=body, headers=as_json).is_success
    bq.drain()
    made = {fact["idempotency_key"]: (fact["event_name"], fact["properties"]) for fact in bq.facts()}
    assert made.keys() == {"lane", "pieces", "sync", "batch", "batch in pieces"}
    assert all(each == ("last", {"points": 4}) for each in made.values())
    # Its repeat is the event as it was understood.
    plain = {"event_name": "last", "participant_id": "p", "properties": {"points": 4}, "idempotency_key": "lane"}
    assert bq.send(plain).headers["Idempotent-Replayed"] == "true"
