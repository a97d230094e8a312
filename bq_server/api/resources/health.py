"""`/livez` and `/readyz`: alive; and ready, or which part is not."""

from collections.abc import Awaitable, Callable, Mapping

from pydantic import BaseModel, Field
from starlette.responses import Response

from bq_server.api.operations import Call, DocumentedAnswer, Operation, json_response
from bq_server.refusals import RETRY_AFTER, Code, FieldError, Refusal

Check = Callable[[], Awaitable[str | None]]
"""Answers what is wrong with a part, or None."""


class LiveAnswer(BaseModel):
    """The process answers."""

    status: str = "alive"


class ReadyAnswer(BaseModel):
    """Every part works."""

    status: str = "ready"
    checks: dict[str, str]
    warnings: dict[str, str] = Field(description="What works, but needs somebody to look into it; by its part.")
    durability: str = Field(description="What of an accepted event survives, as the stream server is set up.")
    version: str


def operations(
    checks: Mapping[str, Check], cautions: Mapping[str, Check], durability: Callable[[], str], version: str
) -> list[Operation]:
    """The routes of this resource. What fails a check makes the server not ready, what fails a caution doesn't."""

    async def live(_: Call) -> Response:
        return json_response(LiveAnswer())

    async def ready(_: Call) -> Response:
        found = {name: await check() for name, check in checks.items()}
        failing = {name: problem for name, problem in found.items() if problem is not None}
        if failing:
            detail = "; ".join(f"{name}: {problem}" for name, problem in failing.items())
            errors = [FieldError(name, "not_ready", problem) for name, problem in failing.items()]
            raise Refusal(Code.NOT_READY, detail, errors, RETRY_AFTER)
        doubtful = {name: await check() for name, check in cautions.items()}
        answer = ReadyAnswer(
            checks=dict.fromkeys(found, "ok"),
            warnings={name: said for name, said in doubtful.items() if said is not None},
            durability=durability(),
            version=version,
        )
        return json_response(answer)

    return [
        Operation(
            "GET",
            "/livez",
            "Health",
            "Whether the process is alive",
            live,
            {200: DocumentedAnswer(LiveAnswer, "Alive.")},
        ),
        Operation(
            "GET",
            "/readyz",
            "Health",
            "Whether stream, store and consumer work",
            ready,
            {200: DocumentedAnswer(ReadyAnswer, "Ready.")},
            codes=(Code.NOT_READY,),
        ),
    ]
