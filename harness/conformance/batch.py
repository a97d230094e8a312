"""Batch Ingestion: up to 100 events, each validated and queued by itself, failures reported for each."""

from collections.abc import Sequence
from typing import Any

from harness.conformance.answers import is_count, is_message_id, is_text, message_ids
from harness.conformance.conversation import RecordedExchange
from harness.conformance.facts import ReportedFact
from harness.conformance.outcomes import Failed
from harness.conformance.statements import BATCH, Examination, Remark, Section, observation

MOST_EVENTS = 100

BATCHES = Section("Batch Ingestion")


def _post(run: Examination, events: Sequence[Any]) -> RecordedExchange:
    return run.conversation.post(BATCH, {"events": list(events)})


def _facts(run: Examination, exchange: RecordedExchange, participant: str, count: int) -> list[ReportedFact]:
    ids = [each for each in message_ids(exchange) if is_text(each)]
    found = run.facts.settled(run.participant(participant), count, ids)
    return sorted(found, key=lambda fact: str(fact.number))


@observation(leaves=3)
def example(run: Examination) -> RecordedExchange:
    """The example of the page, under names of this run and numbered."""
    return _post(
        run,
        [
            run.event("batch", "page_view", properties={"n": 1, "page": "/products"}),
            run.event("batch", "add_to_cart", properties={"n": 2, "product_id": "prod_abc", "quantity": 1}),
            run.event("batch", "purchase_completed", properties={"n": 3, "amount": 49.99, "currency": "USD"}),
        ],
    )


@BATCHES.says("batch.accepted", 'Several events are taken in one request: "accepted" counts those accepted.', example)
def _accepted(exchange: RecordedExchange) -> Remark:
    exchange.must(exchange.ok and is_count(exchange.body.get("accepted"), 3), 'a success with "accepted": 3')
    return None


def _needs_accepted(exchange: RecordedExchange) -> None:
    exchange.needs(exchange.ok, "the batch was not accepted: see batch.accepted")


@BATCHES.says("batch.rejected", '"rejected" counts the events that were not accepted.', example)
def _rejected(exchange: RecordedExchange) -> Remark:
    _needs_accepted(exchange)
    exchange.must(is_count(exchange.body.get("rejected"), 0), '"rejected": 0')
    return None


@BATCHES.says(
    "batch.status",
    "The events are queued, not yet processed: the status is 202 (as the wider documentation has it).",
    example,
)
def _status(exchange: RecordedExchange) -> Remark:
    _needs_accepted(exchange)
    exchange.must(exchange.status == 202, "status 202")
    return None


@BATCHES.says("batch.message_ids", "message_ids lists an id of its own for each accepted event.", example)
def _message_ids(exchange: RecordedExchange) -> Remark:
    _needs_accepted(exchange)
    ids = message_ids(exchange)
    good = len(ids) == 3 and all(is_message_id(each) for each in ids) and len(set(ids)) == 3
    exchange.must(good, "message_ids with 3 different ids of the form <ms>-<n>")
    return None


@observation(after=example)
def example_facts(run: Examination) -> tuple[RecordedExchange, list[ReportedFact]]:
    """What the example became, in the order of its events."""
    exchange = run.see(example)
    _needs_accepted(exchange)
    return exchange, _facts(run, exchange, "batch", 3)


@BATCHES.says("batch.facts", "Each accepted event becomes a fact of its own.", example_facts)
def _facts_of_example(seen: tuple[RecordedExchange, list[ReportedFact]]) -> Remark:
    exchange, facts = seen
    expected = [event["event_name"] for event in exchange.document["events"]]
    came = [str(fact["event_name"]) for fact in facts]
    if came != expected:
        raise Failed(exchange.sent, f"a fact each of {', '.join(expected)}", f"facts of {', '.join(came) or 'none'}")
    return None


@BATCHES.says("batch.message_ids.order", "message_ids are in the order of the events.", example_facts)
def _order(seen: tuple[RecordedExchange, list[ReportedFact]]) -> Remark:
    exchange, facts = seen
    ids = message_ids(exchange)
    exchange.needs(len(ids) == 3, "there aren't three ids: see batch.message_ids")
    exchange.needs([fact.number for fact in facts] == [1, 2, 3], "there isn't a fact of each event: see batch.facts")
    came = [fact["message_id"] for fact in facts]
    exchange.must(came == ids, f"message_ids {came}, as the facts of these events have them")
    return None


@observation(leaves=2)
def partial(run: Examination) -> RecordedExchange:
    """An event without a participant between two good ones."""
    wrong = run.event("partial", properties={"n": 2})
    del wrong["participant_id"]
    good = [run.event("partial", properties={"n": number}) for number in (1, 3)]
    return _post(run, [good[0], wrong, good[1]])


@BATCHES.says("batch.partial", "An invalid event is rejected, and the valid ones beside it are accepted.", partial)
def _partial(exchange: RecordedExchange) -> Remark:
    body = exchange.body
    good = exchange.ok and is_count(body.get("accepted"), 2) and is_count(body.get("rejected"), 1)
    exchange.must(good, 'a success with "accepted": 2, "rejected": 1')
    return None


def _needs_partial(exchange: RecordedExchange) -> None:
    exchange.needs(exchange.ok, "the valid events were not accepted: see batch.partial")


@BATCHES.says("batch.partial.message_ids", "message_ids has an id for each accepted event, none for others.", partial)
def _partial_ids(exchange: RecordedExchange) -> Remark:
    _needs_partial(exchange)
    ids = message_ids(exchange)
    exchange.must(len(ids) == 2 and all(is_message_id(each) for each in ids), "2 message_ids")
    return None


@BATCHES.says("batch.partial.reported", "A failure is reported for the event that failed.", partial)
def _reported(exchange: RecordedExchange) -> Remark:
    _needs_partial(exchange)
    # The page doesn't tell the shape: a list of those that failed, by index, or a list of all, in their order.
    lists = [each for name, each in exchange.body.items() if isinstance(each, list) and name != "message_ids"]
    entries = [entry for found in lists for entry in found if isinstance(entry, dict)]
    by_index = {entry["index"] for entry in entries if type(entry.get("index")) is int} == {1}
    of_all = any(len(found) == 3 and all(isinstance(entry, dict) for entry in found) for found in lists)
    exchange.must(by_index or of_all, 'a list that reports the second event, such as "errors": [{"index": 1, ...}]')
    return None


@observation(after=partial)
def partial_facts(run: Examination) -> tuple[RecordedExchange, list[ReportedFact]]:
    """What became of the valid events of the batch with an invalid one."""
    exchange = run.see(partial)
    _needs_partial(exchange)
    return exchange, _facts(run, exchange, "partial", 2)


@BATCHES.says("batch.partial.facts", "The valid events of such a batch become facts.", partial_facts)
def _partial_facts(seen: tuple[RecordedExchange, list[ReportedFact]]) -> Remark:
    exchange, facts = seen
    numbers = [fact.number for fact in facts]
    if numbers != [1, 3]:
        raise Failed(exchange.sent, "facts of the first and the third event", f"facts of those with n {numbers}")
    return None


@observation(leaves=1)
def mistakes(run: Examination) -> RecordedExchange:
    """One good event after an event of each kind of mistake."""
    good = run.event("mistakes")
    without_name = {name: value for name, value in good.items() if name != "event_name"}
    return _post(run, [without_name, good | {"participant_id": 7}, good | {"properties": ["list"]}, "no object", good])


@BATCHES.says("batch.validation", "Each event is validated by itself, whatever is wrong with others.", mistakes)
def _validation(exchange: RecordedExchange) -> Remark:
    body = exchange.body
    good = exchange.ok and is_count(body.get("accepted"), 1) and is_count(body.get("rejected"), 4)
    exchange.must(good, 'a success with "accepted": 1, "rejected": 4')
    return None


@observation()
def only_invalid(run: Examination) -> RecordedExchange:
    """Nothing that could be accepted."""
    return _post(run, [{"properties": {}}, {"event_name": run.named("page_view")}])


@BATCHES.says("batch.none_valid", "A batch of invalid events only has none accepted.", only_invalid)
def _none_valid(exchange: RecordedExchange) -> Remark:
    exchange.must(
        exchange.refused or (exchange.ok and is_count(exchange.body.get("accepted"), 0)), 'a 4xx, or "accepted": 0'
    )
    return None


@observation()
def no_events(run: Examination) -> RecordedExchange:
    """A single event where a batch belongs."""
    return run.conversation.post(BATCH, run.event("no-events"))


@BATCHES.says("batch.events", 'A batch is an object with the list "events".', no_events)
def _events(exchange: RecordedExchange) -> Remark:
    exchange.must(exchange.refused, 'a refusal (4xx): there is no list "events"')
    return None


def _many(run: Examination, participant: str, count: int) -> RecordedExchange:
    return _post(run, [run.event(participant, properties={"n": number}) for number in range(count)])


@observation(leaves=MOST_EVENTS)
def full(run: Examination) -> RecordedExchange:
    """As many events as there may be."""
    return _many(run, "full", MOST_EVENTS)


@BATCHES.says("batch.limit", f"A batch may have up to {MOST_EVENTS} events.", full)
def _limit(exchange: RecordedExchange) -> Remark:
    good = exchange.ok and is_count(exchange.body.get("accepted"), MOST_EVENTS)
    exchange.must(good, f'a success with "accepted": {MOST_EVENTS}')
    return None


@observation()
def overfull(run: Examination) -> RecordedExchange:
    """One event more."""
    return _many(run, "overfull", MOST_EVENTS + 1)


@BATCHES.says("batch.limit.exceeded", f"A batch may not have {MOST_EVENTS + 1} events.", overfull)
def _exceeded(exchange: RecordedExchange) -> Remark:
    exchange.must(exchange.refused, f"a refusal (4xx): there are {MOST_EVENTS + 1} events")
    return None
