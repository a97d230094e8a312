"""One kept-alive connection that sends without waiting for answers: pipelined HTTP/1.1 on a non-blocking socket."""

import contextlib
import json
import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

NO_ANSWER = "no answer"
"""The outcome of a request whose connection broke."""

RECEIVE_BYTES = 65_536
CONNECT_SECONDS = 5.0

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


class NotHTTP(Exception):
    """The server sent something this reader doesn't understand: every response must have a length."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One request and what came of it."""

    due: float
    """When it should have been sent, as it was given to `send`."""
    outcome: str
    """`ok` for a status below 300, else the status and the problem's code, such as `503 overloaded`."""


class LoadConnection:
    """Answers come in the order of the requests. Raises `OSError` where the server can't be reached."""

    __slots__ = ("_address", "_incoming", "_outgoing", "_pending", "_socket")

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._pending: deque[float] = deque()
        self._incoming = b""
        self._outgoing = bytearray()
        self._socket = self._open()

    def fileno(self) -> int:
        """Of the socket, for a selector."""
        return self._socket.fileno()

    @property
    def waiting(self) -> int:
        """Requests without an answer."""
        return len(self._pending)

    @property
    def blocked(self) -> bool:
        """Whether bytes wait until the socket takes them: call `flush` when it can be written."""
        return bool(self._outgoing)

    def send(self, request: bytes, due: float) -> None:
        """Send a request now, behind those that were sent before."""
        self._pending.append(due)
        waits = bool(self._outgoing)
        self._outgoing += request
        if not waits:
            self.flush()

    def flush(self) -> None:
        """Write what the socket takes. A connection that broke is seen by `receive`."""
        try:
            sent = self._socket.send(self._outgoing)
        except BlockingIOError:
            return
        except OSError:
            self._outgoing.clear()  # the answer never comes, and reading tells why
            return
        del self._outgoing[:sent]

    def receive(self) -> tuple[list[Answered], bool]:
        """The answers that have come, and whether the connection lives; one that broke answers for all that waits."""
        try:
            chunk = self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return [], True
        except OSError:
            chunk = b""
        if not chunk:
            return [Answered(self._pending.popleft(), NO_ANSWER) for _ in range(len(self._pending))], False
        self._incoming = self._incoming + chunk if self._incoming else chunk
        return list(self._answers()), True

    def reopen(self) -> None:
        """Reconnect after the connection broke."""
        self.close()
        self._incoming = b""
        self._outgoing.clear()
        self._socket = self._open()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _answers(self) -> Iterator[Answered]:
        data, at = self._incoming, 0
        while (end := data.find(_END_OF_HEAD, at)) >= 0:
            length = _content_length(data[at : end + 2])
            body, after = end + 4, end + 4 + length
            if len(data) < after:
                break
            if not self._pending:
                raise NotHTTP("a response came without a request")
            status = data[at + 9 : at + 12]
            ok = status[:1] == b"2"
            yield Answered(self._pending.popleft(), "ok" if ok else _refusal(status, data[body:after]))
            at = after
        self._incoming = data[at:]

    def _open(self) -> socket.socket:
        opened = socket.create_connection(self._address, CONNECT_SECONDS)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setblocking(False)
        return opened


def _content_length(head: bytes) -> int:
    at = head.find(_LENGTH)
    if at < 0 and (at := head.lower().find(_LENGTH)) < 0:
        raise NotHTTP(f"a response without Content-Length: {head[:200]!r}")
    at += len(_LENGTH)
    return int(head[at : head.index(b"\r", at)])


def _refusal(status: bytes, body: bytes) -> str:
    told: Any = None
    with contextlib.suppress(ValueError):
        told = json.loads(body)
    code = told.get("code") if isinstance(told, dict) else None
    return status.decode("ascii", "replace") + (f" {code}" if code else "")
