"""Around every request: its id, its count, and a log line if it is refused or fails."""

import re
import time
from collections.abc import Callable
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bq_server.api.replies import SAFEGUARDS
from bq_server.ids import IdSource
from bq_server.metrics.counts import OTHER, RequestCounts
from bq_server.refusals import Refusal
from bq_server.runtime.sampled_log import SampledLog

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
"""A request id that is accepted from the caller."""


class Envelope:
    """Gives each request an id (`X-Request-Id`), the caller's own if it is valid, and counts its answer.

    While the server is stopping, it asks clients to close their connections.
    """

    def __init__(
        self, app: ASGIApp, ids: IdSource, is_stopping: Callable[[], bool], requests: RequestCounts, log: SampledLog
    ) -> None:
        self._app = app
        self._ids = ids
        self._is_stopping = is_stopping
        self._requests = requests
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application inside the envelope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = request_id_of(Headers(scope=scope).get("x-request-id", ""), self._ids)
        scope["bq.request_id"] = request_id
        keep_escaped_slashes(scope)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in SAFEGUARDS:
                    headers.setdefault(name, value)
                if scope["http_version"].startswith("2"):
                    del headers["Connection"]  # HTTP/2 has no such header
                elif self._is_stopping():
                    headers["Connection"] = "close"
                if "bq.abandoned" in scope:
                    self._log.info("request.abandoned", request_id=request_id)
                else:
                    self._answered(scope, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, send_with_id)

    def _answered(self, scope: Scope, status: int, seconds: float) -> None:
        method, refusal = scope["method"], scope.get("bq.refusal")
        self._requests.of(method, scope.get("bq.route", OTHER)).answered(status, seconds)
        if refusal is not None:
            self._requests.refused[refusal.code] += 1
        if status >= 400:
            key_id, request_id = scope.get("bq.key_id"), scope["bq.request_id"]
            log_refused(self._log, method, path_parameter(scope["path"]), status, refusal, key_id, request_id)


_MARK = "\ufdd0"
"""Begins what stands for another character in a path; Unicode keeps it for such uses inside a program."""

ESCAPED_SLASH = _MARK + "\ufdd1"
"""Stands for a %2F in a path while it is routed."""

_ESCAPED_MARK = _MARK + "\ufdd2"
"""Stands for the mark itself, which ids may contain."""


def keep_escaped_slashes(scope: Scope) -> None:
    """Distinguish an escaped slash, which is part of a name, from one that separates path segments."""
    raw = scope.get("raw_path", b"").split(b"?")[0]
    if b"%2f" in raw.lower():
        parts = re.split("(?i)%2f", raw.decode("latin-1"))
        scope["path"] = ESCAPED_SLASH.join(unquote(part).replace(_MARK, _ESCAPED_MARK) for part in parts)
    elif _MARK in scope["path"]:
        scope["path"] = scope["path"].replace(_MARK, _ESCAPED_MARK)


def path_parameter(value: str) -> str:
    """A path parameter, unescaped; a whole path likewise."""
    return value.replace(ESCAPED_SLASH, "/").replace(_ESCAPED_MARK, _MARK)


def request_id_of(given: str, ids: IdSource) -> str:
    """The id of a request: the caller's own if it is valid."""
    return given if given and REQUEST_ID.fullmatch(given) else ids.new("req")


def log_refused(
    log: SampledLog,
    method: str,
    path: str,
    status: int,
    refusal: Refusal | None,
    key_id: str | None,
    request_id: str,
) -> None:
    """The line of a request that was refused or failed, unless there are too many of them."""
    write = log.error if status >= 500 else log.warning
    # The path is logged without its query: nobody should put a key there, but somebody will.
    write(
        "request.failed" if status >= 500 else "request.refused",
        code=refusal.code.value if refusal else None,
        method=method,
        path=path,
        status=status,
        detail=refusal.detail if refusal else None,
        key_id=key_id,
        request_id=request_id,
    )
