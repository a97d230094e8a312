"""`/openapi.json` and `/docs`: the document, and a page that reads it. The page loads nothing from elsewhere."""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bq_server.api.openapi import document
from bq_server.api.operations import Operation

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "frame-ancestors 'none'"
)


def routes(operations: Sequence[Operation], version: str) -> list[Route]:
    """The two routes, and `/` which leads to the page."""

    @cache
    def body() -> str:
        return json.dumps(document(operations, version), ensure_ascii=False)

    async def openapi(_: Request) -> Response:
        return Response(body(), media_type="application/json")

    async def docs(_: Request) -> Response:
        page = (files("bq_server.api") / "docs.html").read_text("utf-8")
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    async def home(_: Request) -> Response:
        return RedirectResponse("/docs")

    return [Route("/openapi.json", openapi), Route("/docs", docs), Route("/", home)]
