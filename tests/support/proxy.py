"""A proxy before a real server that does one thing wrong: what a server of someone else's might do."""

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from tests.support.threads import serving_http


@dataclass(frozen=True)
class Sent:
    """A request as it came to the proxy."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def route(self) -> str:
        """The path under /api/v1, without its query."""
        return self.path.removeprefix("/api/v1").split("?")[0]

    @property
    def json(self) -> Any:
        """The body, {} where there is none or it isn't JSON."""
        try:
            return json.loads(self.content or b"{}")
        except ValueError:
            return {}

    def with_json(self, document: Any) -> "Sent":
        """The same with another body."""
        return replace(self, content=json.dumps(document).encode())

    def with_header(self, name: str, value: str) -> "Sent":
        """The same with another header."""
        return replace(self, headers={**self.headers, name: value})


@dataclass(frozen=True)
class Answer:
    """A response. `close` ends the connection in its stead."""

    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    close: bool = False

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.content)

    def with_json(self, **members: Any) -> "Answer":
        """The same with other members; those that are None are left out."""
        changed = {name: value for name, value in (self.json | members).items() if value is not None}
        return replace(self, content=json.dumps(changed).encode())


CLOSED = Answer(0, b"", close=True)

Forward = Callable[[Sent], Answer]
Fault = Callable[[Sent, Forward], Answer]
"""What is done to a request in place of forwarding it."""


@contextmanager
def faulty(server: str, fault: Fault) -> Iterator[str]:
    """A proxy with this fault before the server of this URL; its own URL."""
    target = urlsplit(server)

    def forward(sent: Sent) -> Answer:
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
        try:
            kept = ("x-api-key", "content-type", "accept")
            headers = {name: value for name, value in sent.headers.items() if name.lower() in kept}
            connection.request(sent.method, sent.path, sent.content or None, headers)
            response = connection.getresponse()
            told = {name: value for name, value in response.getheaders() if name.lower() == "content-type"}
            return Answer(response.status, response.read(), told)
        finally:
            connection.close()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = fault(Sent(self.command, self.path, dict(self.headers), content), forward)
            if answer.close:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *arguments: Any) -> None:
            pass

    with serving_http(Handler) as url:
        yield url
