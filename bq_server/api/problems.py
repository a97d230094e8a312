"""Problem documents (RFC 9457): the one shape of every refusal."""

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from bq_server.api.replies import Reply
from bq_server.problems import STATUS, Code, Refusal

MEDIA_TYPE = "application/problem+json"


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
    return Reply(refusal.status, body, refusal.headers, MEDIA_TYPE)


def problem_response(request: Request, refusal: Refusal) -> Response:
    """Answer a refusal, and leave it where the request's log line finds it."""
    request.scope["bq.refusal"] = refusal
    return problem_reply(refusal, request.scope.get("bq.request_id", "")).response()
