"""The head of a request, and whether the lane answers it or leaves it to others."""

import re
from enum import Enum

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from msgspec import Struct

from bq_server.store.keys import digest

HEAD_BYTES = 16 << 10
"""Largest head (request line and headers); Hypercorn has the same limit for an incomplete one."""

END = b"\r\n\r\n"


class LaneRoute(Enum):
    """The routes that the lane answers."""

    EVENT = "/api/v1/ingest/events"
    BATCH = "/api/v1/ingest/events/batch"

    __hash__ = object.__hash__
    """`Enum` has one in Python, of the name, and a route is looked up several times per request."""


_LINES = {b"POST %s HTTP/1.1\r\n" % route.value.encode(): route for route in LaneRoute}

_MEANT = frozenset(
    {b"host", b"x-api-key", b"content-type", b"content-length", b"idempotency-key", b"x-request-id", b"connection"}
)
"""Headers that mean something on these routes. Each may be given once."""

_ELSEWHERE = frozenset({b"transfer-encoding", b"content-encoding", b"expect", b"upgrade", b"http2-settings", b"origin"})
"""Headers that only Hypercorn's side honours. Any other header means nothing on these routes."""


class Head(Struct):
    """What the lane needs of a head. Texts are as Starlette would give them, Latin-1."""

    route: LaneRoute
    length: int
    """Of the body, in bytes."""
    key_digest: str
    """Of the API key that was presented."""
    content_type: str
    idempotency_key: str | None
    request_id: str
    """The caller's own, as it was sent; '' if there is none."""
    closes: bool
    """Whether the client wants the connection closed after the answer."""


class _Headers:
    """Collects the headers that mean something."""

    __slots__ = ("foreign", "found")

    def __init__(self) -> None:
        self.found: dict[bytes, bytes] = {}
        self.foreign = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        name = name.lower()
        if name in _MEANT:
            if name in self.found:
                self.foreign = True
            self.found[name] = value
        elif name in _ELSEWHERE:
            self.foreign = True


def may_become_ours(data: bytes | bytearray, start: int) -> bool:
    """Whether an incomplete head, from `start` on, can still become a request of the lane."""
    size = len(data) - start
    return any(data.startswith(line[:size], start) for line in _LINES)


def read_head(text: bytes) -> Head | None:
    """A complete head, its empty line included; None for one that the lane leaves to others, valid or not."""
    line_end = text.find(b"\n") + 1
    route = _LINES.get(text[:line_end])
    if route is None or b"\r\n " in text or b"\r\n\t" in text:  # folded header lines are obsolete
        return None
    headers = _Headers()
    try:
        HttpRequestParser(headers).feed_data(text)
    except (HttpParserError, HttpParserUpgrade):
        return None
    found = headers.found
    length = found.get(b"content-length", b"")
    connection = found.get(b"connection", b"keep-alive").strip().lower()
    if (
        headers.foreign
        or b"host" not in found
        or not length.isdigit()
        or len(length) > len("1000000000")
        or connection not in (b"keep-alive", b"close")
    ):
        return None
    key = found.get(b"idempotency-key")
    return Head(
        route,
        int(length),
        digest(_text(found.get(b"x-api-key", b""))),
        _text(found.get(b"content-type", b"")),
        None if key is None else _text(key),
        _text(found.get(b"x-request-id", b"")),
        connection == b"close",
    )


class HeadReader:
    """Reads heads, and remembers those it has read: a client that keeps its connection sends few different ones.

    A remembered head is identical to the byte, so nothing can be read differently than before. Heads that no other
    request repeats, because they have their own idempotency key or id, are not kept.
    """

    KEPT = 1_000
    KEPT_BYTES = 1_024
    """Most bytes of a remembered head: together at most a megabyte."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def read(self, text: bytes) -> Head | None:
        """As `read_head`."""
        head = self._known.get(text)
        if head is None:
            head = read_head(text)
            if head and head.idempotency_key is None and not head.request_id and len(text) <= self.KEPT_BYTES:
                if len(self._known) >= self.KEPT:
                    self._known.clear()
                self._known[text] = head
        return head


def route_of(data: bytes | bytearray, start: int) -> LaneRoute | None:
    """The route of the request that begins at `start`; None if it isn't the lane's, or isn't complete."""
    for line, route in _LINES.items():
        if data.startswith(line, start):
            return route
    return None


def quick_length(text: bytes) -> int | None:
    """The length of the body of a request that can be refused unread; None for one that must be read first.

    It costs a tenth of reading the head. Only what it says about its connection and its body's form is read.
    """
    if _LOOKED_AT.search(text):
        return None
    lengths = _LENGTH.findall(text)
    return int(lengths[0]) if len(lengths) == 1 and lengths[0] else None


_LOOKED_AT = re.compile(rb"\n(?:[ \t]|(?i:connection|transfer-encoding|expect|upgrade|origin)[ \t]*:)")
_LENGTH = re.compile(rb"\n(?i:content-length): ?([0-9]{1,7}(?=\r)|)")
"""Finds an empty one for any that isn't a plain number."""


def _text(value: bytes) -> str:
    return value.strip(b" \t").decode("latin-1")
