"""Event Schema: what an event must, may and must not contain."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from harness.conformance.answers import is_text, message_id, moment, refused
from harness.conformance.conversation import RecordedExchange
from harness.conformance.facts import ReportedFact
from harness.conformance.outcomes import Failed, Unseen
from harness.conformance.statements import SINGLE, SYNC, Examination, Observation, Remark, Section, observation
from harness.conformance.sync import needs_success

SECOND = 1_000_000
SLACK = SECOND
"""Microseconds by which moments may differ: some servers report them in whole seconds."""

SCHEMA = Section("Event Schema")

PATHS = {"async": SINGLE, "sync": SYNC}


@observation(leaves=2)
def unheard_of(run: Examination) -> dict[str, RecordedExchange]:
    """An event name that nobody used before, by either path."""
    event = run.event("unheard-of", "unheard_of")
    return {name: run.conversation.post(path, event) for name, path in PATHS.items()}


@SCHEMA.says("schema.soft", "Validation is soft: an event of an unknown name is accepted.", unheard_of)
def _soft(exchanges: Mapping[str, RecordedExchange]) -> Remark:
    for exchange in exchanges.values():
        exchange.must(exchange.ok, "a success: unknown names are accepted")
    return None


@observation(after=unheard_of)
def discovered(run: Examination) -> tuple[RecordedExchange, RecordedExchange]:
    """The entry of the new event name in the catalogue, and the catalogue."""
    for exchange in run.see(unheard_of).values():
        exchange.needs(exchange.ok, "the unknown name was not accepted: see schema.soft")
    # What was queued appears once it is processed; the sync event appears at once.
    entry = run.conversation.get(f"/events/catalog/{run.named('unheard_of')}")
    return entry, entry if entry.ok else run.conversation.get("/events/catalog")


@SCHEMA.says("schema.discovered", "An unknown event name is discovered: from then on it is known.", discovered)
def _discovered(seen: tuple[RecordedExchange, RecordedExchange]) -> Remark:
    entry, catalogue = seen
    there = catalogue.ok and bool(catalogue.body)
    entry.needs(there, f"the server has no catalogue of event names (GET /events/catalog: {catalogue.status})")
    entry.must(entry.ok and is_text(entry.body.get("event_name")), "the entry of an event name that was sent")
    return None


def _spoilt(change: Mapping[str, Any], without: str = "") -> Observation[dict[str, RecordedExchange]]:
    """An event with something wrong, by either path."""

    def make(run: Examination) -> dict[str, RecordedExchange]:
        event = run.event("spoilt") | dict(change)
        event.pop(without, None)
        return {name: run.conversation.post(path, event) for name, path in PATHS.items()}

    return observation()(make)


def _refuses(name: str, words: str, why: str, change: Mapping[str, Any], without: str = "") -> None:
    def check(exchanges: Mapping[str, RecordedExchange]) -> Remark:
        refused({f"{why}, by the {path} path": exchange for path, exchange in exchanges.items()})
        return None

    SCHEMA.says(name, words, _spoilt(change, without))(check)


for _field in ("event_name", "participant_id"):
    _refuses(f"schema.{_field}.required", f"{_field} is required.", f"{_field} is missing", {}, _field)
    _refuses(f"schema.{_field}.type", f"{_field} is a string.", f"{_field} is a number", {_field: 7})

_refuses("schema.properties.type", "properties is an object.", "properties is a list", {"properties": ["amount", 1]})
_refuses("schema.timestamp.type", "timestamp is a string.", "timestamp is a number", {"timestamp": 1775817000})
_refuses("schema.timestamp.form", "timestamp is ISO 8601.", "it is no date", {"timestamp": "the day before yesterday"})
_refuses("schema.idempotency_key.type", "idempotency_key is a string.", "it is a number", {"idempotency_key": 7})


@observation(leaves=2)
def minimal(run: Examination) -> dict[str, RecordedExchange]:
    """The required fields alone, by either path."""
    return {name: run.conversation.post(path, run.event("minimal")) for name, path in PATHS.items()}


@SCHEMA.says("schema.optional", "properties, timestamp and idempotency_key may be left out.", minimal)
def _optional(exchanges: Mapping[str, RecordedExchange]) -> Remark:
    for exchange in exchanges.values():
        exchange.must(exchange.ok, "a success: the required fields are there")
    return None


PROPERTIES: dict[str, Any] = {
    "text": "naïve 日本語 😀",
    "empty": "",
    "whole": 9200,
    "fraction": 49.99,
    "negative": -1,
    "yes": True,
    "none": None,
    "list": [1, "two", {"three": [3.5]}],
    "a name with spaces": {"nested": {"deeper": {}}},
}


@observation(leaves=1)
def arbitrary(run: Examination) -> tuple[RecordedExchange, list[ReportedFact]]:
    """Data of every kind that JSON has."""
    exchange = run.conversation.post(SYNC, run.event("arbitrary", properties=PROPERTIES))
    if not exchange.ok:
        return exchange, []
    return exchange, run.facts.of(run.participant("arbitrary"))


@SCHEMA.says("schema.properties", "properties holds arbitrary data, which stays attached to the event.", arbitrary)
def _properties(seen: tuple[RecordedExchange, list[ReportedFact]]) -> Remark:
    exchange, facts = seen
    exchange.must(exchange.ok, "a success: properties may hold any data")
    if not facts:
        raise Unseen("there is no fact: see sync.fact")
    if facts[0]["properties"] != PROPERTIES:
        raise Failed(exchange.sent, "a fact with these properties", f"{facts[0]['properties']} by {facts[0].source}")
    return None


TIMESTAMPS = {
    "2026-04-10T10:30:00Z": "2026-04-10T10:30:00Z",
    "2026-04-10T12:30:00+02:00": "2026-04-10T10:30:00Z",
    "2026-04-10T10:30:00.250Z": "2026-04-10T10:30:00.250Z",
}
"""Ways to write a timestamp, and the moments that they mean."""


@observation(leaves=len(TIMESTAMPS))
def timestamps(run: Examination) -> dict[str, RecordedExchange]:
    """A timestamp in several ways."""
    return {
        text: run.conversation.post(SYNC, run.event("timestamps", timestamp=text, properties={"n": text}))
        for text in TIMESTAMPS
    }


@SCHEMA.says("schema.timestamp", "timestamp is an ISO 8601 string, in UTC or with an offset.", timestamps)
def _timestamp(exchanges: Mapping[str, RecordedExchange]) -> Remark:
    for exchange in exchanges.values():
        exchange.must(exchange.ok, "a success: the timestamp is ISO 8601")
    return None


@observation(after=timestamps)
def timestamps_kept(run: Examination) -> list[ReportedFact]:
    """The facts of these events."""
    for exchange in run.see(timestamps).values():
        exchange.needs(exchange.ok, "the event was not accepted: see schema.timestamp")
    return run.facts.of(run.participant("timestamps"))


@SCHEMA.says("schema.timestamp.kept", "The event happened at its timestamp, not when it was sent.", timestamps_kept)
def _timestamp_kept(facts: list[ReportedFact]) -> Remark:
    if {fact.number for fact in facts} != set(TIMESTAMPS):
        raise Unseen("there isn't a fact of each event: see sync.fact")
    for fact in facts:
        meant = moment(TIMESTAMPS[str(fact.number)])
        # The fraction of a second is no promise of the page.
        if meant is None or abs(fact.occurred_at - meant) >= SECOND:
            raise Failed(
                f"timestamp {fact.number}", f"occurred_at {TIMESTAMPS[str(fact.number)]}", f"{fact['occurred_at']!r}"
            )
    return None


class Bracket(Struct, frozen=True):
    """When an event without a timestamp occurred, and the server's own times before and after."""

    before: int
    after: int
    facts: dict[Any, ReportedFact]


def _processed(run: Examination, number: int) -> tuple[int, float]:
    exchange = run.conversation.post(SYNC, run.event("default", properties={"n": number}))
    needs_success(exchange)
    processed = moment(exchange.body.get("processed_at"))
    if processed is None:
        raise Unseen("the answer has no processed_at to compare with: see sync.processed_at")
    return processed, exchange.seconds


@observation(leaves=3)
def default_timestamps(run: Examination) -> Bracket:
    """An async event between two sync ones, all without a timestamp: the server's clock decides, not ours."""
    first, seconds = _processed(run, 1)
    queued = run.conversation.post(SINGLE, run.event("default", properties={"n": 2}))
    queued_id = message_id(queued)
    last, _ = _processed(run, 3)
    facts = run.facts.settled(run.participant("default"), 3, [queued_id])
    before = first - int(seconds * SECOND)
    return Bracket(before - SLACK, last + SLACK, {fact.number: fact for fact in facts})


@SCHEMA.says(
    "schema.timestamp.default", "Without a timestamp the event happened at the server's time.", default_timestamps
)
def _default(seen: Bracket) -> Remark:
    if set(seen.facts) != {1, 2, 3}:
        raise Unseen("there isn't a fact of each event: see single.fact and sync.fact")
    for fact in seen.facts.values():
        if not seen.before <= fact.occurred_at <= seen.after:
            raise Failed(
                "an event without a timestamp",
                "occurred_at between the processed_at of the sync events around it",
                f"{fact['occurred_at']!r} by {fact.source}",
            )
    return None
