"""A header that may stand once and stands twice: nobody guesses which was meant, on any route and in any way."""

import httpx
import pytest

from bq_server.refusals import Code
from tests.support.client import Project, event
from tests.support.problems import check

SINGLE, BATCH, SYNC = "/ingest/events", "/ingest/events/batch", "/ingest/events/sync"


def posted(bq: Project, path: str, *more: tuple[str, str]) -> httpx.Response:
    body = {"events": [event()]} if path == BATCH else event()
    headers = [("X-API-Key", bq.keys["test"]), ("Content-Type", "application/json"), *more]
    return bq.http.post(f"/api/v1{path}", json=body, headers=headers)


@pytest.mark.parametrize("path", [SINGLE, SYNC, "/ingest/events/sync?dry_run=true"])
def test_two_idempotency_keys_make_no_fact(bq: Project, path: str) -> None:
    problem = check(posted(bq, path, ("Idempotency-Key", "one"), ("Idempotency-Key", "two")), Code.VALIDATION_FAILED)
    assert [each["field"] for each in problem["errors"]] == ["Idempotency-Key"]
    bq.drain()
    assert bq.facts() == []


@pytest.mark.parametrize("path", [SINGLE, BATCH, SYNC])
@pytest.mark.parametrize(
    ("name", "other"),
    [("X-API-Key", "bq_test_other"), ("Content-Type", "text/plain"), ("X-Request-Id", "b")],
)
def test_no_header_that_may_stand_once_stands_twice(bq: Project, path: str, name: str, other: str) -> None:
    first = [("X-Request-Id", "a")]
    problem = check(posted(bq, path, *first, (name, other)), Code.VALIDATION_FAILED)
    assert [each["field"] for each in problem["errors"]] == [name]
    bq.drain()
    assert bq.facts() == []


def test_the_same_said_twice_is_said_once(bq: Project) -> None:
    answer = posted(
        bq,
        SYNC,
        ("X-API-Key", bq.keys["test"]),
        ("Idempotency-Key", "one"),
        ("Idempotency-Key", "one"),
        ("X-Request-Id", "a"),
        ("X-Request-Id", "a"),
    )
    assert answer.status_code == 200, answer.text
    assert len(bq.facts()) == 1


def test_other_routes_too(bq: Project) -> None:
    headers = [("X-API-Key", bq.keys["test"]), ("X-API-Key", bq.keys["live"])]
    check(bq.http.get("/api/v1/facts", headers=headers), Code.VALIDATION_FAILED)


@pytest.mark.parametrize("host", ["x:99999", "x:port", "[::1", "[zz]", "a/b?c#d@e", "x\xff", ""])
def test_a_host_that_is_none_is_no_failure_of_the_server(bq: Project, host: str) -> None:
    named = {b"Host": host.encode("latin-1")}
    with_key = named | {b"X-API-Key": bq.keys["test"].encode()}
    assert bq.http.get("/api/v1/facts", headers=with_key).status_code == 200
    mark = {b"X-Console": b"1", b"Cookie": b"bq_console_80=x"}
    check(bq.http.get("/api/v1/facts", headers=named | mark), Code.UNAUTHENTICATED)
    check(bq.http.post("/api/v1/console/session", headers=named, json={"link": "x"}), Code.UNAUTHENTICATED)
    assert "/nothing" in check(bq.http.get("/nothing", headers=named), Code.NOT_FOUND)["detail"]
    assert "/livez" in check(bq.http.post("/livez", headers=named), Code.METHOD_NOT_ALLOWED)["detail"]
