"""Event Schema, `idempotency_key`: prevents duplicate processing of the same event."""

from collections.abc import Sequence

from msgspec import Struct

from harness.conformance.answers import is_text, message_ids
from harness.conformance.conversation import RecordedExchange
from harness.conformance.facts import ReportedFact
from harness.conformance.outcomes import Failed, Unseen
from harness.conformance.single import twins
from harness.conformance.statements import BATCH, SINGLE, SYNC, Examination, Remark, Section, observation
from harness.conformance.sync import needs_success

IDEMPOTENCY = Section("Event Schema: idempotency_key")


class Repeats(Struct, frozen=True):
    """One event sent several times, and what became of it."""

    exchanges: Sequence[RecordedExchange]
    facts: list[ReportedFact]
    unseen: Unseen | None = None
    """Why the facts can't be read, if they can't."""

    def judge(self) -> Remark:
        """There must be one fact; if there is none at all, another statement reports it."""
        if self.unseen:
            ids = {each for exchange in self.exchanges for each in _ids(exchange)}
            if len(ids) == 1:
                return f"the facts can't be read, but every answer names the same {ids.pop()}"
            raise self.unseen
        if not self.facts:
            raise Unseen("there is no fact at all: see single.fact and sync.fact")
        if len(self.facts) > 1:
            sent = " then ".join(exchange.sent for exchange in self.exchanges)
            raise Failed(sent, "one fact", f"{len(self.facts)} facts")
        return None


def _messages(exchange: RecordedExchange) -> list[str]:
    """The ids of the messages that an answer names."""
    return [each for each in (exchange.body.get("message_id"), *message_ids(exchange)) if is_text(each)]


def _ids(exchange: RecordedExchange) -> list[str]:
    """The ids that an answer assigns to what was sent."""
    found = exchange.body.get("fact_id")
    return [*_messages(exchange), *([found] if is_text(found) else [])]


def _repeats(run: Examination, name: str, first: Sequence[str], later: Sequence[str]) -> Repeats:
    """One event under one key: through some paths at once, and through others once it is a fact."""
    event = run.event(name, properties={"n": 1}, idempotency_key=run.participant(name))
    exchanges: list[RecordedExchange] = []
    facts: list[ReportedFact] = []
    unseen = None
    for paths in (first, later):
        for path in paths:
            exchange = run.conversation.post(path, {"events": [event, event]} if path == BATCH else event)
            exchanges.append(exchange)
            exchanges[0].needs(exchanges[0].ok, f"the event was not accepted: {exchange.came}")
        ids = [each for exchange in exchanges for each in _messages(exchange)]
        try:
            facts = run.facts.settled(run.participant(name), 1, ids)
        except Unseen as reason:
            unseen = reason
    return Repeats(exchanges, facts, unseen)


@observation(leaves=1)
def repeated_async(run: Examination) -> Repeats:
    """By the async path: while it is queued, and when it is a fact."""
    return _repeats(run, "key-async", [SINGLE, SINGLE], [SINGLE])


@IDEMPOTENCY.says("key.async", "An event sent again under its key by the async path is one fact.", repeated_async)
def _async(seen: Repeats) -> Remark:
    return seen.judge()


@observation(leaves=1)
def repeated_batch(run: Examination) -> Repeats:
    """Twice in a batch, and the batch twice."""
    return _repeats(run, "key-batch", [BATCH], [BATCH])


@IDEMPOTENCY.says("key.batch", "An event twice in a batch, and the batch sent again, is one fact.", repeated_batch)
def _batch(seen: Repeats) -> Remark:
    return seen.judge()


@observation(leaves=1)
def repeated_across(run: Examination) -> Repeats:
    """By the async path and the sync path in turns."""
    return _repeats(run, "key-across", [SINGLE, SYNC], [SINGLE, SYNC])


@IDEMPOTENCY.says(
    "key.across", "An event sent under its key by the async and the sync path is one fact.", repeated_across
)
def _across(seen: Repeats) -> Remark:
    return seen.judge()


@observation(leaves=1)
def repeated_sync(run: Examination) -> tuple[RecordedExchange, RecordedExchange]:
    """By the sync path, twice: the answers alone tell."""
    event = run.event("key-sync", properties={"n": 1}, idempotency_key=run.participant("key-sync"))
    return run.conversation.post(SYNC, event), run.conversation.post(SYNC, event)


@IDEMPOTENCY.says("key.sync", "An event sent twice under one key by the sync path has one fact_id.", repeated_sync)
def _sync(exchanges: tuple[RecordedExchange, RecordedExchange]) -> Remark:
    first, second = exchanges
    needs_success(first)
    found = first.body.get("fact_id")
    first.needs(is_text(found), "the answer has no fact_id: see sync.fact_id")
    # To refuse a repeat prevents its processing too.
    second.must(second.refused or (second.ok and second.body.get("fact_id") == found), f'"fact_id": "{found}" again')
    return None


@observation(leaves=2)
def two_keys(run: Examination) -> tuple[RecordedExchange, RecordedExchange]:
    """The same event under two keys."""
    one, other = (
        run.event("key-two", properties={"n": 1}, idempotency_key=run.participant(f"key-two-{number}"))
        for number in (1, 2)
    )
    return run.conversation.post(SYNC, one), run.conversation.post(SYNC, other)


@IDEMPOTENCY.says("key.other", "Under another key the same fields are another event.", two_keys)
def _other(exchanges: tuple[RecordedExchange, RecordedExchange]) -> Remark:
    first, second = exchanges
    needs_success(first)
    found = first.body.get("fact_id")
    first.needs(is_text(found), "the answer has no fact_id: see sync.fact_id")
    good = second.ok and is_text(second.body.get("fact_id")) and second.body["fact_id"] != found
    second.must(good, f"a fact_id of its own, not {found}")
    return None


@observation(after=twins)
def twin_facts(run: Examination) -> list[ReportedFact]:
    """What two events with the same fields and no key became."""
    exchanges = run.see(twins)
    for exchange in exchanges:
        exchange.needs(exchange.ok, "the event was not accepted: see single.accepted")
    ids = [each for exchange in exchanges for each in _messages(exchange)]
    return run.facts.settled(run.participant("twins"), 2, ids)


@IDEMPOTENCY.says("key.optional", "Without a key, two events with the same fields are two facts.", twin_facts)
def _optional(facts: list[ReportedFact]) -> Remark:
    if not facts:
        raise Unseen("there is no fact at all: see single.fact")
    if len(facts) != 2:
        raise Failed("the same event twice, without a key", "two facts", f"{len(facts)} facts")
    return None
