"""Batches of events, each accepted or rejected on its own, by either path."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Generic, TypeVar

from msgspec import Struct
from pydantic import BaseModel

from bq_server.api.call import Call
from bq_server.api.replies import NO_HEADERS, Reply
from bq_server.api.request_parser import BatchEvents, RequestParser
from bq_server.api.schemas.events import BatchError
from bq_server.events import Event
from bq_server.ingest.outcomes import Accepted, NotAccepted, RecordedFact

R = TypeVar("R", Accepted, RecordedFact)

REPLAYED = {"Idempotent-Replayed": "true"}


class BatchOutcome(Struct, Generic[R], frozen=True):
    """What became of the events of a batch."""

    results: list[R]
    """Of the accepted events, in order."""
    errors: list[BatchError]
    """Of the rejected events, in the order of the batch."""

    @property
    def rejected(self) -> int:
        """How many events were rejected; one may have several errors."""
        return len({error.index for error in self.errors})

    def reply(self, answer: BaseModel, success: int, *, leave_out: Collection[str] = ()) -> Reply:
        """The answer: 422 if nothing was accepted, and with `errors` only if something was rejected."""
        body = answer.model_dump_json(exclude={*leave_out} | (set() if self.errors else {"errors"})).encode()
        return Reply(success if self.results else 422, body, replayed(self.results))


async def take_batch(
    call: Call, parser: RequestParser, take: Callable[[Sequence[Event]], Awaitable[Sequence[R | NotAccepted]]]
) -> BatchOutcome[R]:
    """Read a batch and hand its valid events over. Raises `Refusal` if it can't be read."""
    events = await parser.many(call)
    return taken_of(events, await take(list(events.valid.values())))


def taken_of(events: BatchEvents, found: Sequence[R | NotAccepted]) -> BatchOutcome[R]:
    """What became of a batch, given the results of its valid events."""
    results: list[R] = []
    errors = events.errors
    for index, result in zip(events.valid, found, strict=True):
        if isinstance(result, NotAccepted):
            code = result.code.value
            errors.append(BatchError(index=index, field="idempotency_key", code=code, detail=result.detail))
        else:
            results.append(result)
    errors.sort(key=lambda error: error.index)
    return BatchOutcome(results, errors)


def replayed(results: Sequence[Accepted | RecordedFact]) -> Mapping[str, str]:
    """The header for an answer that only repeats earlier ones."""
    return REPLAYED if results and all(result.repeated for result in results) else NO_HEADERS
