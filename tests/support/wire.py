"""A client that sends bytes, not requests, and reads answers off the wire."""

import re
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

SECONDS = 20.0
LAST = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Wire:
    """One connection."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname or "", address.port or 0), timeout=SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.ended = False

    def send(self, data: bytes) -> None:
        """Send, unless the server has closed."""
        try:
            self._socket.sendall(data)
        except OSError:
            self.ended = True

    def receive(self) -> bytes:
        """What has come; b'' when the server has closed."""
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        self.ended = self.ended or not data
        return data

    def answer(self) -> bytes:
        """The next answer, whole; less when the connection ends before."""
        while (size := _size(self._buffer)) is None or len(self._buffer) < size:
            if not (data := self.receive()):
                size = len(self._buffer)
                break
            self._buffer += data
        answer, self._buffer = self._buffer[:size], self._buffer[size:]
        return answer

    def rest(self) -> bytes:
        """All that comes until the server closes."""
        while data := self.receive():
            self._buffer += data
        rest, self._buffer = self._buffer, b""
        return rest

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _size(data: bytes) -> int | None:
    head, end, _ = data.partition(b"\r\n\r\n")
    if not end:
        return None
    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
    return len(head) + len(end) + (int(length[1]) if length else 0)


def converse(url: str, segments: Sequence[bytes], answers: int) -> list[bytes]:
    """Send the segments, read so many answers, then ask once more and read to the end: what came.

    Whether the connection was kept is seen from the last one.
    """
    with Wire(url) as wire:
        for segment in segments:
            wire.send(segment)
        found = [wire.answer() for _ in range(answers)]
        wire.send(LAST)
        return [*found, wire.rest()]


def request(
    body: bytes = b"",
    *headers: bytes,
    path: bytes = b"/api/v1/ingest/events",
    key: bytes | None = b"$KEY",
    content_type: bytes | None = b"application/json",
    line: bytes | None = None,
    length: bytes | None = b"",
) -> bytes:
    """A request as bytes; `length` b'' for the true one, None for no header."""
    lines = [line or b"POST " + path + b" HTTP/1.1", b"Host: x"]
    if key is not None:
        lines.append(b"X-API-Key: " + key)
    if content_type is not None:
        lines.append(b"Content-Type: " + content_type)
    lines += headers
    if length is not None:
        lines.append(b"Content-Length: " + (length or b"%d" % len(body)))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
