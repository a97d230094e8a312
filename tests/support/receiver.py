"""A receiver of webhooks that keeps what came."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer

from harness import webhook_receiver
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

    url: str = ""
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
    receiver = Receiver()

    def take(headers: Mapping[str, str], raw: bytes) -> Reply:
        request = Received(headers, raw)
        receiver.received.append(request)
        reply = receiver.reply(request)
        if 200 <= reply[0] < 300:
            receiver.taken.append(request)
        return reply

    with webhook_receiver.receiving(take, prepare, lambda: receiver.text) as receiver.url:
        yield receiver
