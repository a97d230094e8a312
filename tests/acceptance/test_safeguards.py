"""Every answer says what browsers and proxies may do with it: nothing that would show it to others."""

from pathlib import Path

import httpx
import pytest

from tests.lane.corpus import BATCH, encoded
from tests.support.client import Project, event
from tests.support.process import ServerProcess
from tests.support.wire import Wire, converse, request

EXPECTED = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 307),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/livez", 200),
        ("HEAD", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nothing", 404),
        ("DELETE", "/livez", 405),
        ("GET", "/api/v1/facts", 200),
        ("GET", "/api/v1/facts?nonsense=1", 422),
        ("GET", "/api/v1/sandbox/export", 200),
        ("POST", "/api/v1/ingest/events/sync", 415),
    ],
)
def test_answers_carry_them_once(bq: Project, method: str, path: str, status: int) -> None:
    answer = bq.http.request(method, path, headers={"X-API-Key": bq.keys["test"]}, follow_redirects=False)
    assert answer.status_code == status
    for name, value in EXPECTED.items():
        assert answer.headers.get_list(name) == [value]
    (policy,) = answer.headers.get_list("content-security-policy")
    assert "frame-ancestors 'none'" in policy


def test_the_lanes_answers_carry_them_too(server: ServerProcess, bq: Project) -> None:
    key = bq.keys["test"].encode()
    sent = [
        request(encoded(event()), key=key),
        request(b"{", key=key),
        request(encoded({"events": [event(), {}]}), key=key, path=BATCH),
    ]
    *answers, _ = converse(server.url, sent, len(sent))
    assert [answer[9:12] for answer in answers] == [b"202", b"400", b"202"]
    for answer in answers:
        head = answer.partition(b"\r\n\r\n")[0].decode()
        for name, value in {**EXPECTED, "content-security-policy": "frame-ancestors 'none'"}.items():
            assert head.count(f"\r\n{name}: {value}\r\n") == 1


def test_a_connection_that_is_turned_away_is_told_with_them(data_dir: Path) -> None:
    with ServerProcess(data_dir, "--max-connections-per-address", "1") as server, Wire(server.url) as first:
        first.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        with Wire(server.url) as second:
            # The second, or both while the connection that asked whether the server is ready is still there.
            answer = second.answer()
    assert answer.startswith(b"HTTP/1.1 503")
    for name, value in EXPECTED.items():
        assert f"\r\n{name}: {value}\r\n".encode() in answer


def test_the_page_still_works_under_its_policy(server: ServerProcess) -> None:
    policy = httpx.get(f"{server.url}/docs", verify=False).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("; frame-ancestors 'none'")
