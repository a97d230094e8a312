"""`/openapi.json` and `/docs`: the document, and a page that reads it. The page loads nothing from elsewhere."""

import json
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bq_server.api.openapi import document
from bq_server.api.operations import Operation
from bq_server.ingest.validation import Limits

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "frame-ancestors 'none'"
)


class DocsResource:
    """Describes the operations: the document, and the page that reads it."""

    def __init__(self, operations: Sequence[Operation], version: str, limits: Limits) -> None:
        self._operations = operations
        self._version = version
        self._limits = limits

    @property
    def routes(self) -> list[Route]:
        """Routes that are open to everybody, and not part of the document."""
        return [Route("/openapi.json", self.openapi), Route("/docs", self.docs)]

    async def openapi(self, _: Request) -> Response:
        """The document."""
        return Response(self._document, media_type="application/json")

    async def docs(self, _: Request) -> Response:
        """The page."""
        page = (files("bq_server.api") / "docs.html").read_text("utf-8")
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    @cached_property
    def _document(self) -> str:
        return json.dumps(document(self._operations, self._version, self._limits), ensure_ascii=False)
