"""`/console`: the page and its files. It loads nothing from elsewhere and runs no inline script."""

import asyncio
import gzip
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

PAGE = "index.html"
ASSETS = "assets"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
"""Without `unsafe-inline`: whatever a text from outside contains, it can't become a script or a style."""

MEDIA_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}

FOR_EVER = "public, max-age=31536000, immutable"
"""For files whose names contain a hash of their contents."""


class ConsolePageResource:
    """Serves the console, and redirects `/` to it. Files are read when they are first requested."""

    @property
    def routes(self) -> list[Route]:
        """Routes that are open to everybody: their contents are in every copy of the program."""
        return [
            Route("/", self.home),
            Route("/console", self.page),
            Route(f"/console/{ASSETS}/{{name}}", self.asset),
        ]

    async def home(self, _: Request) -> Response:
        """Redirects to the page."""
        return RedirectResponse("/console")

    async def page(self, request: Request) -> Response:
        """The page."""
        # Revalidated each time, because the names of its files change with the program.
        return await _served(request, (PAGE,), {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})

    async def asset(self, request: Request) -> Response:
        """A file of the page."""
        return await _served(request, (ASSETS, request.path_params["name"]), {"Cache-Control": FOR_EVER})


async def _served(request: Request, path: tuple[str, ...], headers: dict[str, str]) -> Response:
    """A file of the console, compressed if the client accepts that. Raises `HTTPException` if there is none."""
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    try:
        content = await asyncio.to_thread(_read, path, zipped=zipped)
    except (OSError, ValueError):
        raise HTTPException(404) from None
    if zipped:
        headers |= {"Content-Encoding": "gzip"}
    media_type = MEDIA_TYPES.get(PurePosixPath(path[-1]).suffix)
    return Response(content, headers=headers | {"Vary": "Accept-Encoding"}, media_type=media_type)


@cache
def _read(path: tuple[str, ...], *, zipped: bool) -> bytes:
    """A file's bytes. Raises `OSError`, or `ValueError` for an invalid file name."""
    content = (files("bq_server.console") / "site").joinpath(*path).read_bytes()
    return gzip.compress(content, 9, mtime=0) if zipped else content
