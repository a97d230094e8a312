"""`/livez` and `/readyz`: whether the server is alive, and whether it is ready or which part is not."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.schemas.health import (
    LiveAnswer,
    ReadyAnswer,
)
from bq_server.refusals import Code, FieldError, Refusal

Check = Callable[[], Awaitable[str | None]]
"""Returns what is wrong with a part, or None."""


class HealthResource:
    """Reports whether the server is alive, and whether it is ready."""

    def __init__(
        self, checks: Mapping[str, Check], cautions: Mapping[str, Check], durability: Callable[[], str], version: str
    ) -> None:
        self._checks = checks
        self._cautions = cautions
        self._durability = durability
        self._version = version

    @operation(
        "getLiveness",
        "GET",
        "/livez",
        "Health",
        {200: DocumentedAnswer(LiveAnswer, "Alive.")},
    )
    async def live(self, _: Call) -> Response:
        """Whether the process is alive."""
        return json_response(LiveAnswer())

    @operation(
        "getReadiness",
        "GET",
        "/readyz",
        "Health",
        {200: DocumentedAnswer(ReadyAnswer, "Ready.")},
        codes=(Code.NOT_READY,),
    )
    async def ready(self, _: Call) -> Response:
        """Whether stream, store and consumer work."""
        found = {name: await check() for name, check in self._checks.items()}
        failing = {name: problem for name, problem in found.items() if problem is not None}
        if failing:
            detail = "; ".join(f"{name}: {problem}" for name, problem in failing.items())
            errors = [FieldError(name, "not_ready", problem) for name, problem in failing.items()]
            raise Refusal(Code.NOT_READY, detail, errors)
        doubtful = {name: await check() for name, check in self._cautions.items()}
        answer = ReadyAnswer(
            checks=dict.fromkeys(found, "ok"),
            warnings={name: said for name, said in doubtful.items() if said is not None},
            durability=self._durability(),
            version=self._version,
        )
        return json_response(answer)
