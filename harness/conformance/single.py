"""Async Event Ingestion: an event is queued, answered at once, and becomes a fact in the background."""

from math import ceil

from msgspec import Struct

from harness.conformance.answers import is_message_id, is_text, message_id, place
from harness.conformance.conversation import RecordedExchange
from harness.conformance.facts import ReportedFact
from harness.conformance.outcomes import Failed, Unseen
from harness.conformance.statements import SINGLE, Examination, Remark, Section, observation

WARM_UP = 10
MEASURED = 30
MOST_MILLISECONDS = 50.0

ASYNC = Section("Async Event Ingestion")


@observation(leaves=1)
def example(run: Examination) -> RecordedExchange:
    """The example of the page, under names of this run."""
    properties = {"amount": 49.99, "currency": "USD", "product_id": "prod_abc"}
    event = run.event("single", "purchase_completed", properties=properties, timestamp="2026-04-10T10:30:00Z")
    return run.conversation.post(SINGLE, event)


@ASYNC.says("single.accepted", 'An event is accepted: the answer holds "accepted": true.', example)
def _accepted(exchange: RecordedExchange) -> Remark:
    exchange.must(exchange.ok and exchange.body.get("accepted") is True, 'a success with "accepted": true')
    return None


@ASYNC.says(
    "single.status",
    "The event is queued, not yet processed: the status is 202 (as the wider documentation has it).",
    example,
)
def _status(exchange: RecordedExchange) -> Remark:
    exchange.needs(exchange.ok, "the event was not accepted: see single.accepted")
    exchange.must(exchange.status == 202, "status 202")
    return None


@ASYNC.says("single.message_id", "The answer holds the message_id, a string of the form <ms>-<n>.", example)
def _message_id(exchange: RecordedExchange) -> Remark:
    exchange.needs(exchange.ok, "the event was not accepted: see single.accepted")
    exchange.must(is_message_id(exchange.body.get("message_id")), "a message_id such as 1707900600000-0")
    return None


@observation(leaves=2)
def twins(run: Examination) -> tuple[RecordedExchange, RecordedExchange]:
    """The same event twice, without an idempotency key."""
    event = run.event("twins", properties={"n": 1})
    return run.conversation.post(SINGLE, event), run.conversation.post(SINGLE, event)


@ASYNC.says("single.message_id.own", "Each event has a message_id of its own, a later event a later one.", twins)
def _own(exchanges: tuple[RecordedExchange, RecordedExchange]) -> Remark:
    first, second = (message_id(exchange) for exchange in exchanges)
    exchanges[1].must(place(first) < place(second), f"a message_id after {first}, that of the event before")
    return None


@observation(after=example)
def example_fact(run: Examination) -> list[ReportedFact]:
    """What the example became."""
    exchange = run.see(example)
    exchange.needs(exchange.ok, "the event was not accepted: see single.accepted")
    found = exchange.body.get("message_id")
    return run.facts.settled(run.participant("single"), 1, [found] if is_text(found) else ())


@ASYNC.says("single.fact", "The event is processed in the background into a fact, exactly one.", example_fact)
def _fact(facts: list[ReportedFact]) -> Remark:
    if len(facts) != 1:
        raise Failed("the accepted event", "one fact in time, without a further request", f"{len(facts)} facts")
    return None


def _one(facts: list[ReportedFact]) -> ReportedFact:
    if len(facts) != 1:
        raise Unseen("there isn't exactly one fact: see single.fact")
    return facts[0]


@observation(after=example)
def example_kept(run: Examination) -> tuple[ReportedFact, RecordedExchange]:
    """The one fact of the example, and the request."""
    facts = run.see(example_fact)
    if len(facts) != 1:
        raise Unseen("there isn't exactly one fact: see single.fact")
    return facts[0], run.see(example)


@ASYNC.says("single.fact.kept", "The fact holds the event's name, participant and properties as sent.", example_kept)
def _kept(seen: tuple[ReportedFact, RecordedExchange]) -> Remark:
    fact, exchange = seen
    sent = {name: exchange.document[name] for name in ("event_name", "participant_id", "properties")}
    # The list of a participant's events goes without saying whose they are.
    came = {name: fact.told.get(name, sent[name] if name == "participant_id" else None) for name in sent}
    if came != sent:
        raise Failed(exchange.sent, f"a fact with {sent}", f"{came} by {fact.source}")
    return None


@ASYNC.says("single.fact.type", "The fact_type is custom.<event_name>.", example_kept)
def _fact_type(seen: tuple[ReportedFact, RecordedExchange]) -> Remark:
    fact, exchange = seen
    expected = f"custom.{exchange.document['event_name']}"
    if fact["fact_type"] != expected:
        raise Failed(exchange.sent, f"fact_type {expected}", f"{fact['fact_type']!r} by {fact.source}")
    return None


class MeasuredLatency(Struct, frozen=True):
    """Milliseconds of consecutive requests over one connection, and of the round trip."""

    measured: list[float]
    way: float

    def percentile(self, percent: int) -> float:
        """That many percent took no longer than this."""
        return sorted(self.measured)[max(0, ceil(len(self.measured) * percent / 100) - 1)]


@observation(leaves=WARM_UP + MEASURED)
def succession(run: Examination) -> MeasuredLatency:
    """Consecutive events, after some that don't count."""
    event = run.event("latency", properties={"page": "/products"})
    exchanges = [run.conversation.post(SINGLE, event) for _ in range(WARM_UP + MEASURED)]
    for exchange in exchanges:
        exchange.needs(exchange.ok, f"an event in the row was not accepted: {exchange.came}")
    ways = sorted(run.conversation.way_seconds() for _ in range(5))
    return MeasuredLatency([exchange.seconds * 1000 for exchange in exchanges[WARM_UP:]], ways[2] * 1000)


@ASYNC.says(
    "single.latency",
    f"The answer comes in under {MOST_MILLISECONDS:g} ms (the median of {MEASURED} in a row, after {WARM_UP} that "
    "don't count; the way there and back is in it).",
    succession,
)
def _latency(latency: MeasuredLatency) -> Remark:
    p50 = latency.percentile(50)
    figures = f"p50 {p50:.1f} ms, p99 {latency.percentile(99):.1f} ms, of which the way {latency.way:.1f} ms"
    if p50 < MOST_MILLISECONDS:
        return figures
    if latency.way >= MOST_MILLISECONDS:
        raise Unseen(f"the server is too far away to tell: {figures}")
    raise Failed(f"{MEASURED} single events in a row", f"a median under {MOST_MILLISECONDS:g} ms", figures)
