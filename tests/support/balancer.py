"""A load balancer without sticky sessions, for clients that know one address only."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from harness.plain_http import PlainHttp
from tests.support.threads import serving_http

TIMEOUT_SECONDS = 60.0

HOP_BY_HOP = {"host", "connection", "content-length", "keep-alive", "transfer-encoding"}
"""Headers of one connection, not of what is sent over it."""


@contextmanager
def balancing(urls: Sequence[str], chance: random.Random) -> Iterator[str]:
    """A URL at which each request goes to any of these servers."""
    servers = [PlainHttp(url, {}, TIMEOUT_SECONDS) for url in urls]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            server = chance.choice(servers)
            status, told, body = server.request(self.command, self.path, content or None, headers)
            self.send_response_only(status)
            for name, value in told:
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - names that the library gives

        def log_message(self, *arguments: Any) -> None:
            pass

    try:
        with serving_http(Handler) as url:
            yield url
    finally:
        for server in servers:
            server.close()
