"""What is accepted, and how it is kept."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.client import Project, event


def test_strings_are_kept_as_sent(bq: Project) -> None:
    texts = [
        "naïve",
        "e\u0301",
        "𝕊𝕢𝕝",
        "日本語",
        "\u202eright to left",
        "a\nb\tc",
        " ",
        "'; DROP TABLE facts;--",
        "\u200b",
    ]
    for text in texts:
        bq.send_sync(event(text, text, properties={text: text}, idempotency_key=text))
    facts = list(reversed(bq.facts()))
    assert [fact["event_name"] for fact in facts] == texts
    assert [fact["participant_id"] for fact in facts] == texts
    assert [fact["properties"] for fact in facts] == [{text: text} for text in texts]
    assert [fact["idempotency_key"] for fact in facts] == texts
    assert bq.facts(participant_id="日本語")[0]["event_name"] == "日本語"
    assert bq.get("/events/catalog/日本語").json()["count"] == 1


def test_properties_are_kept_as_sent_by_both_paths(bq: Project) -> None:
    properties = {
        "int": 5,
        "big": 12345678901234567890123,
        "float": 49.99,
        "whole": 1.0,
        "tiny": 5e-324,
        "none": None,
        "yes": True,
        "list": [1, "two", [3.5, {}]],
        "": "",
    }
    bq.send_sync(event(properties=properties))
    bq.settled(bq.send(event(properties=properties)).json()["message_id"])
    assert [fact["properties"] for fact in bq.facts()] == [properties, properties]


def test_what_is_optional_may_be_left_out_or_null(bq: Project) -> None:
    assert bq.send_sync(event()).status_code == 200
    assert bq.send_sync(event(properties=None, timestamp=None, idempotency_key=None)).status_code == 200
    for fact in bq.facts():
        assert fact["properties"] == {}
        assert fact["occurred_at"] == fact["received_at"]
        assert fact["idempotency_key"] is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-04-10T10:30:00Z", "2026-04-10T10:30:00Z"),
        ("2026-04-10T10:30:00", "2026-04-10T10:30:00Z"),
        ("2026-04-10 10:30", "2026-04-10T10:30:00Z"),
        ("2026-04-10T10:30:00.5+02:00", "2026-04-10T08:30:00.500Z"),
        ("20260410T103000Z", "2026-04-10T10:30:00Z"),
        ("2026-04-10T10:30:00.123456789Z", "2026-04-10T10:30:00.123456Z"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_timestamps_are_read_as_moments(bq: Project, sent: str, kept: str) -> None:
    bq.send_sync(event(timestamp=sent))
    assert bq.facts()[0]["occurred_at"] == kept


def test_unknown_fields_are_left_out_with_a_warning_on_the_fact(bq: Project) -> None:
    sent = event(user="x", proprties={"a": 1})
    bq.send_sync(sent)
    bq.settled(bq.send(sent).json()["message_id"])
    for fact in bq.facts():
        assert [(warning["code"], warning["field"]) for warning in fact["warnings"]] == [
            ("unknown_field", "user"),
            ("unknown_field", "proprties"),
        ]
        assert fact["properties"] == {}


def test_sync_tells_its_warnings_at_once_and_only_where_there_are_some(bq: Project) -> None:
    doubtful = event(amount=3, timestamp=(datetime.now(UTC) + timedelta(hours=25)).isoformat(), idempotency_key="k")
    expected = [("unknown_field", "amount"), ("timestamp_ahead", "timestamp")]
    for query in ({"dry_run": "true"}, {}, {"include": "effects"}):
        told = bq.request("POST", "/ingest/events/sync", json=doubtful, params=query).json()
        assert [(each["code"], each["field"]) for each in told["warnings"]] == expected, query
    assert bq.send_sync(event()).json().keys() == {"event_id", "fact_id", "fact_type", "processed_at"}
    assert bq.told(event()).keys() == {"event_id", "fact_id", "fact_type", "processed_at", "effects"}
    assert bq.told(event(), dry_run="true")["warnings"] == []


def test_a_timestamp_a_day_ahead_is_kept_with_a_warning(bq: Project) -> None:
    now = datetime.now(UTC)
    bq.send_sync(event(timestamp=(now + timedelta(hours=25)).isoformat()))
    bq.send_sync(event(timestamp=(now + timedelta(hours=23)).isoformat()))
    assert [[warning["code"] for warning in fact["warnings"]] for fact in bq.facts()] == [[], ["timestamp_ahead"]]


def test_a_timestamp_of_a_clock_that_was_never_set_is_kept_with_a_warning(bq: Project) -> None:
    for sent in ("1970-01-01T00:00:00Z", "2000-01-01T10:00:00Z", "2000-01-03T00:00:00Z"):
        bq.send_sync(event(timestamp=sent))
    warned = [[warning["code"] for warning in fact["warnings"]] for fact in bq.facts()]
    assert warned == [[], ["timestamp_implausible"], ["timestamp_implausible"]]


def test_the_longest_of_everything(bq: Project) -> None:
    sent = event("😀" * 100, "😀" * 255, idempotency_key="😀" * 255, properties={"a": "x" * (65536 - len('{"a":""}'))})
    assert bq.send_sync(sent).status_code == 200
    assert bq.settled(bq.send(event("n" * 100, "p" * 255)).json()["message_id"])["status"] == "processed"


def test_a_full_batch_of_full_events(bq: Project) -> None:
    events = [event(properties={"a": "x" * 60_000, "n": number}) for number in range(100)]
    answer = bq.send_batch(events).json()
    assert answer["accepted"] == 100
    bq.settled(answer["message_ids"][-1])
    assert [fact["properties"]["n"] for fact in bq.facts(limit=30)] == list(reversed(range(100)))


def test_facts_are_listed_the_newest_first_whatever_their_timestamps(bq: Project) -> None:
    for day in ("02", "09", "05"):
        bq.send_sync(event(timestamp=f"2026-04-{day}T00:00:00Z", properties={"day": day}))
    assert [fact["properties"]["day"] for fact in bq.facts()] == ["05", "09", "02"]
    page = bq.get("/facts", limit=2).json()
    assert [fact["properties"]["day"] for fact in page["facts"]] == ["05", "09"]
    bq.send_sync(event(properties={"day": "later"}))
    last = bq.get("/facts", limit=2, cursor=page["next_cursor"]).json()
    assert [fact["properties"]["day"] for fact in last["facts"]] == ["02"]
    assert last["next_cursor"] is None


def test_facts_are_found_by_each_filter_and_by_all(bq: Project) -> None:
    for number in range(12):
        bq.send_sync(
            event(
                "even" if number % 2 == 0 else "odd",
                f"user_{number % 3}",
                timestamp=f"2026-04-{number + 1:02}T00:00:00Z",
                properties={"n": number},
            )
        )

    def found(**query: str) -> list[int]:
        return [fact["properties"]["n"] for fact in bq.facts(limit=2, **query)]

    assert found(event_name="odd") == [11, 9, 7, 5, 3, 1]
    assert found(fact_type="custom.odd") == [11, 9, 7, 5, 3, 1]
    assert found(event_name="odd", fact_type="custom.even") == []
    assert found(participant_id="user_1") == [10, 7, 4, 1]
    assert found(since="2026-04-05T00:00:00Z", until="2026-04-08T00:00:00Z") == [6, 5, 4]
    assert found(since="2026-04-11T00:00:00Z") == [11, 10]
    assert found(until="2026-04-02T00:00:00") == [0]
    assert found(participant_id="user_1", event_name="odd", since="2026-04-02T00:00:00Z") == [7, 1]
    assert found(participant_id="USER_1") == []
    assert found(event_name="none") == []


def test_the_catalogue_tells_what_was_seen(bq: Project) -> None:
    for _ in range(3):
        bq.send_sync(event(properties={"amount": 5, "note": None}))
    bq.send_sync(event(properties={"amount": "5", "tags": [], "meta": {}, "gift": True}))
    bq.send_sync(event("purchase_complete"))
    bq.send_sync(event("login"))
    entries = {entry["event_name"]: entry for entry in bq.get("/events/catalog").json()["events"]}
    assert list(entries) == ["login", "purchase_complete", "purchase_completed"]
    entry = entries["purchase_completed"]
    facts = bq.facts(event_name="purchase_completed")
    assert (entry["count"], entry["first_seen_at"], entry["last_seen_at"]) == (
        4,
        facts[-1]["received_at"],
        facts[0]["received_at"],
    )
    assert {seen["name"]: (seen["share"], seen["types"]) for seen in entry["properties"]} == {
        "amount": (1.0, {"number": 0.75, "string": 0.25}),
        "note": (0.75, {"null": 0.75}),
        "tags": (0.25, {"array": 0.25}),
        "meta": (0.25, {"object": 0.25}),
        "gift": (0.25, {"boolean": 0.25}),
    }
    assert entries["purchase_complete"]["similar_to"] == ["purchase_completed"]
    assert entries["login"]["similar_to"] == []
    assert bq.get("/events/catalog/purchase_completed").json() == entry
    missing = bq.get("/events/catalog/purchase_completd")
    assert missing.status_code == 404
    assert "Did you mean purchase_completed?" in missing.json()["detail"]


def test_the_catalogue_does_not_grow_with_keys_made_of_data(bq: Project) -> None:
    for part in range(6):
        bq.send_sync(event(properties={f"key_{part}_{number}": 1 for number in range(100)}))
    bq.send_sync(event(properties={"key_0_0": 1}))
    seen = {item["name"]: item for item in bq.get("/events/catalog/purchase_completed").json()["properties"]}
    assert len(seen) == 500
    assert seen["key_0_0"]["share"] == round(2 / 7, 4)
