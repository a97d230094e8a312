"""What pages in a browser need, each by a setting: CORS, and events in bodies of the type text/plain."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bq_server.refusals import Code
from tests.support.client import Project, event
from tests.support.problems import check
from tests.support.process import ServerProcess, run

SHOP, OTHER = "https://shop.example", "https://other.example"
EVENTS = "/api/v1/ingest/events"
ROUTES = (EVENTS, f"{EVENTS}/batch", f"{EVENTS}/sync")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    flags = ("--cors-origins", f"{SHOP}, http://localhost:3000", "--text-plain-events")
    with ServerProcess(tmp_path_factory.mktemp("browsers") / "data", *flags) as server:
        yield server
        assert server.stop() == 0


def preflight(url: str, origin: str, path: str = EVENTS) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,idempotency-key,x-api-key",
    }
    return httpx.options(f"{url}{path}", headers=headers, verify=False)


@pytest.mark.parametrize("path", [*ROUTES, "/api/v1/facts", "/api/v1/gamify/admin/game"])
def test_a_page_of_a_known_origin_may_ask(served: ServerProcess, path: str) -> None:
    answer = preflight(served.url, SHOP, path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "x-api-key", "content-type", "content-encoding", "idempotency-key"} <= set(allowed)
    assert answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [f"{SHOP}/", f"{SHOP}.evil.example", f"{SHOP}:8443", "http://shop.example", "HTTPS://SHOP.EXAMPLE", "null"],
)
def test_an_origin_is_compared_exactly_and_none_is_reflected(served: ServerProcess, origin: str) -> None:
    check(preflight(served.url, origin), Code.METHOD_NOT_ALLOWED)
    answer = httpx.get(f"{served.url}/api/v1/facts", headers={"Origin": origin, "X-API-Key": served.key}, verify=False)
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_cache_tells_origins_apart_whoever_asks(served: ServerProcess) -> None:
    for headers in ({}, {"Origin": OTHER}, {"Origin": SHOP}):
        own = {"X-API-Key": served.key, **headers}
        for path in ("/api/v1/facts", "/api/v1/nothing"):
            answer = httpx.get(f"{served.url}{path}", headers=own, verify=False)
            assert answer.headers["Vary"] == "Origin", (path, headers)
            assert "Access-Control-Allow-Credentials" not in answer.headers
        page = httpx.get(f"{served.url}/console", headers=headers, verify=False)
        assert {each.strip() for each in page.headers["Vary"].split(",")} == {"Accept-Encoding", "Origin"}


def test_and_see_every_answer_also_a_refusal(served: ServerProcess) -> None:
    for key, status in ((served.key, 202), ("wrong", 401)):
        headers = {"Origin": SHOP, "X-API-Key": key}
        answer = httpx.post(f"{served.url}{EVENTS}", json=event(), headers=headers, verify=False)
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


def test_other_pages_may_not_and_other_clients_see_nothing_of_it(served: ServerProcess) -> None:
    check(preflight(served.url, OTHER), Code.METHOD_NOT_ALLOWED)
    for headers in ({"Origin": OTHER}, {}):
        answer = httpx.post(
            f"{served.url}{EVENTS}", json=event(), headers={"X-API-Key": served.key, **headers}, verify=False
        )
        assert answer.status_code == 202
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_without_the_setting_no_page_may(bq: Project) -> None:
    check(preflight(str(bq.http.base_url), SHOP), Code.METHOD_NOT_ALLOWED)
    answer = bq.request("POST", "/ingest/events", json=event(), headers={"Origin": SHOP})
    assert answer.status_code == 202
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_origin(data_dir: Path) -> None:
    with ServerProcess(data_dir, env={"BQ_CORS_ORIGINS": "*"}) as server:
        answer = preflight(server.url, "https://any.example")
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")
        assert "Vary" not in answer.headers
        assert server.stop() == 0


@pytest.mark.parametrize("origins", ["shop.example", "https://shop.example/", "https://*.example", "https://a,,b"])
def test_what_is_no_origin_is_told(data_dir: Path, origins: str) -> None:
    ended = run("serve", "--port", "0", "--data-dir", str(data_dir), "--cors-origins", origins)
    assert (ended.returncode, "--cors-origins (BQ_CORS_ORIGINS): " in ended.stderr) == (2, True), ended.stderr


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("content_type", ["text/plain", "text/plain;charset=UTF-8"])
def test_events_as_plain_text(served: ServerProcess, path: str, content_type: str) -> None:
    headers = {"X-API-Key": served.key, "Content-Type": content_type}
    body = {"events": [event()]} if path.endswith("batch") else event()
    answer = httpx.post(
        f"{served.url}{path}",
        content=httpx.Request("POST", "http://x", json=body).content,
        headers=headers,
        verify=False,
    )
    assert answer.status_code in (200, 202), answer.text
    wrong = httpx.post(f"{served.url}{path}", content=b"hello", headers=headers, verify=False)
    check(wrong, Code.INVALID_JSON)


def test_plain_text_is_for_events_only(served: ServerProcess) -> None:
    headers = {"X-API-Key": served.key, "Content-Type": "text/plain"}
    answer = httpx.put(f"{served.url}/api/v1/gamify/admin/game", content=b"{}", headers=headers, verify=False)
    check(answer, Code.UNSUPPORTED_MEDIA_TYPE)
