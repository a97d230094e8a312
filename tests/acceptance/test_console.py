"""The console as HTTP shows it: the page and its policy, links, sessions; a browser's part is in tests/browser."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from bq_server.api.console_sessions import LINKS
from bq_server.refusals import Code
from tests.support.client import Project
from tests.support.problems import check
from tests.support.process import ServerProcess, run

SESSION = "/api/v1/console/session"
MARK = {"X-Console": "1"}

Browser = Callable[[], httpx.Client]


def link_of(bq: Project, **body: Any) -> str:
    """A fresh link's secret."""
    answer = bq.post("/console/links", body)
    assert answer.status_code == 201, answer.text
    path = answer.json()["path"]
    assert path.startswith("/console#link=")
    return str(path.removeprefix("/console#link="))


@pytest.fixture
def browser(server: ServerProcess) -> Iterator[Browser]:
    """Makes clients with a cookie jar and no key."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(httpx.Client(base_url=server.url, headers=MARK, verify=False))


def signed_in(bq: Project, client: httpx.Client) -> httpx.Client:
    """The client, signed in as a project's key by a link."""
    assert client.post(SESSION, json={"link": link_of(bq)}).status_code == 200
    return client


def test_the_page_has_a_strict_policy_and_is_asked_for_anew(server: ServerProcess) -> None:
    page = httpx.get(f"{server.url}/console", verify=False)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "no-cache"
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page.text) == []
    assert httpx.get(server.url, verify=False).headers["Location"] == "/console"


def test_its_files_may_be_kept_for_ever_and_come_compressed(server: ServerProcess) -> None:
    page = httpx.get(f"{server.url}/console", verify=False).text
    named = re.findall(r'(?:src|href)="(console/assets/[^"]+)"', page)
    assert {Path(name).suffix for name in named} == {".js", ".css", ".svg"}
    for name in named:
        plain = httpx.get(f"{server.url}/{name}", headers={"Accept-Encoding": "identity"}, verify=False)
        zipped = httpx.get(f"{server.url}/{name}", verify=False)
        assert "immutable" in plain.headers["Cache-Control"]
        assert plain.headers["X-Content-Type-Options"] == "nosniff"
        assert zipped.headers["Content-Encoding"] == "gzip"
        assert plain.content == zipped.content


@pytest.mark.parametrize("name", ["none.js", "..%2findex.html", "%00", "a%2fb", "."])
def test_there_are_no_other_files(server: ServerProcess, name: str) -> None:
    check(httpx.get(f"{server.url}/console/assets/{name}", verify=False), Code.NOT_FOUND)


def test_a_link_signs_in_once_and_acts_as_its_key(bq: Project, browser: Browser) -> None:
    link = link_of(bq)
    client = browser()
    answer = client.post(SESSION, json={"link": link})
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/api/v1", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    session = answer.json()
    assert session["environment"] == "test"
    assert "admin" in session["scopes"]
    assert client.get("/api/v1/facts").json() == {"facts": [], "next_cursor": None}
    check(browser().post(SESSION, json={"link": link}), Code.UNAUTHENTICATED)
    check(browser().post(SESSION, json={"link": "0" * 64}), Code.UNAUTHENTICATED)


def test_a_session_ends_when_it_is_told_to(bq: Project, browser: Browser) -> None:
    client = signed_in(bq, browser())
    cookies = dict(client.cookies)
    ended = client.delete(SESSION)
    assert "Max-Age=0" in ended.headers["Set-Cookie"]
    check(httpx.get(f"{bq.http.base_url}{SESSION}", headers=MARK, cookies=cookies, verify=False), Code.UNAUTHENTICATED)


def test_a_page_that_believes_to_be_another_key_does_nothing(bq: Project, browser: Browser) -> None:
    """Tabs share the cookie: one of a test environment must not act on the live one that another tab has opened."""
    client = signed_in(bq, browser())
    session = client.get(SESSION).json()
    assert client.get("/api/v1/facts", headers={"X-Console": session["key_id"]}).status_code == 200
    check(client.get("/api/v1/facts", headers={"X-Console": "key_of_another_tab"}), Code.UNAUTHENTICATED)


def test_the_cookie_alone_opens_nothing(bq: Project, browser: Browser) -> None:
    """A page of another port of this host is of the same site, and browsers send it along; but not our header."""
    client = signed_in(bq, browser())
    cookies = dict(client.cookies)
    check(httpx.get(f"{bq.http.base_url}{SESSION}", cookies=cookies, verify=False), Code.UNAUTHENTICATED)
    assert client.get(SESSION).status_code == 200


def test_no_route_does_anything_for_the_cookie_alone(bq: Project, browser: Browser) -> None:
    """Whatever another page can make a browser send, in a form for example, it can't send our header."""
    client = signed_in(bq, browser())
    cookies, base_url = dict(client.cookies), str(bq.http.base_url)
    described = httpx.get(f"{base_url}/openapi.json", verify=False).json()["paths"]
    guarded = [
        (method, re.sub(r"\{\w+\}", "x", path))
        for path, operations in described.items()
        for method, operation in operations.items()
        if operation.get("security")
    ]
    assert len(guarded) > 50
    for method, path in guarded:
        for headers in (None, {"Origin": "http://127.0.0.1:1", "Content-Type": "text/plain"}):
            answer = httpx.request(method, f"{base_url}{path}", cookies=cookies, headers=headers, verify=False)
            check(answer, Code.UNAUTHENTICATED)
    assert client.get(SESSION).status_code == 200


def test_no_form_of_another_page_signs_anybody_in(bq: Project, browser: Browser) -> None:
    """A form can't say that it sends JSON: nobody is brought into a session of somebody else's unawares."""
    link = link_of(bq)
    form, headers = '{"link": "' + link + '"}', {"Content-Type": "text/plain"}
    answer = httpx.post(f"{bq.http.base_url}{SESSION}", content=form, headers=headers, verify=False)
    assert answer.status_code == 415, answer.text
    assert "Set-Cookie" not in answer.headers
    assert browser().post(SESSION, json={"link": link}).status_code == 200


def test_no_other_origin_may_send_the_header(data_dir: Path) -> None:
    with ServerProcess(data_dir, "--cors-origins", "*") as server:
        asked = {"Origin": "http://127.0.0.1:1", "Access-Control-Request-Method": "GET"}
        answer = httpx.options(f"{server.url}{SESSION}", headers=asked, verify=False)
        assert "x-console" not in answer.headers["Access-Control-Allow-Headers"].lower()
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert server.stop() == 0


def test_a_session_may_do_what_its_key_may(bq: Project, browser: Browser) -> None:
    with bq.using("test:read") as reader:
        client = signed_in(reader, browser())
    assert client.get(SESSION).json()["scopes"] == ["read"]
    check(client.get("/api/v1/gamify/admin/game"), Code.FORBIDDEN)
    event = {"event_name": "e", "participant_id": "p"}
    for path in ("/api/v1/ingest/events", "/api/v1/ingest/events/sync"):
        check(client.post(path, json=event), Code.FORBIDDEN)


def test_a_key_that_is_sent_goes_before_the_session(bq: Project, other_bq: Project, browser: Browser) -> None:
    client = signed_in(bq, browser())
    other = client.get(SESSION, headers={"X-API-Key": other_bq.keys["test:read"]}).json()
    assert other["scopes"] == ["read"]
    check(client.get(SESSION, headers={"X-API-Key": "bq_test_" + "0" * 32}), Code.UNAUTHENTICATED)


def test_a_session_ends_with_its_key(bq: Project, browser: Browser) -> None:
    made = bq.post("/admin/keys", {"scopes": ["read"], "name": "guest"}).json()
    guest = Project(bq.http, {"test": made["key"]})
    client = signed_in(guest, browser())
    assert client.get(SESSION).json()["key_name"] == "guest"
    assert bq.request("DELETE", f"/admin/keys/{made['key_id']}").status_code == 200
    check(client.get(SESSION), Code.UNAUTHENTICATED)


def test_a_feed_ends_with_the_session(bq: Project, browser: Browser) -> None:
    client = signed_in(bq, browser())
    with client.stream("GET", "/api/v1/feed", timeout=30) as answer:
        lines = answer.iter_lines()
        assert ": feed" in (next(lines) for _ in range(10))
        other = httpx.Client(base_url=bq.http.base_url, headers=MARK, cookies=dict(client.cookies), verify=False)
        with other:
            assert other.delete(SESSION).status_code == 200
        rest = list(lines)
    assert "event: feed.ended" in rest
    assert any('"reason":"key_ended"' in line for line in rest)


def test_one_key_makes_so_many_links_and_ends_no_session_of_another(bq: Project, browser: Browser) -> None:
    client = signed_in(bq, browser())
    with bq.using("test:read") as reader:
        answers = [reader.post("/console/links", {}) for _ in range(LINKS.requests + 1)]
        assert [each.status_code for each in answers] == [201] * LINKS.requests + [429]
        problem = check(answers[-1], Code.RATE_LIMITED)
        assert "20 links may be made in 5 minutes" in problem["detail"]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= LINKS.seconds
    assert len(bq.get("/admin/audit-log", action="console_link_created").json()["entries"]) == LINKS.requests + 1
    assert client.get(SESSION).status_code == 200


def test_behind_tls_the_cookie_is_secure(bq: Project, browser: Browser) -> None:
    answer = browser().post(SESSION, json={"link": link_of(bq)}, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["Set-Cookie"].split("; ")


def test_the_command_prints_a_link(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        arguments = ["console", "--url", server.url, "--data-dir", str(data_dir), "--no-open"]
        made = run(*arguments, "--env", "live", "--scope", "read", "--lasts", "PT1H")
        assert made.returncode == 0, made.stderr
        address, _, link = made.stdout.strip().partition("#link=")
        assert address == f"{server.url}/console"
        session = httpx.post(f"{server.url}{SESSION}", json={"link": link}, headers=MARK, verify=False).json()
        assert (session["environment"], session["scopes"], session["key_name"]) == ("live", ["read"], "console")
        keys = run("keys", "list", "--data-dir", str(data_dir)).stdout
        assert "console" in keys
        as_key = run("console", "--url", server.url, "--api-key", server.key, "--no-open")
        assert as_key.returncode == 0, as_key.stderr
        assert len(run("keys", "list", "--data-dir", str(data_dir)).stdout.splitlines()) == len(keys.splitlines())
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lasts", "soon"], "ISO 8601"),
        (["--lasts", "PT1S"], "at least PT1M"),
        (["--data-dir", "/nowhere"], "/nowhere"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: list[str], said: str) -> None:
    ended = run("console", "--no-open", *arguments)
    assert ended.returncode != 0
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_command_needs_a_valid_key_of_that_server(server: ServerProcess) -> None:
    ended = run("console", "--no-open", "--url", server.url, "--api-key", "bq_test_" + "0" * 32)
    assert ended.returncode == 1
    assert "valid API key" in ended.stderr


def test_the_activity_shows_what_was_done(bq: Project) -> None:
    bq.send_sync({"event_name": "e", "participant_id": "p"})
    check(bq.post("/ingest/events/sync", {}), Code.VALIDATION_FAILED)
    found = bq.get("/admin/activity").json()
    last = found["intervals"]
    assert sum(each["facts"] for each in last) >= 1
    assert sum(each["accepted"] for each in last) >= 1
    assert sum(each["refused"].get("validation_failed", 0) for each in last) >= 1
    assert found["queue_limit"] == 1_000_000
    assert isinstance(found["waiting"], int)
