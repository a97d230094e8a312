"""Answers as bytes: the same status, headers in the same order, and body as the ASGI path gives."""

import time
from wsgiref.handlers import format_date_time

from bq_server.api.rate_limits import Allowance
from bq_server.api.replies import SAFEGUARDS, Reply

_SAFEGUARDS = b"\r\n".join(f"{name}: {value}".encode("ascii") for name, value in SAFEGUARDS)
_COMMON = (
    b"HTTP/1.1 %%d \r\ncontent-length: %%d\r\ncontent-type: %%s\r\nx-request-id: %%s\r\n%s\r\ndate: %%s\r\n\r\n%%s"
    % _SAFEGUARDS
)
"""The form of most answers; a test checks that it equals the general one."""


class Date:
    """The `Date` header, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = b""

    def now(self) -> bytes:
        """The present second."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = format_date_time(second).encode("ascii")
        return self._text


def encode(
    reply: Reply,
    request_id: str,
    date: bytes,
    *,
    clock: str | None = None,
    allowance: Allowance | None = None,
    stopping: bool = False,
    closes: bool = False,
) -> bytes:
    """A whole response.

    `clock` is the value of `X-Sandbox-Clock`, `allowance` that of the rate limit headers; `stopping` and `closes` say
    that the connection ends after this answer, because the server is stopping or the client wants it.
    """
    if not (reply.headers or clock or allowance or stopping or closes):
        return _COMMON % (
            reply.status,
            len(reply.body),
            reply.media_type.encode(),
            request_id.encode(),
            date,
            reply.body,
        )
    lines = [b"HTTP/1.1 %d " % reply.status]
    ends = closes
    for name, value in reply.headers.items():
        if name == "Connection":
            ends = True
            if closes:
                continue
        lines.append(f"{name.lower()}: {value}".encode("latin-1"))
    lines.append(b"content-length: %d\r\ncontent-type: %s" % (len(reply.body), reply.media_type.encode()))
    if clock is not None:
        lines.append(b"x-sandbox-clock: " + clock.encode())
    if allowance is not None:
        lines += [f"{name.lower()}: {value}".encode() for name, value in allowance.headers.items()]
    lines.append(b"x-request-id: %s\r\n%s" % (request_id.encode(), _SAFEGUARDS))
    if stopping and not ends:
        lines.append(b"connection: close")
    lines.append(b"date: " + date)
    if closes:
        lines.append(b"Connection: close")
    return b"%s\r\n\r\n%s" % (b"\r\n".join(lines), reply.body)
