"""Headers that may be given once: if one is given twice, nobody can tell which of the two was meant."""

from starlette.requests import Request

from bq_server.refusals import FieldError, Refusal

SINGULAR = {
    name.lower().encode(): name
    for name in ("X-API-Key", "Idempotency-Key", "Content-Type", "Content-Length", "X-Request-Id", "Last-Event-ID")
}
"""Those that this server uses, as they are usually written."""


def require_single(request: Request) -> None:
    """Raises `Refusal` for a header that may be given once and was sent with two values."""
    found: dict[bytes, bytes] = {}
    twice: dict[bytes, None] = {}
    for name, value in request.headers.raw:
        if name in SINGULAR and found.setdefault(name, value) != value:
            twice[name] = None
    if twice:
        raise Refusal.of_fields([FieldError(SINGULAR[name], "repeated", "must be given once") for name in twice])
