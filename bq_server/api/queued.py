"""The answers to queued events, for the handlers and the lane."""

from bq_server.api.batches import REPLAYED, BatchOutcome
from bq_server.api.replies import NO_HEADERS, Reply
from bq_server.api.schemas.events import BatchAnswer
from bq_server.ingest.outcomes import Accepted


def accepted_reply(result: Accepted) -> Reply:
    """The answer to a queued event, without `wait=fact`: an `AcceptedAnswer`, written by hand as it is so frequent."""
    body = b'{"accepted":true,"message_id":"%s"}' % result.message_id.encode()
    return Reply(202, body, REPLAYED if result.repeated else NO_HEADERS)


def batch_reply(taken: BatchOutcome[Accepted]) -> Reply:
    """The answer to a batch, without `wait=fact`."""
    return taken.reply(batch_answer(taken), 202, leave_out={"event_ids", "fact_ids"})


def batch_answer(taken: BatchOutcome[Accepted]) -> BatchAnswer:
    """What became of each event of a batch."""
    return BatchAnswer(
        accepted=len(taken.results),
        rejected=taken.rejected,
        message_ids=[result.message_id for result in taken.results],
        errors=taken.errors,
    )
