"""One description of each route, from which both the routing and the OpenAPI document are made."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bq_server.api.auth import Keyring, authenticate
from bq_server.api.bodies import discard_body
from bq_server.api.headers import require_single
from bq_server.api.middleware.envelope import path_parameter
from bq_server.api.problems import problem_response
from bq_server.clock import Clocks
from bq_server.events import Scope
from bq_server.ingest.acceptance import refusal_of
from bq_server.moments import format_timestamp
from bq_server.refusals import RETRY_AFTER, Code, FieldError, Refusal, in_words, path
from bq_server.store.database import StoreDamaged, StoreUnavailable
from bq_server.store.keys import KeyScope

log = structlog.get_logger("bq_server.api")
admin = structlog.get_logger("bq_server.admin")


class Query(BaseModel):
    """The query of a route. An unknown parameter is refused: a misspelt filter must not answer with everything."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Query):
    """Which page, of a listing that has pages."""

    page: int = Field(1, ge=1, le=1_000_000)
    page_size: int = Field(20, ge=1, le=100)

    @property
    def offset(self) -> int:
        """How many items come before the page."""
        return (self.page - 1) * self.page_size


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed the door."""

    request: Request
    scope: Scope
    """The environment its key acts on."""
    query: Any
    """An instance of the operation's query model."""

    def record(self, action: str, **about: object) -> None:
        """Log what was done that is no event, once it is done: by which key, where and what.

        `about` names no participant, because a log can't be made to forget one; ids of facts lead to them.
        """
        state = self.request.scope
        admin.info(
            "admin.done",
            action=action,
            environment=self.scope.environment,
            key_id=state.get("bq.key_id"),
            request_id=state.get("bq.request_id"),
            **about,
        )

    def in_sandbox(self) -> None:
        """Raises `Refusal` for a key of the live environment."""
        if self.scope.environment != "test":
            detail = "The sandbox is for test environments, and this key is of the live one: use a bq_test_ key."
            raise Refusal(Code.FORBIDDEN, detail)

    def parameter(self, name: str) -> str:
        """A parameter of the path, as it was meant: an escaped slash is one."""
        value: str = self.request.path_params[name]
        return path_parameter(value)


@dataclass(frozen=True, slots=True)
class DocumentedAnswer:
    """A success as the OpenAPI document tells it."""

    model: type[BaseModel]
    description: str
    example: Mapping[str, Any] | None = None
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """A method on a path: who may call it, what it takes, what it answers."""

    method: str
    path: str
    tag: str
    summary: str
    handle: Callable[[Call], Awaitable[Response]]
    answers: Mapping[int, DocumentedAnswer]
    scope: KeyScope | None = None
    """The scope a key needs; None for a route that needs no key."""
    query: type[Query] = Query
    body: type[BaseModel] | None = None
    body_example: Mapping[str, Any] | None = None
    body_media_type: str = "application/json"
    takes_idempotency_key: bool = False
    codes: Sequence[Code] = field(default=())
    """Refusals beside those that every route of its kind has."""

    @property
    def every_code(self) -> list[Code]:
        """All refusals this operation may answer, in the order of their statuses."""
        codes = set(self.codes)
        if self.scope is not None:
            codes |= {Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.VALIDATION_FAILED}
            codes |= {Code.STORE_UNAVAILABLE, Code.GAME_UNREADABLE}
        if self.body is not None:
            codes |= {Code.INVALID_JSON, Code.REQUEST_TIMEOUT, Code.BODY_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE}
        return [code for code in Code if code in codes]


def json_response(
    model: BaseModel,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    leave_out: set[str] | None = None,
) -> Response:
    """A model as the body, but for some of its fields."""
    return Response(model.model_dump_json(by_alias=True, exclude=leave_out), status, headers, "application/json")


def routes(operations: Sequence[Operation], keyring: Keyring, clocks: Clocks) -> list[Route]:
    """One route for each path, so that a method it doesn't have is answered with the `Allow` of those it has.

    Answers of an environment that has its own clock carry what it shows.
    """
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [
        Route(url, _endpoint(url, methods, keyring, clocks), methods=list(methods), include_in_schema=False)
        for url, methods in by_path.items()
    ]


def _endpoint(
    url: str, methods: Mapping[str, Operation], keyring: Keyring, clocks: Clocks
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        request.scope["bq.route"] = url
        operation = methods["GET" if request.method == "HEAD" else request.method]
        scope = Scope("", "")
        try:
            if operation.scope is not None:
                require_single(request)
                scope = authenticate(request, keyring, operation.scope).scope
            response = await operation.handle(Call(request, scope, _query(request, operation.query)))
        except Refusal as refusal:
            await discard_body(request)
            response = problem_response(request, refusal)
        except ClientDisconnect:
            request.scope["bq.abandoned"] = True
            response = Response(status_code=400)  # nobody is there to read it
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets an answer
            response = problem_response(request, as_refusal(error, request.scope.get("bq.request_id", "")))
        if shown := sandbox_clock(clocks, scope):
            response.headers["X-Sandbox-Clock"] = shown
        return response

    return endpoint


def as_refusal(error: BaseException, request_id: str) -> Refusal:
    """What a request is refused with when handling it came to this. What nobody foresaw is logged."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, StoreUnavailable) and not isinstance(error, StoreDamaged):
        detail = f"The facts can't be read now ({error}): ask again in a moment."
        return Refusal(Code.STORE_UNAVAILABLE, detail, headers=RETRY_AFTER)
    if (refusal := refusal_of(error, "This can't be done now")) is not None:
        return refusal
    log.error("request.broke", request_id=request_id, exc_info=error)
    detail = "This is a mistake of the server, and its log tells more under the request id."
    return Refusal(Code.INTERNAL_ERROR, detail)


def sandbox_clock(clocks: Clocks, scope: Scope) -> str | None:
    """What `X-Sandbox-Clock` shows: the time in an environment that has a clock of its own."""
    return None if clocks.own(scope) is None else format_timestamp(clocks.now(scope))


def _query(request: Request, model: type[Query]) -> Query:
    parameters = request.query_params
    repeated = [name for name in parameters if len(parameters.getlist(name)) > 1]
    if repeated:
        raise Refusal.of_fields([FieldError(name, "repeated", "must be given once") for name in repeated])
    try:
        return model.model_validate(dict(parameters))
    except ValidationError as error:
        known = ", ".join(model.model_fields) or "none"
        errors = [
            FieldError(
                path(item["loc"]),
                item["type"],
                f"is not a parameter of this route; it has {known}"
                if item["type"] == "extra_forbidden"
                else in_words(item),
            )
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise Refusal.of_fields(errors) from None
