"""Requests over kept connections: what they ask is what is answered, also when the server has closed one meanwhile."""

from collections.abc import Iterator
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
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


def test_what_only_sends_events_has_a_connection_that_nothing_else_is_asked_on(http: PlainHttp, server: Any) -> None:
    for _ in range(2):
        for path in ("/ingest/events", "/ingest/events/batch", "/ingest/events/sync", "/facts"):
            asked(http, path, b"{}")
    assert len(server.connections) == 2
    assert [len(http._idle), len(http._idle_for_events)] == [1, 1]


class Scripted(StreamRequestHandler):
    """Answers each request with the next of the server's answers, byte for byte, and closes where one ends so."""

    def handle(self) -> None:
        """Answer."""
        answers: list[bytes] = self.server.answers  # type: ignore[attr-defined]
        while answers:
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                pass
            if not line:
                return
            answer = answers.pop(0)
            self.wfile.write(answer.removesuffix(CLOSED))
            if answer.endswith(CLOSED):
                return


CLOSED = b"<closed>"


@pytest.fixture
def scripted() -> Iterator[ThreadingTCPServer]:
    with ThreadingTCPServer(("127.0.0.1", 0), Scripted) as found:
        thread = Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def asked_of(server: Any, *answers: bytes, method: str = "GET") -> list[Any]:
    server.answers = list(answers)
    http = PlainHttp(f"http://127.0.0.1:{server.server_address[1]}", {}, 5)
    try:
        return [http.request(method, "/x", None, {}) for _ in range(server.expects)]
    finally:
        http.close()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n", b"0123456789"),
        (b"HTTP/1.1 200\r\n\r\nto the end" + CLOSED, b"to the end"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc" + CLOSED, b"abc"),
    ],
)
def test_answers_come_in_every_form_of_http_1(scripted: Any, answer: bytes, body: bytes) -> None:
    scripted.expects = 2
    after = b"HTTP/1.1 204 No Content\r\nX-A: \t b c \r\n\r\n"
    assert asked_of(scripted, answer, after) == [
        (200, asked_of_headers(answer), body),
        (204, [("X-A", "b c")], b""),
    ], "and the next answer begins where it ends"


def asked_of_headers(answer: bytes) -> list[tuple[str, str]]:
    head = answer.split(b"\r\n\r\n")[-2 if answer.startswith(b"HTTP/1.1 100") else 0].decode()
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])]


@pytest.mark.parametrize(
    "answer",
    [
        CLOSED,
        b"HTTP/1.1 200 OK\r\nContent-Le" + CLOSED,
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc" + CLOSED,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab" + CLOSED,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nwhat\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
        b"* OK IMAP4 ready\r\n\r\n",
    ],
)
def test_what_is_no_whole_answer_is_an_error(scripted: Any, answer: bytes) -> None:
    scripted.expects = 1
    with pytest.raises((OSError, HTTPException)):
        asked_of(scripted, answer)


def test_a_header_is_one_line(http: PlainHttp) -> None:
    with pytest.raises(ValueError, match="line end"):
        http.request("GET", "/x", None, {"X-A": "b\r\nX-C: d"})


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
