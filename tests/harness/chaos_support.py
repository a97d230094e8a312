"""A small history, and the facts and answers that a good server makes of it."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from bq_server.moments import format_timestamp
from harness.chaos import history
from harness.chaos.clients import Attempt, ChaosReply, PostOutcome
from harness.chaos.evidence import Evidence, judge
from harness.chaos.history import History, IngestRoute, Request, SentEvent
from harness.chaos.ledger import ChaosLedger
from harness.chaos.options import Options

START = 1_775_120_400_000_000
"""2026-04-02T09:00:00Z, in microseconds."""

OPTIONS = Options(seconds=10, rate=60, clients=4, seed=7)
CALM = Options(seconds=10, rate=60, clients=4, seed=7, faults=())


def small_history(options: Options = OPTIONS) -> History:
    return history.make(options, START)


def fact_of(event: SentEvent, **changes: Any) -> dict[str, Any]:
    """The fact that a good server makes of an event."""
    moment = format_timestamp(START + 1_000_000)
    return {
        "fact_id": f"fact_{event.number}",
        "event_id": f"evt_{event.number}",
        "message_id": f"1-{event.number}",
        "fact_type": f"custom.{event.event_name}",
        "event_name": event.event_name,
        "participant_id": event.participant_id,
        "sent_as": event.sent_as,
        "properties": event.properties,
        "occurred_at": moment if event.timestamp is None else format_timestamp(event.timestamp),
        "received_at": moment,
        "processed_at": moment,
        "idempotency_key": event.idempotency_key,
        "voids": event.voids,
        "warnings": [],
    } | changes


def tried(request: Request, outcome: PostOutcome = PostOutcome.ACKNOWLEDGED, at: float = 0.0, **more: Any) -> Attempt:
    """A try of a request that took 10 ms; acknowledged as a good server does it."""
    prefix = "fact_" if request.route is IngestRoute.SYNC else "1-"
    ids = tuple(f"{prefix}{event.number}" for event in request.events) if outcome is PostOutcome.ACKNOWLEDGED else ()
    return Attempt(0, request, at, at + 0.01, ChaosReply(outcome, ids=ids, **more))


def requests(known: History) -> list[Request]:
    return [request for client in known.clients for request in client]


def judged(
    known: History,
    attempts: Sequence[Attempt],
    facts: Iterable[dict[str, Any]],
    options: Options = CALM,
    **more: Any,
) -> ChaosLedger:
    """The ledger of these."""
    ledger = ChaosLedger(options, dead=0)
    windows = more.pop("windows", ())
    judge(Evidence(known, attempts, windows, list(facts), started=START, ended=time.time_ns(), **more), ledger)
    return ledger
