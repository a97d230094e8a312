"""Parsing events and other models from requests: body, limits, validation, idempotency key."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct, field
from pydantic import BaseModel, ValidationError

from bq_server.api.bodies import BodyLimits, read_body
from bq_server.api.call import Call
from bq_server.api.schemas.events import BatchError
from bq_server.concurrency.time_slices import TimeSlices
from bq_server.events import Event, Scope
from bq_server.ingest.drafts import Drafter
from bq_server.ingest.validation import (
    MOST_FAULTS,
    Limits,
    ValidEvent,
    batch,
    check,
    faults_of,
    idempotency_key,
    parse,
    single,
)
from bq_server.metrics.counts import IntakeCounts
from bq_server.refusals import FieldError, Refusal, field_errors

if TYPE_CHECKING:
    from bq_server.tracing.tracer import Tracer

M = TypeVar("M", bound=BaseModel)


class BatchEvents(Struct, frozen=True):
    """The events of a batch."""

    valid: dict[int, Event] = field(default_factory=dict)
    """By index."""
    errors: list[BatchError] = field(default_factory=list)
    """For the invalid ones."""


class RequestParser(Struct, frozen=True):
    """Parses requests into events."""

    drafter: Drafter
    limits: Limits
    bodies: BodyLimits
    counts: IntakeCounts = field(default_factory=IntakeCounts)
    tracer: "Tracer | None" = None
    """None where nothing is traced."""

    async def one(self, call: Call) -> Event:
        """The event of a single or sync request. Raises `Refusal`."""
        limits = self.bodies
        body = await read_body(call.request, limits.single, limits.seconds, also=limits.events_also)
        event = self.event(call.scope, body, _header_key(call))
        return event if self.tracer is None else self.tracer.begin(event, call.request.headers.get("traceparent"))

    def event(self, scope: Scope, body: bytes, header_key: str | None) -> Event:
        """The one event of a body. Raises `Refusal`."""
        return self.drafter.draft(scope, single(body, self.limits, header_key))

    async def many(self, call: Call) -> BatchEvents:
        """The events of a batch. Raises `Refusal`."""
        if _header_key(call) is not None:
            detail = "is for one event: in a batch give each event its own idempotency_key"
            raise Refusal.of_fields([FieldError("Idempotency-Key", "not_for_batches", detail)])
        limits = self.bodies
        body = await read_body(call.request, limits.batch, limits.seconds, also=limits.events_also)
        events = BatchEvents()
        slices = TimeSlices()
        for _ in self.read_into(events, call.scope, body):
            await slices.give_way()
        if self.tracer is not None:
            header = call.request.headers.get("traceparent")
            events.valid.update({place: self.tracer.begin(each, header) for place, each in events.valid.items()})
        return events

    def read_into(self, events: BatchEvents, scope: Scope, body: bytes) -> Iterator[None]:
        """Read the events of a batch one by one, one per step of the iterator. Raises `Refusal`."""
        for index, document in enumerate(batch(body, self.limits)):
            found = check(document, self.limits)
            if isinstance(found, ValidEvent):
                events.valid[index] = self.drafter.draft(scope, found)
            else:
                self.counts.rejected += 1
                events.errors.extend(
                    BatchError(index=index, field=error.field, code=error.code, detail=error.detail) for error in found
                )
            yield

    async def model(self, call: Call, model: type[M]) -> tuple[M, str | None]:
        """A body of any other shape, and the idempotency key from the header or the body. Raises `Refusal`."""
        body = await read_body(call.request, self.bodies.single, self.bodies.seconds)
        document = parse(body)
        try:
            found = model.model_validate(document)
        except ValidationError as error:
            raise Refusal.of_fields(field_errors(error)) from None
        if faults := faults_of(document, self.limits):
            raise Refusal.of_fields(faults)
        return found, idempotency_key(_header_key(call), getattr(found, "idempotency_key", None))

    async def items(
        self, call: Call, name: str, item: type[M], most: int
    ) -> tuple[list[M | list[FieldError]], str | None]:
        """The items of a body that is a list under a name, each valid or with its errors; and the header's key.

        Raises `Refusal` if there is no such list of 1 to `most` items.
        """
        document = parse(await read_body(call.request, self.bodies.single, self.bodies.seconds))
        given = document.get(name) if isinstance(document, dict) else None
        wrong = [
            FieldError(other, "extra_forbidden", "extra inputs are not permitted")
            for other in (document if isinstance(document, dict) else ())
            if other != name
        ]
        if not isinstance(given, list):
            wrong.insert(0, FieldError(name, "list_type", f'must be a list, in a body like {{"{name}": [...]}}'))
        if wrong or not isinstance(given, list):
            raise Refusal.of_fields(wrong[:MOST_FAULTS])
        if not 1 <= len(given) <= most:
            detail = f"must have 1 to {most} items, not {len(given)}"
            raise Refusal.of_fields([FieldError(name, "list_length", detail)])
        return [self._item(each, item) for each in given], idempotency_key(_header_key(call), None)

    def _item(self, document: Any, item: type[M]) -> M | list[FieldError]:
        try:
            found = item.model_validate(document)
        except ValidationError as error:
            return field_errors(error)
        return faults_of(document, self.limits) or found


def _header_key(call: Call) -> str | None:
    value = call.request.headers.get("idempotency-key")
    return None if value is None else text_of_header(value)


def text_of_header(value: str) -> str:
    """The text of a header: HTTP specifies Latin-1, and most clients that send other letters send UTF-8."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return value
