"""Synchronous Ingestion: the event is processed, and the answer says what it became."""

from msgspec import Struct

from harness.conformance.answers import is_text, message_id, moment
from harness.conformance.conversation import RecordedExchange
from harness.conformance.facts import ReportedFact
from harness.conformance.outcomes import Failed, Unseen
from harness.conformance.statements import SINGLE, SYNC, Examination, Remark, Section, observation

SYNCHRONOUS = Section("Synchronous Ingestion")


class SyncRead(Struct, frozen=True):
    """A sync exchange, and the facts of its participant right after it."""

    exchange: RecordedExchange
    facts: list[ReportedFact]


@observation(leaves=1)
def example(run: Examination) -> RecordedExchange:
    """The example of the page, under names of this run."""
    properties = {"level": 5, "score": 9200, "time_seconds": 120}
    return run.conversation.post(SYNC, run.event("sync", "level_completed", properties=properties))


@SYNCHRONOUS.says("sync.status", "The event is processed before the answer: a success, and not 202.", example)
def _status(exchange: RecordedExchange) -> Remark:
    exchange.must(exchange.ok and exchange.status != 202, "a success other than 202, such as 200")
    return None


def needs_success(exchange: RecordedExchange) -> None:
    """Raise `Unseen` unless the event was accepted."""
    exchange.needs(exchange.ok, "the event was not processed: see sync.status")


@SYNCHRONOUS.says("sync.event_id", "The answer holds the resulting event_id, which begins with evt_.", example)
def _event_id(exchange: RecordedExchange) -> Remark:
    needs_success(exchange)
    found = exchange.body.get("event_id")
    exchange.must(is_text(found) and found.startswith("evt_"), "an event_id such as evt_abc123")
    return None


@SYNCHRONOUS.says("sync.fact_id", "The answer holds the resulting fact_id, which begins with fact_.", example)
def _fact_id(exchange: RecordedExchange) -> Remark:
    needs_success(exchange)
    found = exchange.body.get("fact_id")
    exchange.must(is_text(found) and found.startswith("fact_"), "a fact_id such as fact_def456")
    return None


@SYNCHRONOUS.says("sync.fact_type", "The answer holds the fact_type, which is custom.<event_name>.", example)
def _fact_type(exchange: RecordedExchange) -> Remark:
    needs_success(exchange)
    expected = f"custom.{exchange.document['event_name']}"
    exchange.must(exchange.body.get("fact_type") == expected, f'"fact_type": "{expected}"')
    return None


@SYNCHRONOUS.says("sync.processed_at", "The answer holds processed_at, an ISO 8601 date and time.", example)
def _processed_at(exchange: RecordedExchange) -> Remark:
    needs_success(exchange)
    good = moment(exchange.body.get("processed_at")) is not None
    exchange.must(good, "a processed_at such as 2026-04-10T10:30:01Z")
    return None


@observation(after=example)
def example_read(run: Examination) -> SyncRead:
    """What exists right after the answer, without waiting."""
    exchange = run.see(example)
    needs_success(exchange)
    return SyncRead(exchange, run.facts.of(run.participant("sync")))


@SYNCHRONOUS.says("sync.fact", "The fact is there when the answer is, with the ids of the answer.", example_read)
def _fact(read: SyncRead) -> Remark:
    answered = {name: read.exchange.body.get(name) for name in ("event_id", "fact_id")}
    # A route that doesn't return an id of a fact doesn't contradict it.
    came = [{name: fact.told.get(name, answered[name]) for name in answered} for fact in read.facts]
    if came != [answered]:
        raise Failed(read.exchange.sent, f"at once one fact with {answered}", f"facts {came}")
    return None


@observation(leaves=2)
def twins(run: Examination) -> tuple[RecordedExchange, RecordedExchange]:
    """The same event twice, without an idempotency key."""
    event = run.event("sync-twins")
    return run.conversation.post(SYNC, event), run.conversation.post(SYNC, event)


@SYNCHRONOUS.says("sync.own", "Each event has an event_id and a fact_id of its own.", twins)
def _own(exchanges: tuple[RecordedExchange, RecordedExchange]) -> Remark:
    first, second = exchanges
    for exchange in exchanges:
        needs_success(exchange)
    for name in ("event_id", "fact_id"):
        one, other = first.body.get(name), second.body.get(name)
        first.needs(is_text(one) and is_text(other), f"the answer has no {name}: see sync.{name}")
        second.must(one != other, f"another {name} than {one}, that of the event before")
    return None


@observation(leaves=2)
def both_ways(run: Examination) -> list[ReportedFact]:
    """The same event by the async and the sync path, each for its own fact."""
    event = run.event("both", properties={"amount": 49.99, "gift": True})
    queued = run.conversation.post(SINGLE, event)
    processed = run.conversation.post(SYNC, event)
    needs_success(processed)
    return run.facts.settled(run.participant("both"), 2, [message_id(queued)])


@SYNCHRONOUS.says("sync.same_fact", "An event makes the same fact by this path as by the async one.", both_ways)
def _same_fact(facts: list[ReportedFact]) -> Remark:
    if len(facts) != 2:
        raise Unseen("there aren't two facts: see single.fact and sync.fact")
    one, other = (
        {name: fact.told.get(name) for name in ("event_name", "participant_id", "fact_type", "properties")}
        for fact in facts
    )
    if one != other:
        raise Failed("one event by either path", "facts that differ in ids and times only", f"{one} and {other}")
    return None
