"""CORS (the Fetch standard): which origins may call the API from a browser and see its answers."""

from collections.abc import Callable, Set

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EVERY_ORIGIN = "*"

METHODS = "GET, POST, PUT, PATCH, DELETE"
SENT = "X-API-Key, Content-Type, Content-Encoding, Idempotency-Key, Last-Event-ID, X-Request-Id"
"""Request headers that this server uses."""

SHOWN = (
    "Idempotent-Replayed, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id, "
    "X-Sandbox-Clock"
)
"""Answer headers that a page may read beside those that every page may."""

REMEMBERED_SECONDS = 600
"""How long a browser may cache a preflight."""


class Cors:
    """Admits pages of the given origins. Without any it does nothing."""

    def __init__(self, app: ASGIApp, origins: Callable[[], Set[str]]) -> None:
        """`origins`: those that may, as browsers write them, or `EVERY_ORIGIN`."""
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or add the headers that let the page see the answer."""
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
