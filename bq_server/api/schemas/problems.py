"""Schemas of refusals: problem documents (RFC 9457)."""

from pydantic import BaseModel, ConfigDict, Field

from bq_server.refusals import Code


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="The field's path, for example `properties.amount`.")
    code: str
    detail: str


class Problem(BaseModel):
    """A refused request, which had no effect."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="Identifies the kind of problem: `urn:bq-server:problem:` and the code.")
    title: str
    status: int
    detail: str = Field(description="What is wrong and what to do, in a sentence.")
    code: Code
    errors: list[FieldProblem] = []
    request_id: str
