"""Problem documents (RFC 9457): the one shape of every refusal."""

from collections.abc import Mapping
from typing import NamedTuple

import structlog
from starlette.requests import Request
from starlette.responses import Response

from bq_server.api.replies import Reply
from bq_server.api.schemas.problems import FieldProblem, Problem
from bq_server.ingest.unavailable import refusal_of
from bq_server.refusals import Code, Refusal
from bq_server.store.database import StoreDamaged, StoreUnavailable

log = structlog.get_logger("bq_server.api")

MEDIA_TYPE = "application/problem+json"

NO_HEADERS: Mapping[str, str] = {}
CLOSES: Mapping[str, str] = {"Connection": "close"}
"""Of a refusal after which the rest of the request is not read."""


class ProblemType(NamedTuple):
    """How HTTP answers a code."""

    status: int
    title: str
    retry_after: int | None = None
    """Seconds, for `Retry-After`, unless the refusal says otherwise."""
    headers: Mapping[str, str] = NO_HEADERS


PROBLEM_TYPES: Mapping[Code, ProblemType] = {
    Code.MALFORMED_REQUEST: ProblemType(400, "The request is not valid HTTP"),
    Code.INVALID_JSON: ProblemType(400, "The body is not JSON"),
    Code.INSUFFICIENT_POINTS: ProblemType(400, "There are not enough points"),
    Code.UNAUTHENTICATED: ProblemType(401, "No valid API key", headers={"WWW-Authenticate": "ApiKey"}),
    Code.TOKEN_EXPIRED: ProblemType(
        401, "The participant token has expired", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
    ),
    Code.FORBIDDEN: ProblemType(403, "The API key may not do this"),
    Code.NOT_FOUND: ProblemType(404, "Not found"),
    Code.METHOD_NOT_ALLOWED: ProblemType(405, "Method not allowed"),
    Code.REQUEST_TIMEOUT: ProblemType(408, "The request took too long to arrive", headers=CLOSES),
    Code.IDEMPOTENCY_CONFLICT: ProblemType(409, "The idempotency key belongs to another event"),
    Code.MESSAGE_DEAD: ProblemType(409, "The event was accepted before and given up"),
    Code.FREEZE_UNAVAILABLE: ProblemType(409, "No freeze is available"),
    Code.NOT_EMPTY: ProblemType(409, "The environment is not empty"),
    Code.REWARD_UNAVAILABLE: ProblemType(409, "The reward can't be claimed"),
    Code.NOT_VOIDABLE: ProblemType(409, "The fact can't be made void"),
    Code.ALIAS_CONFLICT: ProblemType(409, "The name can't be an alias"),
    Code.BODY_TOO_LARGE: ProblemType(413, "The body is too large", headers=CLOSES),
    Code.UNSUPPORTED_MEDIA_TYPE: ProblemType(415, "The body's type is not supported"),
    Code.VALIDATION_FAILED: ProblemType(422, "The request is not valid"),
    Code.RATE_LIMITED: ProblemType(429, "Too many requests", retry_after=1),
    Code.TOO_MANY_FEEDS: ProblemType(429, "Too many feeds are open", retry_after=10),
    Code.HEAD_TOO_LARGE: ProblemType(431, "The head of the request is too large"),
    Code.INTERNAL_ERROR: ProblemType(500, "Internal server error"),
    Code.NOT_READY: ProblemType(503, "The server is not ready", retry_after=1),
    Code.STREAM_UNAVAILABLE: ProblemType(503, "The stream is not available", retry_after=1),
    Code.STREAM_FULL: ProblemType(503, "The stream is full", retry_after=5),
    Code.STORE_UNAVAILABLE: ProblemType(503, "The store is not available", retry_after=1),
    Code.GAME_UNREADABLE: ProblemType(503, "The game can't be read", retry_after=60),
    Code.OVERLOADED: ProblemType(503, "The server is overloaded", retry_after=1),
    Code.STOPPING: ProblemType(503, "The server is stopping", retry_after=1),
    Code.NOT_DRAINED: ProblemType(504, "Not everything is settled yet"),
}
"""How HTTP answers each code: every refusal, whichever room raised it, is answered by this table."""


class HttpRefusal(Refusal):
    """A refusal for a reason that only HTTP has, with further headers."""

    def __init__(self, code: Code, detail: str, headers: Mapping[str, str]) -> None:
        super().__init__(code, detail)
        self.headers = headers


def status_of(refusal: Refusal) -> int:
    """The HTTP status a refusal is answered with."""
    return PROBLEM_TYPES[refusal.code].status


def as_refusal(error: BaseException, request_id: str) -> Refusal:
    """The refusal for an exception from a handler. An unexpected one is logged."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, StoreUnavailable) and not isinstance(error, StoreDamaged):
        return Refusal(Code.STORE_UNAVAILABLE, f"The database can't be read now ({error}): try again in a moment.")
    if (refusal := refusal_of(error, "This can't be done now")) is not None:
        return refusal
    log.error("request.broke", request_id=request_id, exc_info=error)
    detail = "This is a bug in the server. Its log has the details under the request id."
    return Refusal(Code.INTERNAL_ERROR, detail)


def problem_of(refusal: Refusal, request_id: str) -> Problem:
    """The document that describes a refusal."""
    kind = PROBLEM_TYPES[refusal.code]
    return Problem(
        type=f"urn:bq-server:problem:{refusal.code.replace('_', '-')}",
        title=kind.title,
        status=kind.status,
        detail=refusal.detail,
        code=refusal.code,
        errors=[FieldProblem(field=error.field, code=error.code, detail=error.detail) for error in refusal.errors],
        request_id=request_id,
    )


def problem_reply(refusal: Refusal, request_id: str, headers: Mapping[str, str] = NO_HEADERS) -> Reply:
    """The answer to a refused request, with these headers in addition to those of its kind."""
    kind = PROBLEM_TYPES[refusal.code]
    seconds = kind.retry_after if refusal.retry_after is None else refusal.retry_after
    retry = NO_HEADERS if seconds is None else {"Retry-After": str(seconds)}
    own = refusal.headers if isinstance(refusal, HttpRefusal) else NO_HEADERS
    body = problem_of(refusal, request_id).model_dump_json().encode()
    return Reply(kind.status, body, {**retry, **kind.headers, **own, **headers}, MEDIA_TYPE)


def problem_response(request: Request, refusal: Refusal, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Answer a refusal, and leave it where the request's log line finds it."""
    request.scope["bq.refusal"] = refusal
    return problem_reply(refusal, request.scope.get("bq.request_id", ""), headers).response()
