"""From operations to routes: authenticates the caller, parses the query, and turns exceptions into answers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bq_server.api.admission import Admission
from bq_server.api.bodies import discard_body
from bq_server.api.call import Call, require_stored
from bq_server.api.operations import Operation
from bq_server.api.problems import CLOSES, NO_HEADERS, as_refusal, problem_response
from bq_server.api.schemas.values import Query
from bq_server.clock import Clocks
from bq_server.refusals import FieldError, Refusal, in_words, path


def routes(operations: Sequence[Operation], admission: Admission, clocks: Clocks) -> list[Route]:
    """One route for each path, so that an unsupported method is answered with the `Allow` of the supported ones.

    Answers of an environment with its own clock carry its time.
    """
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [
        Route(url, _endpoint(url, methods, admission, clocks), methods=list(methods), include_in_schema=False)
        for url, methods in by_path.items()
    ]


def _endpoint(
    url: str, methods: Mapping[str, Operation], admission: Admission, clocks: Clocks
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        request.scope["bq.route"] = url
        operation = methods["GET" if request.method == "HEAD" else request.method]
        key = None
        try:
            if operation.scope is not None:
                key = await admission.admit(request, operation.scope, operation.reads)
            response = await operation.handle(Call(request, key, _query(request, operation.query), clocks.real))
        except Refusal as refusal:
            goes_on = await discard_body(request)
            response = problem_response(request, refusal, NO_HEADERS if goes_on else CLOSES)
        except ClientDisconnect:
            request.scope["bq.abandoned"] = True
            response = Response(status_code=400)  # nobody is left to read it
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets an answer
            response = problem_response(request, as_refusal(error, request.scope.get("bq.request_id", "")))
        if key is not None and (shown := clocks.shown(key.scope)):
            response.headers["X-Sandbox-Clock"] = shown
        if (allowance := request.scope.get("bq.rate")) is not None:
            response.headers.update(allowance.headers)
        return response

    return endpoint


def _query(request: Request, model: type[Query]) -> Query:
    parameters = request.query_params
    repeated = [name for name in parameters if len(parameters.getlist(name)) > 1]
    if repeated:
        raise Refusal.of_fields([FieldError(name, "repeated", "must be given once") for name in repeated])
    for name, value in parameters.items():
        require_stored(name, value)
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
