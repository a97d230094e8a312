"""Requests over plain HTTP/1.1, on kept connections: what a story makes dozens of.

httpx takes three times as long for a request, which over a whole set of stories is as long as the server takes.
"""

import select
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import quote, urlsplit

_IN_A_TARGET = "/%?&=:@!$'()*+,;~"
"""What a path may have as it stands, beside letters, digits and the like: whoever wrote it has escaped the rest."""


class PlainHttp:
    """Connections to one server. Threads may share it. Raises `OSError` and `HTTPException`."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        """`url` begins with `http://`, and may have a path; `timeout` is in seconds, for connecting and each read.

        Raises `ValueError` where it is no such URL.
        """
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.username is not None:
            raise ValueError(f"{url} isn't a plain http:// address")
        self._host, self._port = parts.hostname, parts.port or 80
        self._path = parts.path.rstrip("/")
        self._headers = dict(headers)
        self._timeout = timeout
        self._idle: deque[HTTPConnection] = deque()

    def request(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """The status, the headers and the body of the answer."""
        target = quote(self._path + path, safe=_IN_A_TARGET)
        with self._connection() as connection:
            connection.request(method, target, content, {**self._headers, **headers})
            answer: HTTPResponse = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def close(self) -> None:
        """Close the connections that aren't in use."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Iterator[HTTPConnection]:
        """A connection that nobody else uses; one that broke isn't kept."""
        connection = self._kept() or HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def _kept(self) -> HTTPConnection | None:
        """One that is still open: whatever can be read before a request is the server's goodbye."""
        while self._idle:
            connection = self._idle.pop()
            # Closed by `Connection: close`: it connects anew by itself.
            if connection.sock is None or not _is_readable(connection.sock.fileno()):
                return connection
            connection.close()
        return None


def _is_readable(descriptor: int) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(0))


__all__ = ["HTTPException", "PlainHttp"]
