"""Reading a request's body: checks its type, size and arrival time."""

from collections.abc import AsyncIterator
from contextlib import suppress

from msgspec import Struct
from starlette.requests import ClientDisconnect, Request

from bq_server.api.gzip_bodies import inflated, is_compressed
from bq_server.concurrency.byte_budget import Lease
from bq_server.concurrency.client_waits import ClientWaits
from bq_server.refusals import Code, Refusal, overloaded, too_large

DISCARD_BYTES = 16 << 20
DISCARD_SECONDS = 2.0
"""How much of an unwanted body is read, and for how long, before its request is refused."""


class BodyLimits(Struct, frozen=True):
    """Bytes for single and batch bodies, and the seconds either may take to arrive; see the settings."""

    single: int
    batch: int
    seconds: float
    events_also: frozenset[str] = frozenset()
    """Media types other than JSON's that a body of events may have; its text is JSON all the same."""


YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})
"""The media type of YAML (RFC 9512) and those used before it."""


PLAIN = frozenset({"text/plain"})
"""The type that browsers use for text by default, such as `navigator.sendBeacon`."""


NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
"""Media types used for JSON lines; none is registered."""


def media_type_of(content_type: str) -> str:
    """The type that a `Content-Type` names, without its parameters."""
    return content_type.split(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Whether it is JSON, or one of its dialects."""
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


async def read_body(request: Request, limit: int, seconds: float, *, also: frozenset[str] = frozenset()) -> bytes:
    """The bytes of a body that is JSON or of one of the other media types; inflated if they are gzip.

    Raises `Refusal`: unsupported type, too large, too slow, or more than fits beside what others send. `limit` applies
    to what is sent and to what it inflates to.
    """
    media_type = media_type_of(request.headers.get("content-type", ""))
    if not is_json(media_type) and media_type not in also:
        sent = f"not {media_type}" if media_type else "and the request has none"
        wanted = " or ".join(["application/json", *sorted(also)[:1]])
        detail = f"Send the body as Content-Type: {wanted}, {sent}."
        raise Refusal(Code.UNSUPPORTED_MEDIA_TYPE, detail)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large(limit)
    arriving = _arriving(request)
    pieces = inflated(arriving, limit) if is_compressed(request) else arriving
    lease: Lease = request.scope["bq.lease"]
    waits: ClientWaits = request.scope["bq.waits"]
    chunks: list[bytes] = []
    size = 0
    try:
        async with waits.bounded(seconds) as wait:
            async for chunk in pieces:
                wait.renew()
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                if not lease.take(len(chunk)):
                    raise overloaded()
    except TimeoutError:
        request.scope["bq.body_came"] = False
        if wait.crowded_out:
            raise overloaded() from None
        detail = f"The body did not arrive within {seconds:g} s."
        raise Refusal(Code.REQUEST_TIMEOUT, detail) from None
    return b"".join(chunks)


async def _arriving(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        yield chunk
    request.scope["bq.body_came"] = True


async def discard_body(request: Request) -> bool:
    """Read a body that nobody will use, within bounds, before its request is refused; whether all of it came.

    Answering first would cut off a client that is still sending, and with HTTP/2 every other stream of its connection.
    """
    came: bool | None = request.scope.get("bq.body_came")
    if came is not None or request.method in ("GET", "HEAD"):
        return came is not False
    if "expect" in request.headers:
        return False
    waits: ClientWaits = request.scope["bq.waits"]
    size = 0
    with suppress(TimeoutError, ClientDisconnect):
        async with waits.bounded(DISCARD_SECONDS) as wait:
            while size < DISCARD_BYTES:
                message = await request.receive()
                wait.renew()
                size += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return True
    return False
