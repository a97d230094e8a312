"""One description of each route, from which both the routing and the OpenAPI document are made.

A resource is a class whose handlers each stand under the `operation` that declares their route.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct, field
from pydantic import BaseModel
from starlette.responses import Response

from bq_server.api.call import Call, Q
from bq_server.api.participant_tokens import TokenUse
from bq_server.api.schemas.values import Query
from bq_server.refusals import Code
from bq_server.store.keys import KeyScope

R = TypeVar("R")

Handler = Callable[[R, Call[Q]], Awaitable[Response]]
"""A method of a resource that answers a call."""

INTAKE_CODES = (
    Code.IDEMPOTENCY_CONFLICT,
    Code.MESSAGE_DEAD,
    Code.STREAM_UNAVAILABLE,
    Code.OVERLOADED,
    Code.STOPPING,
)
"""Refusals of every route that accepts events."""

NO_PARAMETERS: Any = Query
"""The query of a route that has none; of any type, because `operation` can't declare it as the default of `Q`."""

_DECLARED = "__declared__"


class DocumentedAnswer(Struct, frozen=True):
    """A success as the OpenAPI document describes it."""

    model: type[BaseModel]
    description: str
    example: Mapping[str, Any] | None = None
    media_type: str = "application/json"
    variants: Sequence[type[BaseModel]] = ()
    """Other models with the same status, those that say more first.

    Trying them in this order, the model last, finds the right one: an answer with effects passes as one without.
    """


class Operation(Struct, frozen=True):
    """A method on a path: who may call it, what it takes, what it answers."""

    operation_id: str
    """Names functions in generated code. It is kept for ever: changing it breaks the code of generated clients."""
    method: str
    path: str
    tag: str
    summary: str
    """In one line. `{max_batch_events}` and other limits in braces are replaced by what the settings say."""
    handle: Callable[[Call[Any]], Awaitable[Response]]
    answers: Mapping[int, DocumentedAnswer]
    scope: KeyScope | None = None
    """The scope a key needs; None for a route that needs no key."""
    query: type[Query] = Query
    body: type[BaseModel] | None = None
    body_example: Mapping[str, Any] | None = None
    body_media_type: str = "application/json"
    takes_idempotency_key: bool = False
    resumes: bool = False
    """Whether it takes a `Last-Event-ID`."""
    codes: Sequence[Code] = field(default=())
    """Refusals beside those that every route of its kind has."""
    reads: TokenUse | None = None
    """What a participant token may read by it; None for nothing."""

    @property
    def every_code(self) -> list[Code]:
        """All refusals this operation may answer, in the order of their statuses."""
        codes = set(self.codes)
        if self.scope is not None:
            codes |= {Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.VALIDATION_FAILED, Code.RATE_LIMITED}
            codes |= {Code.STORE_UNAVAILABLE, Code.GAME_UNREADABLE}
        if self.reads is not None:
            codes |= {Code.TOKEN_EXPIRED}
        if self.body is not None:
            codes |= {Code.INVALID_JSON, Code.REQUEST_TIMEOUT, Code.BODY_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE}
        return [code for code in Code if code in codes]


def operation(
    operation_id: str,
    method: str,
    path: str,
    tag: str,
    answers: Mapping[int, DocumentedAnswer],
    *,
    scope: KeyScope | None = None,
    query: type[Q] = NO_PARAMETERS,
    body: type[BaseModel] | None = None,
    body_example: Mapping[str, Any] | None = None,
    body_media_type: str = "application/json",
    takes_idempotency_key: bool = False,
    resumes: bool = False,
    codes: Sequence[Code] = (),
    reads: TokenUse | None = None,
) -> Callable[[Handler[R, Q]], Handler[R, Q]]:
    """Declare the route of the handler below, with the fields of `Operation`.

    The handler's call has this query; the first line of its docstring is the summary.
    """

    def declare(handler: Handler[R, Q]) -> Handler[R, Q]:
        summary = (handler.__doc__ or "").partition("\n")[0].rstrip(".")

        def bound_to(resource: R) -> Operation:
            return Operation(
                operation_id,
                method,
                path,
                tag,
                summary,
                handler.__get__(resource),
                answers,
                scope,
                query,
                body,
                body_example,
                body_media_type,
                takes_idempotency_key,
                resumes,
                codes,
                reads,
            )

        setattr(handler, _DECLARED, bound_to)
        return handler

    return declare


def operations_of(*resources: object) -> Iterator[Operation]:
    """The operations of these resources, in the order in which they are declared."""
    for resource in resources:
        for member in vars(type(resource)).values():
            declared = getattr(member, _DECLARED, None)
            if declared is not None:
                yield declared(resource)


def json_response(
    model: BaseModel,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    leave_out: set[str] | None = None,
) -> Response:
    """A model as the body, except for some of its fields."""
    return Response(model.model_dump_json(by_alias=True, exclude=leave_out), status, headers, "application/json")
