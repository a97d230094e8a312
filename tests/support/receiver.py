"""A receiver of webhooks, in a thread of its own."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.client import Json

Reply = tuple[int, Mapping[str, str]]


@dataclass(frozen=True)
class Received:
    """A request that came."""

    headers: Mapping[str, str]
    """With names in lower case."""
    raw: bytes

    @property
    def body(self) -> Json:
        body: Json = json.loads(self.raw)
        return body

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """What came, in its order, and how each is answered."""

    url: str
    received: list[Received] = field(default_factory=list)
    taken: list[Received] = field(default_factory=list)
    """Those that were answered 2xx."""
    reply: Callable[[Received], Reply] = lambda _: (204, {})
    text: str = ""
    """The body of every answer."""

    def bodies(self, event_type: str | None = None) -> list[Json]:
        found = [each.body for each in self.taken]
        return [body for body in found if event_type is None or body["type"] == event_type]


@contextmanager
def receiving(prepare: Callable[[ThreadingHTTPServer], None] = lambda _: None) -> Iterator[Receiver]:
    """A receiver on a free port of this machine; `prepare` gets its server before it serves."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            raw = self.rfile.read(length)
            if len(raw) < length:  # the sender was killed in the middle of it
                self.close_connection = True
                return
            with lock:
                request = Received({name.lower(): value for name, value in self.headers.items()}, raw)
                receiver.received.append(request)
                status, headers = receiver.reply(request)
                if 200 <= status < 300:
                    receiver.taken.append(request)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            text = receiver.text.encode()
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A server that is killed leaves its connections: that is what is tested."""

    with Server(("127.0.0.1", 0), Handler) as server:
        prepare(server)
        receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/hook")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
