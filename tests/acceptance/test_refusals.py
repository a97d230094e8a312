"""Bad input gets an answer: one shape everywhere, and a sentence to act on."""

import json
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from bq_server.refusals import Code
from tests.support.client import Project, event
from tests.support.problems import check
from tests.support.process import ServerProcess

POSTS = [
    "/ingest/events",
    "/ingest/events/batch",
    "/ingest/events/sync",
    "/gamify/events",
    "/gamify/events/batch",
]
"""The routes that take events."""

OTHERS: dict[str, tuple[str, str, str]] = {
    "/facts": ("GET", "read", "/facts"),
    "/facts/{fact_id}": ("GET", "read", "/facts/fact_x"),
    "/facts/{fact_id}/effects": ("GET", "read", "/facts/fact_x/effects"),
    "/facts/{fact_id}/void": ("POST", "award", "/facts/fact_x/void"),
    "/gamify/rewards": ("GET", "read", "/gamify/rewards"),
    "/gamify/rewards/{reward_id}/claim": ("POST", "award", "/gamify/rewards/x/claim"),
    "/gamify/participants/{participant_id}/rewards": ("GET", "read", "/gamify/participants/u/rewards"),
    "/gamify/claims/{claim_id}/fulfil": ("POST", "award", "/gamify/claims/x/fulfil"),
    "/gamify/claims/{claim_id}/cancel": ("POST", "award", "/gamify/claims/x/cancel"),
    "/feed": ("GET", "read", "/feed?follow=false"),
    "/ingest/messages/{message_id}": ("GET", "read", "/ingest/messages/1-0"),
    "/events/catalog": ("GET", "read", "/events/catalog"),
    "/events/catalog/{event_name}": ("GET", "read", "/events/catalog/login"),
    "/gamify/participants/{participant_id}/points/expiring": ("GET", "read", "/gamify/participants/u/points/expiring"),
    "/gamify/participants/{participant_id}/alias": ("POST", "award", "/gamify/participants/u/alias"),
    "/gamify/participants/{participant_id}/events": ("GET", "read", "/gamify/participants/u/events"),
    "/gamify/participants/{participant_id}/state": ("GET", "read", "/gamify/participants/u/state"),
    "/gamify/participants/{participant_id}/points": ("GET", "read", "/gamify/participants/u/points"),
    "/gamify/participants/{participant_id}/points/transactions": (
        "GET",
        "read",
        "/gamify/participants/u/points/transactions",
    ),
    "/gamify/participants/{participant_id}/badges": ("GET", "read", "/gamify/participants/u/badges"),
    "/gamify/participants/{participant_id}/streaks": ("GET", "read", "/gamify/participants/u/streaks"),
    "/gamify/participants/{participant_id}/streaks/{code}/calendar": (
        "GET",
        "read",
        "/gamify/participants/u/streaks/s/calendar",
    ),
    "/gamify/participants/{participant_id}/streaks/{code}/freezes/buy": (
        "POST",
        "award",
        "/gamify/participants/u/streaks/s/freezes/buy",
    ),
    "/gamify/participants/{participant_id}/streaks/{code}/freezes/use": (
        "POST",
        "ingest",
        "/gamify/participants/u/streaks/s/freezes/use",
    ),
    "/gamify/participants/{participant_id}/tier": ("GET", "read", "/gamify/participants/u/tier"),
    "/gamify/participants/{participant_id}/challenges": ("GET", "read", "/gamify/participants/u/challenges"),
    "/gamify/participants/{participant_id}": ("GET", "read", "/gamify/participants/u"),
    "/gamify/participants": ("POST", "ingest", "/gamify/participants"),
    "/gamify/participants/{participant_id}/tokens": ("POST", "read", "/gamify/participants/u/tokens"),
    "/contests/active": ("GET", "read", "/contests/active"),
    "/contests/{contest_id}": ("GET", "read", "/contests/c"),
    "/contests/{contest_id}/prizes": ("GET", "read", "/contests/c/prizes"),
    "/contests/{contest_id}/leaderboard/public": ("GET", "read", "/contests/c/leaderboard/public"),
    "/contests/{contest_id}/enter": ("POST", "ingest", "/contests/c/enter"),
    "/contests/{contest_id}/me": ("GET", "read", "/contests/c/me?participant_id=u"),
    "/referrals/generate": ("POST", "ingest", "/referrals/generate"),
    "/referrals/validate/{code}": ("GET", "read", "/referrals/validate/c"),
    "/referrals/convert": ("POST", "ingest", "/referrals/convert"),
    "/referrals/stats/{participant_id}": ("GET", "read", "/referrals/stats/u"),
    "/admin/token-secret/rotate": ("POST", "admin", "/admin/token-secret/rotate"),
    "/admin/keys": ("POST", "admin", "/admin/keys"),
    "/admin/keys/{key_id}": ("DELETE", "admin", "/admin/keys/key_x"),
    "/admin/keys/{key_id}/rotate": ("POST", "admin", "/admin/keys/key_x/rotate"),
    "/admin/activity": ("GET", "metrics", "/admin/activity"),
    "/console/links": ("POST", "read", "/console/links"),
    "/console/session": ("GET", "read", "/console/session"),
    "/gamify/points/award": ("POST", "award", "/gamify/points/award"),
    "/gamify/points/award-batch": ("POST", "award", "/gamify/points/award-batch"),
    "/gamify/points/transfer": ("POST", "award", "/gamify/points/transfer"),
    "/gamify/points/deduct": ("POST", "award", "/gamify/points/deduct"),
    "/gamify/badges/award": ("POST", "award", "/gamify/badges/award"),
    "/gamify/challenges": ("GET", "read", "/gamify/challenges"),
    "/gamify/challenges/{code}": ("GET", "read", "/gamify/challenges/c"),
    "/gamify/challenges/{code}/leaderboard": ("GET", "read", "/gamify/challenges/c/leaderboard"),
    "/gamify/challenges/{code}/enrol": ("POST", "ingest", "/gamify/challenges/c/enrol"),
    "/gamify/leaderboards/{code}": ("GET", "read", "/gamify/leaderboards/c"),
    "/gamify/leaderboards/{code}/around/{participant_id}": ("GET", "read", "/gamify/leaderboards/c/around/u"),
    "/admin/participants/visibility": ("POST", "admin", "/admin/participants/visibility"),
    "/gamify/leaderboards/{code}/rank/{participant_id}": ("GET", "read", "/gamify/leaderboards/c/rank/u"),
    "/admin/dead-letters": ("GET", "admin", "/admin/dead-letters"),
    "/admin/dead-letters/{message_id}": ("GET", "admin", "/admin/dead-letters/1-1"),
    "/admin/dead-letters/{message_id}/retry": ("POST", "admin", "/admin/dead-letters/1-1/retry"),
    "/admin/audit-log": ("GET", "admin", "/admin/audit-log"),
    "/admin/participants/export": ("POST", "admin", "/admin/participants/export"),
    "/admin/participants/erase": ("POST", "admin", "/admin/participants/erase"),
    "/admin/participants/clean-up": ("POST", "admin", "/admin/participants/clean-up"),
    "/gamify/admin/game": ("PUT", "admin", "/gamify/admin/game"),
    "/gamify/admin/game/check": ("POST", "admin", "/gamify/admin/game/check"),
    "/sandbox/drain": ("POST", "read", "/sandbox/drain"),
    "/sandbox/clock": ("PUT", "admin", "/sandbox/clock"),
    "/sandbox/clock/advance": ("POST", "admin", "/sandbox/clock/advance"),
    "/sandbox/reset": ("POST", "admin", "/sandbox/reset"),
    "/sandbox/export": ("GET", "read", "/sandbox/export"),
    "/sandbox/import": ("POST", "admin", "/sandbox/import"),
    "/webhooks/endpoints": ("GET", "webhooks", "/webhooks/endpoints"),
    "/webhooks/endpoints/{endpoint_id}": ("GET", "webhooks", "/webhooks/endpoints/e"),
    "/webhooks/endpoints/{endpoint_id}/secret": ("POST", "webhooks", "/webhooks/endpoints/e/secret"),
    "/webhooks/endpoints/{endpoint_id}/test": ("POST", "webhooks", "/webhooks/endpoints/e/test"),
    "/webhooks/endpoints/{endpoint_id}/replay": ("POST", "webhooks", "/webhooks/endpoints/e/replay"),
    "/webhooks/endpoints/{endpoint_id}/deliveries": ("GET", "webhooks", "/webhooks/endpoints/e/deliveries"),
    "/webhooks/endpoints/{endpoint_id}/deliveries/{delivery_id}/retry": (
        "POST",
        "webhooks",
        "/webhooks/endpoints/e/deliveries/d/retry",
    ),
}
"""A method of every other route, the scope it needs, and a path of it."""

TOKENS = "/gamify/participants/u/tokens"

ROUTES = [("POST", "ingest", path) for path in POSTS] + list(OTHERS.values())


def call(bq: Project, method: str, path: str) -> httpx.Response:
    if method == "GET":
        return bq.request("GET", path)
    return bq.request(method, path, json={"events": [event()]} if "batch" in path else event())


def test_every_route_of_the_document_is_covered_here(server: ServerProcess) -> None:
    paths = httpx.get(f"{server.url}/openapi.json", verify=False).json()["paths"]
    documented = {path.removeprefix("/api/v1") for path in paths if path.startswith("/api/v1")}
    assert documented == {*POSTS, *OTHERS}


@pytest.mark.parametrize(("method", "scope", "path"), ROUTES)
@pytest.mark.parametrize("key", [None, "", "bq_test_" + "0" * 32, "\xff", "bq_live_" + "0" * 5000])
def test_401_without_a_valid_key(bq: Project, method: str, scope: str, path: str, key: str | None) -> None:
    headers = {} if key is None else {b"X-API-Key": key.encode("latin-1")}
    problem = check(bq.http.request(method, f"/api/v1{path}", headers=headers), Code.UNAUTHENTICATED)
    assert "X-API-Key" in problem["detail"]


@pytest.mark.parametrize(("method", "scope", "path"), ROUTES)
def test_403_without_the_scope_and_admin_has_every_scope(bq: Project, method: str, scope: str, path: str) -> None:
    for key in {"ingest", "read"} - {scope}:
        with bq.using(f"test:{key}") as limited:
            problem = check(call(limited, method, path), Code.FORBIDDEN)
            assert scope in problem["detail"]
    with bq.using("test:admin") as admin:
        assert call(admin, method, path).status_code not in (401, 403)


@pytest.mark.parametrize(("method", "scope", "path"), ROUTES)
def test_405_names_the_methods_there_are(bq: Project, method: str, scope: str, path: str) -> None:
    others = {"/webhooks/endpoints/e": "PUT"} | dict.fromkeys(
        ("/sandbox/clock", "/admin/dead-letters/1-1", "/admin/keys/key_x", "/console/session", TOKENS), "PATCH"
    )
    other = others.get(path, "DELETE")
    response = bq.request(other, path)
    check(response, Code.METHOD_NOT_ALLOWED)
    allowed = {each.strip() for each in response.headers["Allow"].split(",")}
    assert method in allowed
    assert other not in allowed
    assert ("HEAD" in allowed) == ("GET" in allowed)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, path)
        for method, _, path in OTHERS.values()
        if method not in ("GET", "DELETE") and not path.endswith(("/import", "/retry", "/test", "/check", "/fulfil"))
    ],
)
def test_a_body_of_any_route_is_held_to_the_same_rules(bq: Project, method: str, path: str) -> None:
    json_type = {"Content-Type": "application/json"}
    check(bq.request(method, path, content=b"{}", headers={"Content-Type": "text/plain"}), Code.UNSUPPORTED_MEDIA_TYPE)
    check(bq.request(method, path, content=b" " * (2 << 20), headers=json_type), Code.BODY_TOO_LARGE)
    broken = bq.request(method, path, content=b"{", headers=json_type)
    check(broken, Code.VALIDATION_FAILED if path.endswith("game") else Code.INVALID_JSON)
    wrong = bq.request(method, path, content=b'{"no_such_field": 1, "participant_id": "a\\u0000"}', headers=json_type)
    assert "no_such_field" in json.dumps(check(wrong, Code.VALIDATION_FAILED)["errors"])


@pytest.mark.parametrize("path", ["/nothing", "/ingest", "/facts/", "/ingest/events/"])
def test_404_for_what_is_not_there(bq: Project, path: str) -> None:
    check(bq.get(path), Code.NOT_FOUND)


@pytest.mark.parametrize(
    "path",
    [
        "/facts/fact_x",
        "/ingest/messages/1-0",
        "/ingest/messages/x",
        "/ingest/messages/99999999999999999999-0",
        "/events/catalog/none",
    ],
)
def test_404_for_a_thing_that_is_not_there(bq: Project, path: str) -> None:
    check(bq.get(path), Code.NOT_FOUND)


def test_404_for_what_another_environment_has(bq: Project) -> None:
    with bq.using("live") as live:
        fact_id = live.send_sync(event()).json()["fact_id"]
        message_id = live.send(event()).json()["message_id"]
        live.settled(message_id)
        assert live.get(f"/facts/{fact_id}").status_code == 200
        check(bq.get(f"/facts/{fact_id}"), Code.NOT_FOUND)
        check(bq.get(f"/ingest/messages/{message_id}"), Code.NOT_FOUND)
        assert bq.facts() == []
        assert bq.get("/events/catalog").json()["events"] == []


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/facts", {"limit": "0"}),
        ("/facts", {"limit": "1001"}),
        ("/facts", {"limit": "x"}),
        ("/facts", {"cursor": "%%"}),
        ("/facts", {"cursor": "bm9uZQ"}),
        ("/facts", {"since": "yesterday"}),
        ("/facts", {"particpant_id": "u"}),
        ("/gamify/participants/u/events", {"page": "0"}),
        ("/gamify/participants/u/events", {"page_size": "1000"}),
        ("/events/catalog", {"x": "1"}),
    ],
)
def test_422_for_a_wrong_query(bq: Project, path: str, query: dict[str, str]) -> None:
    problem = check(bq.get(path, **query), Code.VALIDATION_FAILED)
    assert problem["errors"][0]["field"] in query


def test_422_for_a_parameter_given_twice(bq: Project) -> None:
    check(bq.request("GET", "/facts?limit=1&limit=2"), Code.VALIDATION_FAILED)


def test_an_unknown_parameter_on_a_post_is_refused_before_anything_is_done(bq: Project) -> None:
    check(bq.request("POST", "/ingest/events/sync?dryrun=true", json=event()), Code.VALIDATION_FAILED)
    assert bq.facts() == []


def test_408_for_a_body_that_does_not_arrive(tmp_path_factory: pytest.TempPathFactory) -> None:
    flags = ("--read-timeout-seconds", "0.2")
    with ServerProcess(tmp_path_factory.mktemp("slow") / "data", *flags) as server:
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port), timeout=20) as slow:
            slow.sendall(
                b"POST /api/v1/ingest/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"X-API-Key: " + server.key.encode() + b"\r\nContent-Length: 100\r\n\r\n{"
            )
            assert slow.recv(65536).startswith(b"HTTP/1.1 408")


def test_a_callers_request_id_is_kept_where_it_is_a_sane_one(bq: Project) -> None:
    assert bq.request("GET", "/facts", headers={"X-Request-Id": "trace-1"}).headers["X-Request-Id"] == "trace-1"
    for insane in ("x" * 65, "a b", '"'):
        answer = bq.request("GET", "/facts", headers={"X-Request-Id": insane})
        assert answer.headers["X-Request-Id"].startswith("req_")


def test_refusals_are_logged_once_and_keys_never(bq: Project, server: ServerProcess) -> None:
    key = "bq_test_" + "f" * 32
    answer = bq.http.get(f"/api/v1/facts?key={key}", headers={"X-API-Key": key, "X-Request-Id": "logged-once"})
    assert answer.status_code == 401
    lines = [json.loads(line) for line in server.log.splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == "logged-once"]
    assert (line["event"], line["status"], line["code"]) == ("request.refused", 401, "unauthenticated")
    assert key not in server.log
    assert not any(secret in server.log for secret in bq.keys.values())
