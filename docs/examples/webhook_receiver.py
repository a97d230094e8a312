"""A receiver of webhooks. Needs `pip install standardwebhooks`; run it with `python webhook_receiver.py whsec_...`.

PORT is where it listens, 3000 by default.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

verifier = Webhook(sys.argv[1])
seen: set[str] = set()  # an application keeps the ids where it keeps what they cause, in the same transaction


class Handler(BaseHTTPRequestHandler):
    """Answers requests to any path."""

    def do_POST(self) -> None:
        """Take a webhook: 204, also for one that came before."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = verifier.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_error(401, "The signature is not valid")
            return
        if self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            print(event["type"], event["data"], flush=True)
        self.send_response(204)
        self.end_headers()


with ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Handler) as server:
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
