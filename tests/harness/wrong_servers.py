"""Servers that do one thing wrong, and the statements of the contract that must see it: those, and no others."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

from tests.support.client import Json
from tests.support.proxy import Answer, Fault, Forward, Sent

SINGLE, BATCH, SYNC = "/ingest/events", "/ingest/events/batch", "/ingest/events/sync"


def on(route: str, change: Callable[[Answer], Answer]) -> Fault:
    """Change the successes of a route."""

    def fault(sent: Sent, forward: Forward) -> Answer:
        answer = forward(sent)
        good = sent.method == "POST" and sent.route == route and answer.status < 300
        return change(answer) if good else answer

    return fault


def before(change: Callable[[Sent], Sent]) -> Fault:
    """Change what is posted."""
    return lambda sent, forward: forward(change(sent) if sent.method == "POST" else sent)


def without(field: str) -> Fault:
    """Leave a field out of every event."""

    def drop(event: object) -> object:
        return {name: value for name, value in event.items() if name != field} if isinstance(event, dict) else event

    def change(sent: Sent) -> Sent:
        body = sent.json
        if sent.content == b'{"event_name": "':
            return sent
        if sent.route == BATCH and isinstance(body.get("events"), list):
            return sent.with_json({"events": [drop(event) for event in body["events"]]})
        return sent.with_json(drop(body))

    return before(change)


def all_or_nothing(sent: Sent, forward: Forward) -> Answer:
    """Refuse a batch as a whole for one event."""
    events = sent.json.get("events") if sent.route == BATCH else None
    good = not events or all(isinstance(e, dict) and {"event_name", "participant_id"} <= e.keys() for e in events)
    return forward(sent) if good else Answer(422, b'{"detail": "an event is invalid"}')


def lets_101_in(sent: Sent, forward: Forward) -> Answer:
    """Take batches of any size."""
    events = sent.json.get("events") or [] if sent.route == BATCH else []
    if len(events) <= 100:
        return forward(sent)
    parts = [forward(sent.with_json({"events": part})).json for part in (events[:100], events[100:])]
    ids = [each for part in parts for each in part["message_ids"]]
    return Answer(202, json.dumps({"accepted": len(events), "rejected": 0, "message_ids": ids}).encode())


def takes_only_10(sent: Sent, forward: Forward) -> Answer:
    events = sent.json.get("events") or [] if sent.route == BATCH else []
    return Answer(413, b'{"detail": "too many events"}') if len(events) > 10 else forward(sent)


def html_errors(sent: Sent, forward: Forward) -> Answer:
    answer = forward(sent)
    if answer.status < 400:
        return answer
    return Answer(answer.status, b"<html><h1>Error</h1></html>", {"Content-Type": "text/html"})


def errors_of_the_server(sent: Sent, forward: Forward) -> Answer:
    """Fall over bad input."""
    answer = forward(sent)
    return replace(answer, status=500) if answer.status in (400, 422) and sent.method == "POST" else answer


def forgets(sent: Sent, forward: Forward) -> Answer:
    """Accept async events and do nothing with them."""
    if sent.method == "POST" and sent.route == SINGLE and sent.headers.get("X-API-Key"):
        forgets.count += 1  # type: ignore[attr-defined]
        answer = forward(replace(sent, path="/api/v1/ingest/events/sync?dry_run=true"))
        accepted = {"accepted": True, "message_id": f"1707900600000-{forgets.count}"}  # type: ignore[attr-defined]
        return answer if answer.status >= 300 else Answer(202, json.dumps(accepted).encode())
    return forward(sent)


forgets.count = 0  # type: ignore[attr-defined]


def in_facts(change: Callable[[Json], Json]) -> Fault:
    """Show facts otherwise than they are."""

    def fault(sent: Sent, forward: Forward) -> Answer:
        answer = forward(sent)
        if sent.route != "/facts" or answer.status != 200:
            return answer
        return answer.with_json(facts=[fact | change(fact) for fact in answer.json["facts"]])

    return fault


def lets_everyone_in(bq_key: str) -> Fault:
    return before(lambda sent: sent.with_header("X-API-Key", bq_key))


def knows_names(sent: Sent, forward: Forward) -> Answer:
    """Accept only event names that it was told of."""
    known = sent.method != "POST" or "unheard_of" not in str(sent.json.get("event_name"))
    return forward(sent) if known else Answer(422, b'{"detail": "there is no such event"}')


def wants_properties(sent: Sent, forward: Forward) -> Answer:
    """Demand what is optional."""
    single = sent.method == "POST" and sent.route != BATCH and "minimal" in str(sent.json.get("participant_id"))
    return Answer(422, b'{"detail": "properties: is required"}') if single else forward(sent)


def loses_the_second(participant: str) -> Fault:
    """Lose the second event of a batch, and answer as if it had not."""

    def fault(sent: Sent, forward: Forward) -> Answer:
        events = sent.json.get("events") if sent.route == BATCH else None
        if not isinstance(events, list) or participant not in str(events) or "Key" not in str(sent.headers):
            return forward(sent)
        kept = [each for each in events if each.get("properties", {}).get("n") != (2 if participant == "-batch" else 3)]
        answer = forward(sent.with_json({"events": kept}))
        ids = answer.json["message_ids"]
        return answer.with_json(accepted=len(ids) + 1, message_ids=[*ids, f"{ids[-1].split('-')[0]}-99"])

    return fault


def dedupes_by_content(sent: Sent, forward: Forward) -> Answer:
    """Take any two events with the same fields for one, whatever their keys."""
    event = sent.json
    if sent.method != "POST" or sent.route == BATCH or "event_name" not in event:
        return forward(sent)
    if not isinstance(event.get("idempotency_key", ""), str):
        return forward(sent)
    event.pop("idempotency_key", None)
    return forward(sent.with_json(event | {"idempotency_key": hashlib.sha256(json.dumps(event).encode()).hexdigest()}))


def utc_only(sent: Sent, forward: Forward) -> Answer:
    """Refuse timestamps with an offset."""
    offset = sent.method == "POST" and b"+02:00" in sent.content
    return Answer(422, b'{"detail": "timestamp: must end in Z"}') if offset else forward(sent)


def forbids(sent: Sent, forward: Forward) -> Answer:
    """Answer 403 where 401 belongs."""
    answer = forward(sent)
    return replace(answer, status=403) if answer.status == 401 else answer


def knows_no_names(sent: Sent, forward: Forward) -> Answer:
    return Answer(404, b"{}") if sent.route.startswith("/events/catalog/") else forward(sent)


BAD_INPUT = {
    *(f"schema.{field}.{what}" for field in ("event_name", "participant_id") for what in ("required", "type")),
    *("schema.properties.type", "schema.timestamp.type", "schema.timestamp.form", "schema.idempotency_key.type"),
    *("batch.none_valid", "batch.events", "batch.limit.exceeded", "refusal.broken"),
}

FAULTS: dict[str, tuple[Fault, set[str]]] = {
    "200 for a queued event": (on(SINGLE, lambda answer: replace(answer, status=200)), {"single.status"}),
    "200 for a queued batch": (on(BATCH, lambda answer: replace(answer, status=200)), {"batch.status"}),
    "202 for a sync event": (on(SYNC, lambda answer: replace(answer, status=202)), {"sync.status"}),
    "accepted in words": (on(SINGLE, lambda answer: answer.with_json(accepted="yes")), {"single.accepted"}),
    "no message_id": (on(SINGLE, lambda answer: answer.with_json(message_id=None)), {"single.message_id"}),
    "one message_id": (
        on(SINGLE, lambda answer: answer.with_json(message_id="1707900600000-0")),
        {"single.message_id.own"},
    ),
    "no message_ids": (
        on(BATCH, lambda answer: answer.with_json(message_ids=None)),
        {"batch.message_ids", "batch.partial.message_ids"},
    ),
    "message_ids in another order": (
        on(BATCH, lambda answer: answer.with_json(message_ids=answer.json["message_ids"][::-1])),
        {"batch.message_ids.order"},
    ),
    "accepted as a string": (
        on(BATCH, lambda answer: answer.with_json(accepted=str(answer.json["accepted"]))),
        {"batch.accepted", "batch.partial", "batch.validation", "batch.limit"},
    ),
    "an event of a batch lost": (loses_the_second("-batch"), {"batch.facts"}),
    "an event beside an invalid one lost": (loses_the_second("-partial"), {"batch.partial.facts"}),
    "no rejected": (
        on(BATCH, lambda answer: answer.with_json(rejected=None)),
        {"batch.rejected", "batch.partial", "batch.validation"},
    ),
    "no errors": (on(BATCH, lambda answer: answer.with_json(errors=None)), {"batch.partial.reported"}),
    "all or nothing": (all_or_nothing, {"batch.partial", "batch.validation"}),
    "101 events": (lets_101_in, {"batch.limit.exceeded"}),
    "10 events at most": (takes_only_10, {"batch.limit"}),
    "another fact_type": (on(SYNC, lambda answer: answer.with_json(fact_type="custom.event")), {"sync.fact_type"}),
    "another fact_type in facts": (in_facts(lambda _: {"fact_type": "custom.event"}), {"single.fact.type"}),
    "properties lost": (
        in_facts(lambda fact: {"properties": {"n": fact["properties"].get("n")}}),
        {"single.fact.kept", "schema.properties"},
    ),
    "the time of arrival for that of the event": (
        in_facts(lambda fact: {"occurred_at": fact["processed_at"]}),
        {"schema.timestamp.kept"},
    ),
    "no timestamp taken for 1970": (
        in_facts(lambda fact: {"occurred_at": "1970-01-01T00:00:00Z"} if "-default" in fact["participant_id"] else {}),
        {"schema.timestamp.default"},
    ),
    "known names only": (knows_names, {"schema.soft"}),
    "properties required": (wants_properties, {"schema.optional"}),
    "ids without their prefix": (
        on(SYNC, lambda answer: answer.with_json(event_id=answer.json["event_id"].removeprefix("evt_"))),
        {"sync.event_id", "sync.fact"},
    ),
    "one fact_id": (
        on(SYNC, lambda answer: answer.with_json(fact_id="fact_1")),
        {"sync.fact", "sync.own", "key.other"},
    ),
    "a number for fact_id": (on(SYNC, lambda answer: answer.with_json(fact_id=7)), {"sync.fact_id", "sync.fact"}),
    "other facts by sync": (
        in_facts(
            lambda fact: {} if fact["message_id"] or "-both" not in fact["participant_id"] else {"properties": {}}
        ),
        {"sync.same_fact"},
    ),
    "names not discovered": (knows_no_names, {"schema.discovered"}),
    "timestamps in UTC only": (utc_only, {"schema.timestamp"}),
    "deduplication by content": (
        dedupes_by_content,
        {"single.message_id.own", "sync.own", "key.other", "key.optional"},
    ),
    "403 for 401": (forbids, {"refusal.keyless", "refusal.unknown_key"}),
    "processed_at in seconds": (
        on(SYNC, lambda answer: answer.with_json(processed_at=1775817000)),
        {"sync.processed_at"},
    ),
    "no deduplication": (
        without("idempotency_key"),
        {"key.async", "key.batch", "key.across", "key.sync", "schema.idempotency_key.type"},
    ),
    "timestamps ignored": (
        without("timestamp"),
        {"schema.timestamp.type", "schema.timestamp.form", "schema.timestamp.kept"},
    ),
    "500 for bad input": (
        errors_of_the_server,
        BAD_INPUT,
    ),
    "HTML error pages": (html_errors, {"refusal.detail.key", "refusal.detail.event", "refusal.detail.body"}),
    "accepted and forgotten": (forgets, {"single.fact"}),
}
