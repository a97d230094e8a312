"""The one shape of every refusal."""

import httpx

from bq_server.api.problems import PROBLEM_TYPES
from bq_server.refusals import Code
from tests.support.client import Json


def check(response: httpx.Response, code: Code) -> Json:
    """Hold the response against the one shape of a refusal."""
    status, title, *_ = PROBLEM_TYPES[code]
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: Json = response.json()
    assert problem.keys() == {"type", "title", "status", "detail", "code", "errors", "request_id"}
    assert (problem["code"], problem["status"], problem["title"]) == (code, status, title)
    assert problem["type"] == "urn:bq-server:problem:" + code.replace("_", "-")
    assert problem["detail"]
    assert problem["detail"][-1] == "." or problem["errors"] or code == Code.IDEMPOTENCY_CONFLICT
    assert problem["request_id"] == response.headers["X-Request-Id"]
    for error in problem["errors"]:
        assert error.keys() == {"field", "code", "detail"}
        assert all(error.values())
    if status == 503:
        assert int(response.headers["Retry-After"]) >= 1
    return problem
