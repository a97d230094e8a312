"""Problem documents (RFC 9457): the one shape of every refusal."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from bq_server.api.replies import Reply
from bq_server.refusals import Code, Refusal

MEDIA_TYPE = "application/problem+json"


STATUS: Mapping[Code, tuple[int, str]] = {
    Code.INVALID_JSON: (400, "The body is not JSON"),
    Code.INSUFFICIENT_POINTS: (400, "There are not enough points"),
    Code.UNAUTHENTICATED: (401, "No valid API key"),
    Code.FORBIDDEN: (403, "The API key may not do this"),
    Code.NOT_FOUND: (404, "There is nothing here"),
    Code.METHOD_NOT_ALLOWED: (405, "This method is not allowed here"),
    Code.REQUEST_TIMEOUT: (408, "The request took too long to arrive"),
    Code.IDEMPOTENCY_CONFLICT: (409, "The idempotency key belongs to another event"),
    Code.MESSAGE_DEAD: (409, "The event was accepted before and given up"),
    Code.NOT_EMPTY: (409, "The environment is not empty"),
    Code.BODY_TOO_LARGE: (413, "The body is too large"),
    Code.UNSUPPORTED_MEDIA_TYPE: (415, "The body is not of a type this server reads"),
    Code.VALIDATION_FAILED: (422, "The request is not valid"),
    Code.INTERNAL_ERROR: (500, "The server made a mistake"),
    Code.NOT_READY: (503, "The server is not ready"),
    Code.STREAM_UNAVAILABLE: (503, "The stream is not available"),
    Code.STREAM_FULL: (503, "The stream is full"),
    Code.STORE_UNAVAILABLE: (503, "The store is not available"),
    Code.GAME_UNREADABLE: (503, "The game can't be read"),
    Code.OVERLOADED: (503, "Too much is waiting"),
    Code.STOPPING: (503, "The server is stopping"),
    Code.NOT_DRAINED: (504, "Not everything is settled yet"),
}
"""The HTTP status and the title of each code."""


def status_of(refusal: Refusal) -> int:
    """The HTTP status a refusal is answered with."""
    return STATUS[refusal.code][0]


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="The field's path, for example `properties.amount`.")
    code: str
    detail: str


class Problem(BaseModel):
    """A refusal: nothing of the request was carried out."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="Names the kind of problem; `urn:bq-server:problem:` and the code.")
    title: str
    status: int
    detail: str = Field(description="What is wrong and what to do, in a sentence.")
    code: Code
    errors: list[FieldProblem] = []
    request_id: str


def problem_of(refusal: Refusal, request_id: str) -> Problem:
    """The document that tells of a refusal."""
    status, title = STATUS[refusal.code]
    return Problem(
        type=f"urn:bq-server:problem:{refusal.code.replace('_', '-')}",
        title=title,
        status=status,
        detail=refusal.detail,
        code=refusal.code,
        errors=[FieldProblem(field=error.field, code=error.code, detail=error.detail) for error in refusal.errors],
        request_id=request_id,
    )


def problem_reply(refusal: Refusal, request_id: str) -> Reply:
    """The answer to a refused request."""
    body = problem_of(refusal, request_id).model_dump_json().encode()
    return Reply(status_of(refusal), body, refusal.headers, MEDIA_TYPE)


def problem_response(request: Request, refusal: Refusal) -> Response:
    """Answer a refusal, and leave it where the request's log line finds it."""
    request.scope["bq.refusal"] = refusal
    return problem_reply(refusal, request.scope.get("bq.request_id", "")).response()
