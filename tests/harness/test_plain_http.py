"""Requests over kept connections: what they ask is what is answered, also when the server has closed one meanwhile."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from harness.client import Client, Unreachable
from harness.plain_http import PlainHttp


class Echo(BaseHTTPRequestHandler):
    """Answers with the request itself, and closes after `/bye`, without a word after `/hangup`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer."""
        length = int(self.headers.get("Content-Length", 0))
        told = f"{self.command} {self.path} {self.headers['X-API-Key']} ".encode() + self.rfile.read(length)
        self.server.connections.add(self.client_address)  # type: ignore[attr-defined]
        if self.path.endswith("/hangup"):
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        if self.path.endswith("/bye"):
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(told)
        self.close_connection = self.path.endswith(("/bye", "/silent-bye"))

    def do_GET(self) -> None:
        """Answer."""
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as found:
        found.connections = set()  # type: ignore[attr-defined]
        thread = Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def http(server: ThreadingHTTPServer) -> Iterator[PlainHttp]:
    found = PlainHttp(f"http://127.0.0.1:{server.server_port}/api", {"X-API-Key": "k"}, 5)
    yield found
    found.close()


def asked(http: PlainHttp, path: str, content: bytes | None = None) -> str:
    status, _, body = http.request("POST" if content else "GET", path, content, {})
    assert status == 200
    return body.decode()


def test_it_asks_what_it_is_told_on_one_connection(http: PlainHttp, server: Any) -> None:
    assert asked(http, "/a?b=c%20d", b"{}") == "POST /api/a?b=c%20d k {}"
    assert asked(http, "/x%2Fy") == "GET /api/x%2Fy k ", "what is escaped stays as it is"
    assert asked(http, "/ä b") == "GET /api/%C3%A4%20b k "
    assert len(server.connections) == 1


@pytest.mark.parametrize("end", ["/bye", "/silent-bye"])
def test_a_connection_that_the_server_has_closed_is_replaced(http: PlainHttp, server: Any, end: str) -> None:
    for _ in range(3):
        assert asked(http, end).startswith("GET /api")
        while (kept := [each for each in http._idle if each.sock is not None]) and not kept[0].sock.recv(1):
            break  # the end has arrived
    assert len(server.connections) == 3


def test_no_answer_is_an_error_that_names_the_server(server: Any) -> None:
    with Client(f"http://127.0.0.1:{server.server_port}", "k") as client:
        with pytest.raises(Unreachable, match=f"127.0.0.1:{server.server_port}"):
            client.call("GET", "/hangup")
        with pytest.raises(Unreachable, match="without JSON"):
            client.call("GET", "/text")


@pytest.mark.parametrize("url", ["https://h/", "http://user:secret@h/", "h:80", "http://"])
def test_other_addresses_are_left_to_httpx(url: str) -> None:
    with pytest.raises(ValueError, match="plain"):
        PlainHttp(url, {}, 1)
