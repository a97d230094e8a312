"""Bodies that are no events: what is wrong with each is said, and where."""

import json
from collections.abc import Iterator

import pytest

from bq_server.refusals import Code
from tests.acceptance.test_refusals import POSTS
from tests.support.client import Json, Project, event
from tests.support.problems import check


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"event_name=x", b'{"a": 1,}', b'\xff\xfe{"a":1}', b'\xef\xbb\xbf{"a": 1}', b'{"a": "\xff"}']
)
def test_400_for_what_is_not_json(bq: Project, path: str, body: bytes) -> None:
    check(bq.request("POST", path, content=body, headers={"Content-Type": "application/json"}), Code.INVALID_JSON)


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "json"])
def test_415_for_another_type(bq: Project, path: str, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    problem = check(bq.request("POST", path, content=b"{}", headers=headers), Code.UNSUPPORTED_MEDIA_TYPE)
    assert "application/json" in problem["detail"]


def test_a_type_with_parameters_and_a_json_dialect_are_json(bq: Project) -> None:
    for content_type in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/cloudevents+json"):
        content = json.dumps(event()).encode()
        answer = bq.request("POST", "/ingest/events", content=content, headers={"Content-Type": content_type})
        assert answer.status_code == 202


def test_415_for_a_compressed_body(bq: Project) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    check(bq.request("POST", "/ingest/events", content=b"x", headers=headers), Code.UNSUPPORTED_MEDIA_TYPE)


@pytest.mark.parametrize("path", POSTS)
def test_413_for_a_body_past_the_limit_announced_or_not(bq: Project, path: str) -> None:
    limit = (8 if "batch" in path else 1) * 1024 * 1024
    headers = {"Content-Type": "application/json"}
    problem = check(bq.request("POST", path, content=b" " * (limit + 1), headers=headers), Code.BODY_TOO_LARGE)
    assert str(limit) in problem["detail"]

    def chunks() -> Iterator[bytes]:
        for _ in range(limit // 65536 + 1):
            yield b" " * 65536

    check(bq.request("POST", path, content=chunks(), headers=headers), Code.BODY_TOO_LARGE)
    padded = json.dumps({"events": [event()]} if "batch" in path else event()).encode().ljust(limit)
    assert bq.request("POST", path, content=padded, headers=headers).is_success


EVENT_ERRORS: list[tuple[Json, str, str]] = [
    ({"event_name": None}, "event_name", "string_type"),
    ({"event_name": 5}, "event_name", "string_type"),
    ({"event_name": ""}, "event_name", "string_too_short"),
    ({"event_name": "x" * 101}, "event_name", "string_too_long"),
    ({"event_name": "a\0b"}, "event_name", "null_character"),
    ({"event_name": "\ud800"}, "event_name", "string_unicode"),
    ({"participant_id": ""}, "participant_id", "string_too_short"),
    ({"participant_id": "x" * 256}, "participant_id", "string_too_long"),
    ({"participant_id": 7}, "participant_id", "string_type"),
    ({"properties": []}, "properties", "dict_type"),
    ({"properties": "x"}, "properties", "dict_type"),
    ({"properties": {"a": {"b": ["x\0"]}}}, "properties.a.b.0", "null_character"),
    ({"properties": {"a": ["\udfff"]}}, "properties.a.0", "lone_surrogate"),
    ({"properties": {"a\0": 1}}, "properties", "null_character"),
    ({"properties": {"a": float("nan")}}, "properties.a", "not_finite"),
    ({"properties": {"a": float("-inf")}}, "properties.a", "not_finite"),
    ({"properties": {"a": 10**400}}, "properties.a", "not_finite"),
    ({"properties": {"a": "x" * 65536}}, "properties", "too_large"),
    ({"timestamp": 1707900600}, "timestamp", "string_type"),
    ({"timestamp": "1707900600"}, "timestamp", "value_error"),
    ({"timestamp": "yesterday"}, "timestamp", "value_error"),
    ({"timestamp": "2026-04-10"}, "timestamp", "value_error"),
    ({"timestamp": "2026-02-30T00:00:00Z"}, "timestamp", "value_error"),
    ({"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp", "value_error"),
    ({"idempotency_key": ""}, "idempotency_key", "string_too_short"),
    ({"idempotency_key": "x" * 256}, "idempotency_key", "string_too_long"),
    ({"idempotency_key": 1}, "idempotency_key", "string_type"),
    ({"idempotency_key": "a\0"}, "idempotency_key", "null_character"),
]


@pytest.mark.parametrize(("change", "field", "code"), EVENT_ERRORS, ids=lambda value: str(value)[:40])
def test_422_names_the_field_on_every_route(bq: Project, change: Json, field: str, code: str) -> None:
    wrong = event() | change
    for path in POSTS:
        sent = {"events": [event("right"), wrong]} if "batch" in path else wrong
        response = bq.request(
            "POST", path, content=json.dumps(sent).encode(), headers={"Content-Type": "application/json"}
        )
        if "batch" in path:
            assert response.status_code in (200, 202)
            found = [(error["index"], error["field"], error["code"]) for error in response.json()["errors"]]
            assert found == [(1, field, code)]
        else:
            problem = check(response, Code.VALIDATION_FAILED)
            assert [(error["field"], error["code"]) for error in problem["errors"]] == [(field, code)]
            assert problem["detail"].startswith(f"{field}: ")


def test_422_names_every_field_that_is_wrong(bq: Project) -> None:
    problem = check(bq.send({"event_name": "", "timestamp": "x"}), Code.VALIDATION_FAILED)
    assert [error["field"] for error in problem["errors"]] == ["event_name", "participant_id", "timestamp"]
    assert "2 more" in problem["detail"]


@pytest.mark.parametrize("document", [[], "x", 5, None, True])
def test_422_for_a_body_that_is_no_object(bq: Project, document: object) -> None:
    for path in POSTS:
        content = json.dumps(document).encode()
        response = bq.request("POST", path, content=content, headers={"Content-Type": "application/json"})
        check(response, Code.VALIDATION_FAILED)
    assert bq.send_batch([document]).json()["errors"][0]["field"] == "body"


@pytest.mark.parametrize("events", [None, {}, [], "x", [event()] * 101])
def test_422_for_a_batch_that_is_none(bq: Project, events: object) -> None:
    for path in (path for path in POSTS if "batch" in path):
        problem = check(bq.post(path, {"events": events}), Code.VALIDATION_FAILED)
        assert problem["errors"][0]["field"] == "events"


def test_a_batch_with_none_accepted_is_422_with_the_same_body(bq: Project) -> None:
    response = bq.send_batch([{}, event(participant_id="")])
    assert response.status_code == 422
    answer = response.json()
    assert (answer["accepted"], answer["rejected"], answer["message_ids"]) == (0, 2, [])
    assert [(error["index"], error["field"]) for error in answer["errors"]] == [
        (0, "event_name"),
        (0, "participant_id"),
        (1, "participant_id"),
    ]


def test_properties_nest_32_levels_and_no_more(bq: Project) -> None:
    def nested(levels: int) -> Json:
        value: Json = {}
        for _ in range(levels - 1):
            value = {"a": value}
        return value

    assert bq.send(event(properties=nested(32))).status_code == 202
    problem = check(bq.send(event(properties=nested(33))), Code.VALIDATION_FAILED)
    assert problem["errors"][0]["code"] == "too_deep"


@pytest.mark.parametrize("levels", [150, 250, 900, 5000, 400_000])
def test_nesting_beyond_any_parser_is_refused(bq: Project, levels: int) -> None:
    body = b'{"event_name": "a", "participant_id": "b", "properties": {"a": ' + b"[" * levels + b"]" * levels + b"}}"
    response = bq.request("POST", "/ingest/events", content=body, headers={"Content-Type": "application/json"})
    check(response, Code.VALIDATION_FAILED)


def test_a_number_no_parser_reads_is_refused(bq: Project) -> None:
    body = b'{"event_name": "a", "participant_id": "b", "properties": {"a": ' + b"9" * 5000 + b"}}"
    response = bq.request("POST", "/ingest/events", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
