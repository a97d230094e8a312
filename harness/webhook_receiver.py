"""A receiver of webhooks on this machine."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Take = Callable[[Mapping[str, str], bytes], tuple[int, Mapping[str, str]]]
"""Gets the headers of a request, with names in lower case, and its body; returns the status and headers to answer.

Never called concurrently.
"""


@contextmanager
def receiving(
    take: Take, prepare: Callable[[ThreadingHTTPServer], None] = lambda _: None, text: Callable[[], str] = str
) -> Iterator[str]:
    """Receive on a free port of 127.0.0.1; the URL.

    `prepare` gets the server before it serves; `text` gives the body of each answer, by default an empty one.
    """
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender was killed while sending
                self.close_connection = True
                return
            with lock:
                status, headers = take({name.lower(): value for name, value in self.headers.items()}, body)
                answer = text().encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Ignore errors: a killed server leaves its connections."""

    with Server(("127.0.0.1", 0), Handler) as server:
        prepare(server)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook"
        finally:
            server.shutdown()
            thread.join()
