"""`/api/v1/webhooks/endpoints`: webhook endpoints and their deliveries."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.webhooks import (
    DeliveriesAnswer,
    DeliveriesQuery,
    DeliveryAnswer,
    EndpointAnswer,
    EndpointIn,
    EndpointPatch,
    EndpointsAnswer,
    NewEndpointAnswer,
    QueuedAnswer,
    RemovedAnswer,
    ReplayAnswer,
    ReplayIn,
    RotateIn,
    TryAnswer,
)
from bq_server.delivery.endpoints import (
    MOST_ENDPOINTS,
    MOST_REPLAYED,
    Endpoints,
    TooManyDeliveries,
    TooManyEndpoints,
    UnknownEndpoint,
    UrlRefused,
)
from bq_server.moments import format_timestamp
from bq_server.refusals import Code, FieldError, Refusal
from bq_server.store import webhooks
from bq_server.store.database import Database
from bq_server.store.webhooks import Delivery, Endpoint, Try

PATH = "/api/v1/webhooks/endpoints"
ONE = f"{PATH}/{{endpoint_id}}"
TAG = "Webhooks"


class WebhookEndpointsResource:
    """Manages webhook endpoints and reports on their deliveries."""

    def __init__(self, endpoints: Endpoints, database: Database, parser: RequestParser) -> None:
        self._endpoints = endpoints
        self._database = database
        self._parser = parser

    @operation(
        "createWebhookEndpoint",
        "POST",
        PATH,
        TAG,
        {201: DocumentedAnswer(NewEndpointAnswer, "Created; it is sent what happens from now on.")},
        scope="webhooks",
        body=EndpointIn,
        body_example={"url": "https://shop.example/hooks", "event_types": ["badge.awarded", "points.changed"]},
    )
    async def create_endpoint(self, call: Call) -> Response:
        """Create an endpoint."""
        sent, _ = await self._parser.model(call, EndpointIn)
        try:
            made = await self._endpoints.create(
                call.act("webhook_endpoint_created"),
                call.scope,
                sent.url,
                frozenset(sent.event_types),
                sent.description,
                top_ranks=sent.top_ranks,
                vendor_headers=sent.vendor_headers,
            )
        except UrlRefused as error:
            raise _bad_url(error) from None
        except TooManyEndpoints:
            detail = f"an environment has {MOST_ENDPOINTS} endpoints at most: remove one first"
            raise Refusal.of_fields([FieldError("url", "too_many_endpoints", detail)]) from None
        return json_response(_with_secret(made), 201)

    @operation(
        "listWebhookEndpoints",
        "GET",
        PATH,
        TAG,
        {200: DocumentedAnswer(EndpointsAnswer, "The endpoints of the environment.")},
        scope="webhooks",
    )
    async def list_endpoints(self, call: Call) -> Response:
        """The endpoints, oldest first."""
        found = await self._endpoints.every(call.scope)
        return json_response(EndpointsAnswer(endpoints=[_answer(each) for each in found]))

    @operation(
        "getWebhookEndpoint",
        "GET",
        ONE,
        TAG,
        {200: DocumentedAnswer(EndpointAnswer, "The endpoint.")},
        scope="webhooks",
        codes=(Code.NOT_FOUND,),
    )
    async def get_endpoint(self, call: Call) -> Response:
        """One endpoint."""
        return json_response(_answer(await self._of(call)))

    @operation(
        "updateWebhookEndpoint",
        "PATCH",
        ONE,
        TAG,
        {200: DocumentedAnswer(EndpointAnswer, "The changed endpoint.")},
        scope="webhooks",
        body=EndpointPatch,
        body_example={"enabled": True},
        codes=(Code.NOT_FOUND,),
    )
    async def change_endpoint(self, call: Call) -> Response:
        """Change an endpoint, or enable or disable it."""
        sent, _ = await self._parser.model(call, EndpointPatch)
        act = call.act("webhook_endpoint_changed")
        with _known(call) as endpoint_id:
            try:
                changed = await self._endpoints.change(
                    act, call.scope, endpoint_id, _changed(sent), enabled=sent.enabled
                )
            except UrlRefused as error:
                raise _bad_url(error) from None
        return json_response(_answer(changed))

    @operation(
        "removeWebhookEndpoint",
        "DELETE",
        ONE,
        TAG,
        {200: DocumentedAnswer(RemovedAnswer, "Removed.")},
        scope="webhooks",
        codes=(Code.NOT_FOUND,),
    )
    async def remove_endpoint(self, call: Call) -> Response:
        """Remove an endpoint with all its deliveries."""
        with _known(call) as endpoint_id:
            await self._endpoints.remove(call.act("webhook_endpoint_removed"), call.scope, endpoint_id)
        return json_response(RemovedAnswer())

    @operation(
        "rotateWebhookSecret",
        "POST",
        f"{ONE}/secret",
        TAG,
        {200: DocumentedAnswer(NewEndpointAnswer, "The new secret. Both secrets sign during the overlap.")},
        scope="webhooks",
        body=RotateIn,
        body_example={"overlap_seconds": 3600},
        codes=(Code.NOT_FOUND,),
    )
    async def rotate_secret(self, call: Call) -> Response:
        """Give an endpoint a new secret."""
        sent, _ = await self._parser.model(call, RotateIn)
        act = call.act("webhook_secret_rotated")
        with _known(call) as endpoint_id:
            rotated = await self._endpoints.rotate(act, call.scope, endpoint_id, sent.overlap_seconds)
        return json_response(_with_secret(rotated))

    @operation(
        "testWebhookEndpoint",
        "POST",
        f"{ONE}/test",
        TAG,
        {202: DocumentedAnswer(QueuedAnswer, "It will be sent.")},
        scope="webhooks",
        codes=(Code.NOT_FOUND,),
    )
    async def send_test(self, call: Call) -> Response:
        """Send a test delivery."""
        with _known(call) as endpoint_id:
            delivery_id = await self._endpoints.test(call.scope, endpoint_id)
        return json_response(QueuedAnswer(delivery_id=delivery_id), 202)

    @operation(
        "listWebhookDeliveries",
        "GET",
        f"{ONE}/deliveries",
        TAG,
        {200: DocumentedAnswer(DeliveriesAnswer, "One page.")},
        scope="webhooks",
        query=DeliveriesQuery,
        codes=(Code.NOT_FOUND,),
    )
    async def list_deliveries(self, call: Call[DeliveriesQuery]) -> Response:
        """An endpoint's deliveries, newest first, with each try."""
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

    @operation(
        "retryWebhookDelivery",
        "POST",
        f"{ONE}/deliveries/{{delivery_id}}/retry",
        TAG,
        {202: DocumentedAnswer(QueuedAnswer, "It will be sent.")},
        scope="webhooks",
        codes=(Code.NOT_FOUND,),
    )
    async def retry_delivery(self, call: Call) -> Response:
        """Retry a delivery at once."""
        endpoint, delivery_id = await self._of(call), call.parameter("delivery_id")
        async with self._database.transaction() as connection:
            there = await webhooks.retry(connection, endpoint.endpoint_id, delivery_id)
            if there:
                act = call.act("webhook_retried")
                await act.keep(connection, endpoint_id=endpoint.endpoint_id, delivery_id=delivery_id)
        if not there:
            raise Refusal(Code.NOT_FOUND, f"The endpoint has no delivery {delivery_id}; they are kept for 3 days.")
        return json_response(QueuedAnswer(delivery_id=delivery_id), 202)

    @operation(
        "replayWebhooks",
        "POST",
        f"{ONE}/replay",
        TAG,
        {202: DocumentedAnswer(ReplayAnswer, "They will be sent.")},
        scope="webhooks",
        body=ReplayIn,
        body_example={"since": "2026-04-02T09:00:00Z"},
        codes=(Code.NOT_FOUND,),
    )
    async def replay_deliveries(self, call: Call) -> Response:
        """Send the deliveries of a time range again, under the same ids."""
        sent, _ = await self._parser.model(call, ReplayIn)
        act = call.act("webhooks_replayed")
        with _known(call) as endpoint_id:
            try:
                count = await self._endpoints.replay(act, call.scope, endpoint_id, sent.since, sent.until)
            except TooManyDeliveries:
                detail = f"more than {MOST_REPLAYED} deliveries are in this time range: choose a shorter one"
                raise Refusal.of_fields([FieldError("since", "too_many_deliveries", detail)]) from None
        return json_response(ReplayAnswer(deliveries=count), 202)

    async def _of(self, call: Call) -> Endpoint:
        with _known(call) as endpoint_id:
            return await self._endpoints.get(call.scope, endpoint_id)


@contextmanager
def _known(call: Call) -> Iterator[str]:
    """The id of the endpoint in the path. Raises `Refusal` if the environment has no such endpoint."""
    endpoint_id = call.parameter("endpoint_id")
    try:
        yield endpoint_id
    except UnknownEndpoint:
        raise call.missing("webhook endpoint", endpoint_id) from None


def _changed(sent: EndpointPatch) -> dict[str, Any]:
    """The given fields of an endpoint; null leaves one unchanged."""
    given = sent.model_dump(exclude_none=True, exclude={"enabled"})
    if "event_types" in given:
        given["event_types"] = frozenset(given["event_types"])
    return given


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
        "top_ranks": endpoint.top_ranks,
        "vendor_headers": endpoint.vendor_headers,
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
