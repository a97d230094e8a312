"""Gzip bodies, inflated piece by piece, so that none can exhaust memory or block the event loop."""

import zlib
from collections.abc import AsyncIterator

from starlette.requests import Request

from bq_server.api.problems import HttpRefusal
from bq_server.concurrency.time_slices import TimeSlices
from bq_server.refusals import Code, Refusal, too_large

GZIP = frozenset({"gzip", "x-gzip"})
"""Two names of one encoding (RFC 9110, 8.4.1.3)."""

PIECE_BYTES = 256 << 10
"""Most that is inflated at once: well under a millisecond."""

MOST_MEMBERS = 100
"""Most gzip members in one body. Real clients send one, and each costs something, even an empty one."""

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
"""Makes zlib expect gzip's header and checksum."""


def is_compressed(request: Request) -> bool:
    """Whether the body comes as gzip. Raises `Refusal` for any other encoding."""
    named = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
    encodings = [each.strip() for each in named if each.strip() not in ("", "identity")]
    if not encodings:
        return False
    if len(encodings) == 1 and encodings[0] in GZIP:
        return True
    raise _refused(f"Send the body as gzip or without Content-Encoding, not {', '.join(encodings)}.")


async def inflated(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """The pieces that the chunks of a gzip body inflate to, each of at most `PIECE_BYTES`.

    Raises `Refusal` for what isn't gzip, and if the chunks themselves exceed `limit` bytes.
    """
    members = _Members()
    slices = TimeSlices()
    arrived = 0
    async for chunk in chunks:
        arrived += len(chunk)
        if arrived > limit:  # however little it inflates to
            raise too_large(limit)
        members.feed(chunk)
        while (piece := members.piece()) is not None:
            yield piece
            await slices.give_way()
    members.finish()


class _Members:
    """Inflates gzip, which may be several members one after the other."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._begun = 1
        self._waiting = b""

    def feed(self, chunk: bytes) -> None:
        self._waiting += chunk

    def piece(self) -> bytes | None:
        """The next bytes, possibly none; None if more must arrive."""
        if not self._waiting:
            return None
        if self._member.eof:
            self._begun += 1
            if self._begun > MOST_MEMBERS:
                raise _refused(f"The body has more than {MOST_MEMBERS} gzip members: send it as one.")
            self._member = zlib.decompressobj(_GZIP_WINDOW)
        try:
            piece = self._member.decompress(self._waiting, PIECE_BYTES)
        except zlib.error as error:
            raise _refused(f"The body is not gzip, as its Content-Encoding says: {error}.") from None
        self._waiting = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        return piece

    def finish(self) -> None:
        if not self._member.eof:
            raise _refused("The body ends before its gzip does.")


def _refused(detail: str) -> Refusal:
    return HttpRefusal(Code.UNSUPPORTED_MEDIA_TYPE, detail, {"Accept-Encoding": "gzip"})
