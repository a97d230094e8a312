"""Requests of pages in a browser: which origins may call the API, and see its answers (the Fetch standard, CORS)."""

from collections.abc import Callable, Set

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EVERY_ORIGIN = "*"

METHODS = "GET, POST, PUT, PATCH, DELETE"
SENT = "X-API-Key, Content-Type, Content-Encoding, Idempotency-Key, Last-Event-ID, X-Request-Id"
"""Headers of requests that mean something here."""

SHOWN = "Idempotent-Replayed, Retry-After, X-Request-Id, X-Sandbox-Clock"
"""Headers of answers that a page may read beside those that every page may."""

REMEMBERED_SECONDS = 600
"""How long a browser need not ask again."""


class Cors:
    """Lets the pages of some origins in. Without any it changes nothing."""

    def __init__(self, app: ASGIApp, origins: Callable[[], Set[str]]) -> None:
        """`origins`: those that may, as browsers write them, or `EVERY_ORIGIN`."""
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight; add to any other answer that the page may see it."""
        origins = self._origins()
        headers = Headers(scope=scope) if scope["type"] == "http" and origins else None
        origin = None if headers is None else headers.get("origin")
        if headers is None or origin is None or not origins & {EVERY_ORIGIN, origin}:
            await self._app(scope, receive, send)
            return
        allowed = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if EVERY_ORIGIN in origins:
            allowed = {"Access-Control-Allow-Origin": EVERY_ORIGIN}
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            allowed |= {
                "Access-Control-Allow-Methods": METHODS,
                "Access-Control-Allow-Headers": SENT,
                "Access-Control-Max-Age": str(REMEMBERED_SECONDS),
            }
            await Response(status_code=204, headers=allowed)(scope, receive, send)
            return

        async def send_to_page(message: Message) -> None:
            if message["type"] == "http.response.start":
                shown = MutableHeaders(scope=message)
                shown.update(allowed)
                shown["Access-Control-Expose-Headers"] = SHOWN
            await send(message)

        await self._app(scope, receive, send_to_page)
