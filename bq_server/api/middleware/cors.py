"""CORS (the Fetch standard): which origins may call the API from a browser and see its answers."""

from collections.abc import Callable, Mapping, Set

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EVERY_ORIGIN = "*"

METHODS = "GET, POST, PUT, PATCH, DELETE"
SENT = "Authorization, X-API-Key, Content-Type, Content-Encoding, Idempotency-Key, Last-Event-ID, X-Request-Id"
"""Request headers that this server uses."""

SHOWN = (
    "Idempotent-Replayed, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id, "
    "X-Sandbox-Clock"
)
"""Answer headers that a page may read beside those that every page may."""

KEPT = frozenset({"GET", "HEAD"})
"""Methods whose answers a cache may keep: a page must not get one that was made for another origin."""

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
        if headers is None:
            await self._app(scope, receive, send)
            return
        origin, every = headers.get("origin"), EVERY_ORIGIN in origins
        admitted = EVERY_ORIGIN if every else origin if origin in origins else None
        if origin is None or admitted is None:
            kept = scope["method"] in KEPT and not every
            await self._app(scope, receive, _with(send, {}, varies=True) if kept else send)
            return
        allowed = {"Access-Control-Allow-Origin": admitted}
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            allowed |= {
                "Access-Control-Allow-Methods": METHODS,
                "Access-Control-Allow-Headers": SENT,
                "Access-Control-Max-Age": str(REMEMBERED_SECONDS),
            }
            await Response(status_code=204, headers=allowed)(scope, receive, _with(send, {}, varies=not every))
            return
        shown = allowed | {"Access-Control-Expose-Headers": SHOWN}
        await self._app(scope, receive, _with(send, shown, varies=not every))


def _with(send: Send, more: Mapping[str, str], *, varies: bool) -> Send:
    """Sends answers with more headers, and with `Vary: Origin` where it depends on the origin."""

    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(more)
            if varies:
                headers.add_vary_header("Origin")
        await send(message)

    return send_more
