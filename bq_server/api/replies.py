"""Replies, independent of what speaks HTTP to the client: the lane or Starlette."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from starlette.responses import Response

SAFEGUARDS = (
    # Participants' data: no browser and no proxy keeps it, guesses what it is, frames it, or tells where it came from.
    ("cache-control", "no-store"),
    ("content-security-policy", "frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
)
"""Headers of every answer; a page with its own policy includes the same in it."""


NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Reply(NamedTuple):
    """A status, a body, and the headers other than its type and length."""

    status: int
    body: bytes
    headers: Mapping[str, str] = NO_HEADERS
    media_type: str = "application/json"

    def response(self) -> Response:
        """This, for Starlette."""
        return Response(self.body, self.status, self.headers, self.media_type)
