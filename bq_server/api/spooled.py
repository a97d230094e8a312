"""Answers of any length, complete before the first byte is sent: a slow reader must not hold the database open."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile

from starlette.responses import StreamingResponse

MOST_BYTES_IN_MEMORY = 8 << 20
"""Anything beyond it goes to a temporary file without a name."""

PIECE_BYTES = 64 << 10


async def spooled(pieces: AsyncIterator[bytes], media_type: str) -> StreamingResponse:
    """The answer made of these pieces. Raises what they raise."""
    with ExitStack() as stack:
        file = stack.enter_context(SpooledTemporaryFile(MOST_BYTES_IN_MEMORY))
        async for piece in pieces:
            file.write(piece)
        stack.pop_all()
    return StreamingResponse(_read(file), media_type=media_type)


async def _read(file: "SpooledTemporaryFile[bytes]") -> AsyncIterator[bytes]:
    """The whole file, which is then closed."""
    with file:
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            yield piece
