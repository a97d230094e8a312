"""Settling a batch of stream messages: what can't be processed is found out alone and never stops the others."""

from collections.abc import Sequence

import structlog

from bq_server.events import Event
from bq_server.processing.processor import Conflict, Outcome, Processor
from bq_server.store.database import StoreUnavailable

log = structlog.get_logger("bq_server.processing.messages")

TRIES = 3
"""How often a message that fails by itself is tried before it is given up."""


async def settle(processor: Processor, messages: Sequence[tuple[str, bytes]]) -> list[str | None]:
    """Process messages, given as (message id, payload); for each, None or why it can never be processed.

    Raises `StoreUnavailable` when the store, not a message, is what fails; then nothing was settled.
    """
    reasons: list[str | None] = [None] * len(messages)
    events: dict[int, Event] = {}
    for position, (message_id, payload) in enumerate(messages):
        try:
            events[position] = Event.from_payload(payload, message_id)
        except (ValueError, TypeError) as error:
            reasons[position] = f"it can't be read: {error}"
    try:
        outcomes = await processor.process(list(events.values()))
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - one of them fails the batch, so each is tried by itself
        log.warning("batch.failed", error=repr(error), messages=len(events))
        for position, event in events.items():
            reasons[position] = await _settle_alone(processor, event)
    else:
        for position, outcome in zip(events, outcomes, strict=True):
            reasons[position] = _reason(outcome)
    return reasons


async def _settle_alone(processor: Processor, event: Event) -> str | None:
    for left in reversed(range(TRIES)):
        try:
            (outcome,) = await processor.process([event])
        except StoreUnavailable:
            raise
        except Exception as error:
            log.exception("message.failed", message_id=event.message_id, tries_left=left)
            reason = f"it can't be processed: {error!r}"
        else:
            return _reason(outcome)
    return reason


def _reason(outcome: Outcome) -> str | None:
    if isinstance(outcome, Conflict):
        return f"its idempotency key belongs to another event, which is fact {outcome.fact.fact_id}"
    return None
