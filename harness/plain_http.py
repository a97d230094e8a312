"""Requests over plain HTTP/1.1, on kept connections: what a story makes dozens of.

httpx takes several times as long for a request, and http.client, which reads heads as those of mail, twice as long:
over a whole set of stories that is a good part of what the server takes.
"""

import select
import socket
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from urllib.parse import quote, urlsplit

_IN_A_TARGET = "/%?&=:@!$'()*+,;~"
"""What a path may have as it stands, beside letters, digits and the like: whoever wrote it has escaped the rest."""

_QUICK = ("/ingest/events", "/ingest/events/batch")
"""What the server answers with a lean protocol of its own, until a connection asks for anything else: these have
connections of theirs, as those of an application that only sends events."""

_READ_BYTES = 1 << 16
_HEAD_BYTES = 1 << 20
_END = b"\r\n\r\n"

Headers = list[tuple[str, str]]


class PlainHttp:
    """Connections to one server. Threads may share it. Raises `OSError` and `HTTPException`."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        """`url` begins with `http://`, and may have a path; `timeout` is in seconds, for connecting and each read.

        Raises `ValueError` where it is no such URL.
        """
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.username is not None:
            raise ValueError(f"{url} isn't a plain http:// address")
        self._address = parts.hostname, parts.port or 80
        self._path = parts.path.rstrip("/")
        host = parts.netloc.encode("idna").decode()
        self._always = _written({"Host": host, "Accept-Encoding": "identity", **headers})
        self._timeout = timeout
        self._idle: deque[_Connection] = deque()
        self._idle_for_events: deque[_Connection] = deque()

    def request(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Headers, bytes]:
        """The status, the headers and the body of the answer."""
        target = quote(self._path + path, safe=_IN_A_TARGET)
        length = f"Content-Length: {len(content or b'')}\r\n" if content is not None or method in _WITH_BODIES else ""
        head = f"{method} {target} HTTP/1.1\r\n{self._always}{_written(headers)}{length}\r\n"
        with self._connection(self._idle_for_events if path in _QUICK else self._idle) as connection:
            connection.sock.sendall(head.encode("latin-1") + (content or b""))
            return connection.answer(method)

    def close(self) -> None:
        """Close the connections that aren't in use."""
        for idle in (self._idle, self._idle_for_events):
            while idle:
                idle.pop().close()

    @contextmanager
    def _connection(self, idle: "deque[_Connection]") -> "Iterator[_Connection]":
        """A connection that nobody else uses; one that broke, or that the server closes, isn't kept."""
        connection = _kept(idle) or _Connection(socket.create_connection(self._address, self._timeout))
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if connection.closes:
            connection.close()
        else:
            idle.append(connection)


_WITH_BODIES = frozenset({"POST", "PUT", "PATCH"})
"""Whose requests say how long their body is, where they have none, too."""


def _written(headers: Mapping[str, str]) -> str:
    """As lines of a head. Raises `ValueError` for what would be more than one line each."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header has a line end in it")
    return "".join(f"{line}\r\n" for line in lines)


class _Connection:
    """A socket, and what was read from it and not yet used."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = b""
        self.closes = False
        """Whether the last answer was the last one."""

    def close(self) -> None:
        self.sock.close()

    def answer(self, method: str) -> tuple[int, Headers, bytes]:
        """The status, the headers and the body of the next answer, which is to a request of this method."""
        version, status, headers = self._head()
        while 100 <= status < 200:
            version, status, headers = self._head()
        named = {name.lower(): value for name, value in headers}
        self.closes = version != b"HTTP/1.1" or named.get("connection", "").lower() == "close"
        if method == "HEAD" or status in (204, 304):
            body = b""
        elif "transfer-encoding" in named:
            body = self._chunks()
        elif "content-length" in named:
            body = self._take(_number(named["content-length"], 10))
        else:
            self.closes = True
            body = self._rest()
        return status, headers, body

    def _head(self) -> tuple[bytes, int, Headers]:
        first, *lines = self._until(_END).split(b"\r\n")
        version, _, rest = first.partition(b" ")
        if not (version.startswith(b"HTTP/1.") and rest[:3].isdigit()):
            raise BadStatusLine(repr(first[:100]))
        pairs = (line.decode("latin-1").partition(":") for line in lines)
        return version, int(rest[:3]), [(name, value.strip()) for name, _, value in pairs]

    def _chunks(self) -> bytes:
        found = bytearray()
        while size := _number(self._until(b"\r\n").partition(b";")[0], 16):
            found += self._take(size)
            self._until(b"\r\n")
        while self._until(b"\r\n"):
            pass  # trailers
        return bytes(found)

    def _rest(self) -> bytes:
        found = bytearray(self._held)
        while data := self.sock.recv(_READ_BYTES):
            found += data
        return bytes(found)

    def _until(self, end: bytes) -> bytes:
        """What comes before `end`, which is passed over."""
        while (at := self._held.find(end)) < 0:
            if len(self._held) > _HEAD_BYTES:
                raise HTTPException("the head of the answer has no end")
            self._read()
        found, self._held = self._held[:at], self._held[at + len(end) :]
        return found

    def _take(self, size: int) -> bytes:
        if len(self._held) < size:
            held = bytearray(self._held)
            while len(held) < size:
                if not (data := self.sock.recv(_READ_BYTES)):
                    raise IncompleteRead(bytes(held), size - len(held))
                held += data
            self._held = bytes(held)
        found, self._held = self._held[:size], self._held[size:]
        return found

    def _read(self) -> None:
        if not (data := self.sock.recv(_READ_BYTES)):
            raise RemoteDisconnected("the server closed the connection without an answer")
        self._held += data


def _number(written: str | bytes, base: int) -> int:
    try:
        if (found := int(written, base)) >= 0:
            return found
    except ValueError:
        pass
    raise HTTPException(f"the length of the answer is {written!r}")


def _kept(idle: deque[_Connection]) -> _Connection | None:
    """One that is still open: whatever can be read before a request is the server's goodbye."""
    while idle:
        connection = idle.pop()
        if not _is_readable(connection.sock.fileno()):
            return connection
        connection.close()
    return None


def _is_readable(descriptor: int) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(0))


__all__ = ["HTTPException", "PlainHttp"]
