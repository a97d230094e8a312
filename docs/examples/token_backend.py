"""A page that shows a visitor their points, and the backend that it asks for a token. Standard library only.

BQ_URL is bq-server's address, which must allow this page's origin (`--cors-origins`); BQ_API_KEY a key with the scope
`read`, which stays here. VISITOR stands for whoever is signed in, PORT is where this listens, 3000 by default.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

PAGE = Path(__file__).with_name("own_points.html").read_bytes()
SERVER = os.environ["BQ_URL"].rstrip("/")


def token_of(participant_id: str) -> bytes:
    """A token for one participant, and where to use it, as JSON."""
    wanted = Request(  # noqa: S310 - the address is ours
        f"{SERVER}/api/v1/gamify/participants/{quote(participant_id, safe='')}/tokens",
        data=json.dumps({"ttl_seconds": 900}).encode(),
        headers={"X-API-Key": os.environ["BQ_API_KEY"], "Content-Type": "application/json"},
    )
    with urlopen(wanted, timeout=5) as answer:  # noqa: S310
        return json.dumps({"server": SERVER, **json.load(answer)}).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers the page's requests."""

    def do_GET(self) -> None:
        """Send the page."""
        if self.path == "/":
            self.answer(PAGE, "text/html; charset=utf-8")
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        """Make a token for whoever is signed in: here an application looks at its session, and at nothing else."""
        if self.path == "/token":
            self.answer(token_of(os.environ.get("VISITOR", "ada")), "application/json")
        else:
            self.send_error(404)

    def answer(self, body: bytes, media_type: str) -> None:
        """Send a 200 that nobody keeps."""
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


with ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Handler) as server:
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
