"""Settling a batch of stream messages: what can't be processed is found out alone and never stops the others."""

from collections.abc import Sequence

import structlog

from bq_server.events import Event
from bq_server.processing.processor import Conflict, Outcome, Processor
from bq_server.slicing import Slices

log = structlog.get_logger("bq_server.processing.messages")

TRIES = 3
"""How often a message that fails by itself is tried before it is given up."""


async def settle(processor: Processor, messages: Sequence[tuple[str, bytes]]) -> list[str | None]:
    """Process messages, given as (message id, payload); for each, None or why it can never be processed.

    Raises `StoreUnavailable` when the store, not a message, is what fails; then nothing was settled.
    """
    reasons: list[str | None] = [None] * len(messages)
    events: dict[int, Event] = {}
    slices = Slices()
    for position, (message_id, payload) in enumerate(messages):
        await slices.give_way()
        try:
            events[position] = Event.from_payload(payload, message_id)
        except (ValueError, TypeError) as error:
            reasons[position] = f"it can't be read: {error}"
    outcomes = await processor.process_separately(list(events.values()))
    for (position, event), outcome in zip(events.items(), outcomes, strict=True):
        tries = 1
        while isinstance(outcome, Exception) and tries < TRIES:
            (outcome,) = await processor.process_separately([event])
            tries += 1
        if isinstance(outcome, Exception):
            log.error("message.failed", message_id=event.message_id, exc_info=outcome)
            reasons[position] = f"it can't be processed: {outcome!r}"
        else:
            reasons[position] = _reason(outcome)
    return reasons


def _reason(outcome: Outcome) -> str | None:
    if isinstance(outcome, Conflict):
        return f"its idempotency key belongs to another event, which is fact {outcome.fact.fact_id}"
    return None
