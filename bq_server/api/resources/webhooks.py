"""`/api/v1/webhooks/endpoints`: who is told outside of what happens, and what became of it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from bq_server.api.operations import Call, DocumentedAnswer, Operation, Query, json_response
from bq_server.api.request_parser import RequestParser
from bq_server.api.resources.facts import Moment
from bq_server.delivery.endpoints import MOST_ENDPOINTS, Endpoints, TooManyEndpoints, UnknownEndpoint, UrlRefused
from bq_server.ingest.models import Timestamp
from bq_server.moments import format_timestamp
from bq_server.processing.announcements import EventType
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import webhooks
from bq_server.store.database import Database
from bq_server.store.webhooks import Delivery, Endpoint, Try

Url = Annotated[str, Field(min_length=1, max_length=2000, description="http:// or https://.")]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=100, description="What it is told of.")]
Description = Annotated[str, Field(max_length=500)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EndpointIn(_Body):
    """A new endpoint."""

    url: Url
    event_types: EventTypes
    description: Description = ""


class EndpointPatch(_Body):
    """What changes; what isn't given stays."""

    url: Url | None = None
    event_types: EventTypes | None = None
    description: Description | None = None
    enabled: bool | None = Field(None, strict=True, description="Switches it on, or off.")


class RotateIn(_Body):
    """How a new secret takes over."""

    overlap_seconds: int = Field(
        86_400, ge=0, le=30 * 86_400, strict=True, description="How long requests are also signed with the old one."
    )


class ReplayIn(_Body):
    """The span, by `created_at`."""

    since: Timestamp | None = None
    until: Timestamp | None = None


class EndpointAnswer(BaseModel):
    """Who is told, without the secret."""

    endpoint_id: str
    url: str
    event_types: list[str]
    description: str
    enabled: bool
    off_because: str | None = Field(description="Why nothing is sent there; null while it is on.")
    failing_since: Moment | None = Field(description="Since when every try fails.")
    waiting: int = Field(description="Deliveries that wait.")
    created_at: Moment


class NewEndpointAnswer(EndpointAnswer):
    """An endpoint with its secret, which is shown only now."""

    secret: str = Field(description="Base64 after `whsec_`, as Standard Webhooks has it.")


class EndpointsAnswer(BaseModel):
    """The endpoints of the environment, oldest first."""

    endpoints: list[EndpointAnswer]


class RemovedAnswer(BaseModel):
    """It is gone, with all its deliveries."""

    removed: Literal[True] = True


class TryAnswer(BaseModel):
    """One request."""

    tried_at: Moment
    status: int | None = Field(description="Null where no answer came.")
    milliseconds: int
    answer: str = Field(description="The first bytes of the answer, or why there was none.")


class DeliveryAnswer(BaseModel):
    """What the endpoint is told, and whether it was."""

    delivery_id: str = Field(description="The `webhook-id` of every try.")
    event_type: str
    participant_id: str
    fact_id: str | None
    state: Literal["waiting", "delivered", "aside"] = Field(description="`aside`: all its tries failed.")
    created_at: Moment
    next_try_at: Moment | None = Field(description="Of one that waits, unless it is due.")
    tries: list[TryAnswer]


class DeliveriesAnswer(BaseModel):
    """One page of deliveries, the newest first."""

    deliveries: list[DeliveryAnswer]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")


class DeliveriesQuery(Query):
    """Which deliveries."""

    state: Literal["waiting", "delivered", "aside"] | None = None
    limit: int = Field(50, ge=1, le=200)
    cursor: int | None = Field(None, ge=1, description="From `next_cursor` of the page before.")


class QueuedAnswer(BaseModel):
    """A delivery waits to be sent."""

    delivery_id: str


class ReplayAnswer(BaseModel):
    """Deliveries wait to be sent again, under the ids they had."""

    deliveries: int


class WebhookEndpoints:
    """What the routes do."""

    def __init__(self, endpoints: Endpoints, database: Database, reading: RequestParser) -> None:
        self._endpoints = endpoints
        self._database = database
        self._reading = reading

    async def create(self, call: Call) -> Response:
        """Make an endpoint."""
        sent, _ = await self._reading.model(call, EndpointIn)
        try:
            made = await self._endpoints.create(call.scope, sent.url, frozenset(sent.event_types), sent.description)
        except UrlRefused as error:
            raise _bad_url(error) from None
        except TooManyEndpoints:
            detail = f"an environment has {MOST_ENDPOINTS} endpoints at most: remove one first"
            raise Refusal.of_fields([FieldError("url", "too_many_endpoints", detail)]) from None
        call.record("webhook_endpoint_created", endpoint_id=made.endpoint_id)
        return json_response(_with_secret(made), 201)

    async def every(self, call: Call) -> Response:
        """List the endpoints."""
        found = await self._endpoints.every(call.scope)
        return json_response(EndpointsAnswer(endpoints=[_answer(each) for each in found]))

    async def get(self, call: Call) -> Response:
        """Show an endpoint."""
        return json_response(_answer(await self._of(call)))

    async def change(self, call: Call) -> Response:
        """Change an endpoint."""
        endpoint = await self._of(call)
        sent, _ = await self._reading.model(call, EndpointPatch)
        try:
            changed = await self._endpoints.change(
                call.scope,
                endpoint.endpoint_id,
                url=sent.url,
                event_types=None if sent.event_types is None else frozenset(sent.event_types),
                description=sent.description,
                enabled=sent.enabled,
            )
        except UrlRefused as error:
            raise _bad_url(error) from None
        call.record("webhook_endpoint_changed", endpoint_id=endpoint.endpoint_id)
        return json_response(_answer(changed))

    async def remove(self, call: Call) -> Response:
        """Remove an endpoint."""
        endpoint = await self._of(call)
        await self._endpoints.remove(call.scope, endpoint.endpoint_id)
        call.record("webhook_endpoint_removed", endpoint_id=endpoint.endpoint_id)
        return json_response(RemovedAnswer())

    async def rotate(self, call: Call) -> Response:
        """Give an endpoint a new secret."""
        endpoint = await self._of(call)
        sent, _ = await self._reading.model(call, RotateIn)
        rotated = await self._endpoints.rotate(call.scope, endpoint.endpoint_id, sent.overlap_seconds)
        call.record("webhook_secret_rotated", endpoint_id=endpoint.endpoint_id)
        return json_response(_with_secret(rotated))

    async def test(self, call: Call) -> Response:
        """Send a test."""
        endpoint = await self._of(call)
        return json_response(
            QueuedAnswer(delivery_id=await self._endpoints.test(call.scope, endpoint.endpoint_id)), 202
        )

    async def deliveries(self, call: Call) -> Response:
        """List what an endpoint was told."""
        endpoint, query = await self._of(call), call.query
        before = {} if query.cursor is None else {"before": query.cursor}
        async with self._database.read() as connection:
            found = await webhooks.deliveries(
                connection, endpoint.endpoint_id, state=query.state, limit=query.limit + 1, **before
            )
            page = found[: query.limit]
            tries = await webhooks.tries(connection, [each.position for each in page])
        more = len(found) > len(page)
        answer = DeliveriesAnswer(
            deliveries=[_told(each, tries.get(each.position, [])) for each in page],
            next_cursor=str(page[-1].position) if more else None,
        )
        return json_response(answer)

    async def retry(self, call: Call) -> Response:
        """Try a delivery again."""
        endpoint, delivery_id = await self._of(call), call.parameter("delivery_id")
        async with self._database.transaction() as connection:
            there = await webhooks.retry(connection, endpoint.endpoint_id, delivery_id)
        if not there:
            raise Refusal(Code.NOT_FOUND, f"The endpoint has no delivery {delivery_id}; they are kept for 3 days.")
        call.record("webhook_retried", endpoint_id=endpoint.endpoint_id, delivery_id=delivery_id)
        return json_response(QueuedAnswer(delivery_id=delivery_id), 202)

    async def replay(self, call: Call) -> Response:
        """Send a span again."""
        endpoint = await self._of(call)
        sent, _ = await self._reading.model(call, ReplayIn)
        async with self._database.transaction() as connection:
            count = await webhooks.replay(connection, endpoint.endpoint_id, sent.since, sent.until)
        call.record("webhooks_replayed", endpoint_id=endpoint.endpoint_id, deliveries=count)
        return json_response(ReplayAnswer(deliveries=count), 202)

    async def _of(self, call: Call) -> Endpoint:
        endpoint_id = call.parameter("endpoint_id")
        try:
            return await self._endpoints.get(call.scope, endpoint_id)
        except UnknownEndpoint:
            detail = f"The {call.scope.environment} environment has no webhook endpoint {endpoint_id}."
            raise Refusal(Code.NOT_FOUND, detail) from None


def operations(endpoints: Endpoints, database: Database, reading: RequestParser) -> list[Operation]:
    """The routes of this resource."""
    own = WebhookEndpoints(endpoints, database, reading)
    example = {"url": "https://shop.example/hooks", "event_types": ["badge.awarded", "points.changed"]}
    path = "/api/v1/webhooks/endpoints"
    one = f"{path}/{{endpoint_id}}"

    def operation(method: str, url: str, summary: str, handle: Any, status: int, model: Any, **more: Any) -> Operation:
        codes = (Code.NOT_FOUND,) if url != path else ()
        answers = {status: DocumentedAnswer(model, model.__doc__)}
        return Operation(method, url, "Webhooks", summary, handle, answers, scope="webhooks", codes=codes, **more)

    return [
        operation(
            "POST", path, "Make an endpoint", own.create, 201, NewEndpointAnswer, body=EndpointIn, body_example=example
        ),
        operation("GET", path, "The endpoints", own.every, 200, EndpointsAnswer),
        operation("GET", one, "One endpoint", own.get, 200, EndpointAnswer),
        operation(
            "PATCH",
            one,
            "Change an endpoint, switch it on or off",
            own.change,
            200,
            EndpointAnswer,
            body=EndpointPatch,
            body_example={"enabled": True},
        ),
        operation("DELETE", one, "Remove an endpoint", own.remove, 200, RemovedAnswer),
        operation(
            "POST",
            f"{one}/secret",
            "Give an endpoint a new secret",
            own.rotate,
            200,
            NewEndpointAnswer,
            body=RotateIn,
            body_example={"overlap_seconds": 3600},
        ),
        operation("POST", f"{one}/test", "Send a test", own.test, 202, QueuedAnswer),
        operation(
            "POST",
            f"{one}/replay",
            "Send a span again, under the same ids",
            own.replay,
            202,
            ReplayAnswer,
            body=ReplayIn,
            body_example={"since": "2026-04-02T09:00:00Z"},
        ),
        operation(
            "GET",
            f"{one}/deliveries",
            "What an endpoint was told, with each try",
            own.deliveries,
            200,
            DeliveriesAnswer,
            query=DeliveriesQuery,
        ),
        operation(
            "POST",
            f"{one}/deliveries/{{delivery_id}}/retry",
            "Try a delivery again at once",
            own.retry,
            202,
            QueuedAnswer,
        ),
    ]


def _bad_url(error: UrlRefused) -> Refusal:
    return Refusal.of_fields([FieldError("url", "url_refused", str(error))])


def _answer(endpoint: Endpoint) -> EndpointAnswer:
    return EndpointAnswer(**_fields(endpoint))


def _with_secret(endpoint: Endpoint) -> NewEndpointAnswer:
    return NewEndpointAnswer(**_fields(endpoint), secret=endpoint.secret)


def _fields(endpoint: Endpoint) -> dict[str, Any]:
    failing = endpoint.failing_since
    return {
        "endpoint_id": endpoint.endpoint_id,
        "url": endpoint.url,
        "event_types": sorted(endpoint.event_types),
        "description": endpoint.description,
        "enabled": endpoint.off_because is None,
        "off_because": endpoint.off_because,
        "failing_since": None if failing is None else format_timestamp(failing),
        "waiting": endpoint.waiting,
        "created_at": format_timestamp(endpoint.created_at),
    }


def _told(delivery: Delivery, tries: list[Try]) -> DeliveryAnswer:
    waits = delivery.state == "waiting" and delivery.next_at > 0
    return DeliveryAnswer(
        delivery_id=delivery.delivery_id,
        event_type=delivery.event_type,
        participant_id=delivery.participant_id,
        fact_id=delivery.fact_id,
        state=delivery.state,
        created_at=format_timestamp(delivery.created_at),
        next_try_at=format_timestamp(delivery.next_at) if waits else None,
        tries=[
            TryAnswer(
                tried_at=format_timestamp(each.tried_at),
                status=each.status,
                milliseconds=each.milliseconds,
                answer=each.answer,
            )
            for each in tries
        ],
    )
