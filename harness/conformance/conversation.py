"""Talking to the server: one request, one exchange; redirects aren't followed, and nothing is repeated unasked."""

import json
import socket
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from msgspec import Struct
from msgspec.structs import replace

from harness.conformance.outcomes import CannotRun, Failed, Unseen

LARGEST_ANSWER_BYTES = 4 << 20
LONGEST_PAUSE_SECONDS = 60.0
"""The longest `Retry-After` that is honoured."""
ALL_PAUSES_SECONDS = 120.0
"""The limit of all pauses of a run together."""
RUN_SECONDS = 600.0
"""A server that answers everything, but slowly, is given up after this."""

_SHOWN = 400


class RecordedExchange(Struct, frozen=True):
    """A request and what came back."""

    sent: str
    """The request in words: method, path, body."""
    status: int
    headers: Mapping[str, str]
    text: str
    seconds: float
    """From the first byte sent to the last one read, without any pause that the server asked for."""
    document: Any = None
    """What was posted."""

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether the request was refused as wrong."""
        return 400 <= self.status < 500

    @property
    def came(self) -> str:
        """The answer in words."""
        return _short(f"{self.status} {self.text}".rstrip())

    @property
    def json(self) -> Any:
        """The body, or None where it isn't JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None

    @property
    def body(self) -> dict[str, Any]:
        """The members of the body, none where it isn't a JSON object."""
        found = self.json
        return found if isinstance(found, dict) else {}

    def must(self, good: bool, expected: str) -> None:
        """Raise `Failed`, with what was expected in words, unless it holds."""
        if not good:
            raise Failed(self.sent, expected, self.came)

    def needs(self, good: bool, reason: str) -> None:
        """Raise `Unseen` unless it holds: another statement is about that."""
        if not good:
            raise Unseen(reason)


class Conversation:
    """Requests to one server under `/api/v1`, with one key."""

    def __init__(self, url: str, key: str, timeout: float) -> None:
        """`timeout` is in seconds, for a whole answer. Raises `CannotRun` for an invalid URL."""
        base = url.rstrip("/").removesuffix("/api/v1")
        if not base.startswith(("http://", "https://")):
            raise CannotRun(f"--url {url} must start with http:// or https:// and name a host")
        self.base = f"{base}/api/v1"
        self.timeout = timeout
        self._key = key
        self._silent: set[str] = set()
        """Paths not to be requested again: those that took too long, and those that never answered."""
        self._answered: set[str] = set()
        self._paused = 0.0
        self._until = time.monotonic() + RUN_SECONDS
        # Certificates take longer to load than most requests take; a plain URL needs none.
        secure = base.startswith("https://")
        try:
            self._http = httpx.Client(timeout=timeout, verify=secure, trust_env=secure, follow_redirects=False)
            self._http.build_request("GET", self.base)
            self._address = _address(base)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError, OSError) as error:
            raise CannotRun(f"--url {url} can't be used: {error}") from None

    def post(self, path: str, body: Any, *, key: str | None = "own", note: str = "") -> RecordedExchange:
        """Post JSON, or bytes as they are. `key` may be another key, or None for no key at all.

        Raises `Failed` if no answer comes, and `Unseen` if this path must not be requested again.
        """
        self._needs_voice(path, f"POST {path}")
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        sent = _short(f"POST {path}{' ' + note if note else ''} {content.decode('utf-8', 'replace')}")
        try:
            exchange = self._patiently("POST", path, sent, key=key, content=content)
        except httpx.TimeoutException:
            self._silent.add(path)
            raise Failed(sent, "an answer", f"none within {self.timeout:g} s") from None
        except httpx.HTTPError as error:
            if path not in self._answered:
                self._silent.add(path)
            raise Failed(sent, "an answer", f"the connection failed: {_reason(error)}") from error
        self._answered.add(path)
        return replace(exchange, document=body)

    def get(self, path: str, **query: str | int) -> RecordedExchange:
        """Make a GET request. Raises `Unseen` if no answer comes."""
        route = path.split("/")[1]
        self._needs_voice(route, f"GET {path}")
        try:
            return self._patiently("GET", path, f"GET {path}", key="own", query=query)
        except httpx.HTTPError as error:
            self._silent.add(route)
            raise Unseen(f"GET {path} gave no answer: {_reason(error)}") from error

    def _needs_voice(self, path: str, words: str) -> None:
        if path in self._silent:
            raise Unseen(f"{words} was not asked again, after it gave no answer")

    def way_seconds(self) -> float:
        """The round-trip time, that of opening a connection. Raises `Unseen` if none opens."""
        began = time.monotonic()
        try:
            socket.create_connection(self._address, self.timeout).close()
        except OSError as error:
            raise Unseen(f"no connection could be opened: {_reason(error)}") from error
        return time.monotonic() - began

    def _patiently(self, method: str, path: str, sent: str, **options: Any) -> RecordedExchange:
        """Make a request; if the server answers that there were too many, wait as long as it says and retry once."""
        exchange = self._ask(method, path, sent, **options)
        if exchange.status == 429:
            pause = _pause(exchange)
            if pause <= LONGEST_PAUSE_SECONDS and self._paused + pause <= ALL_PAUSES_SECONDS:
                self._paused += pause
                time.sleep(pause)
                exchange = self._ask(method, path, sent, **options)
        if exchange.status == 429:
            raise Unseen(f"the server lets nobody ask so often: {exchange.came}")
        return exchange

    def _ask(
        self, method: str, path: str, sent: str, *, key: str | None, content: bytes | None = None, query: Any = None
    ) -> RecordedExchange:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["X-API-Key"] = self._key if key == "own" else key
        began = time.monotonic()
        if began > self._until:
            raise CannotRun(f"the server is too slow: the run was given up after {RUN_SECONDS:g} s")
        with self._http.stream(
            method, self.base + path, headers=headers, content=content, params=query or None
        ) as answer:
            text = self._read(answer, began + self.timeout)
        seconds = time.monotonic() - began
        return RecordedExchange(sent, answer.status_code, answer.headers, text, seconds)

    def _read(self, answer: httpx.Response, deadline: float) -> str:
        """The body. The timeout of httpx applies to each read: an answer in tiny pieces would never end."""
        read = bytearray()
        for chunk in answer.iter_bytes():
            read += chunk
            if len(read) > LARGEST_ANSWER_BYTES:
                raise httpx.DecodingError(f"the answer has more than {LARGEST_ANSWER_BYTES} bytes")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer arrives too slowly")
        return read.decode("utf-8", "replace")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _address(url: str) -> tuple[str, int]:
    """Host and port. Raises `ValueError` for an invalid port."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _pause(exchange: RecordedExchange) -> float:
    """Seconds that the server asks to wait; one if it doesn't say."""
    given = exchange.headers.get("retry-after", "")
    return float(given) if given.isascii() and given.isdecimal() else 1.0


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _short(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _SHOWN else f"{one_line[:_SHOWN]}... ({len(one_line)} characters)"
