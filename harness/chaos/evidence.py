"""The history compared with the facts: every acknowledged event is one fact with exactly what was sent."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from bq_server.moments import SECOND, format_timestamp, parse_timestamp
from harness.chaos.clients import Attempt, PostOutcome
from harness.chaos.faults import FaultWindow
from harness.chaos.history import REFERENCE, History, IngestRoute, SentEvent
from harness.chaos.ledger import ChaosLatency, ChaosLedger, Kind

Json = Mapping[str, Any]

CLOCK_SLACK = 5 * SECOND
"""How far the server's clock may appear to differ from ours, in microseconds."""


MOST_BODIES = 3
"""Events of a batch that are shown with an answer."""


class Evidence(Struct, frozen=True):
    """What is known when a run is over."""

    history: History
    attempts: Sequence[Attempt]
    windows: Sequence[FaultWindow]
    facts: Sequence[Json]
    """All facts of the environment, as the server returns them."""
    prepared: Sequence[Json] = ()
    """Those that existed before the first event: enrolments and time zones."""
    started: int = 0
    """The start of the run, in microseconds."""
    ended: int = 0
    is_told_lost: Callable[[str], bool] = lambda _: False
    """Whether the server says that a message id was lost with the stream."""


class Judged(Struct):
    """The sent events that are facts or must be."""

    accepted: list[tuple[SentEvent, Json | None]] = field(default_factory=list)
    """Each once, with the first of its facts, if it has any."""
    messages: list[tuple[str, SentEvent, Json]] = field(default_factory=list)
    """Message ids that were acknowledged, with their event and its fact."""


def judge(evidence: Evidence, ledger: ChaosLedger) -> Judged:
    """Enter what was sent, what became of it, and everything that is wrong with that into the ledger."""
    count(evidence, ledger)
    tries: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in evidence.attempts:
        for event in attempt.request.events:
            tries[event.number].append(attempt)
    facts = _facts_by_event(evidence, tries, ledger)
    judged = Judged()
    for number, attempts in tries.items():
        _judge_event(evidence.history.events[number], attempts, facts.get(number, []), evidence, ledger, judged)
    return judged


def count(evidence: Evidence, ledger: ChaosLedger) -> None:
    """Enter what the clients know by themselves, without reading the facts."""
    sent = {event.number: False for attempt in evidence.attempts for event in attempt.request.events}
    for attempt in evidence.attempts:
        if attempt.answer.outcome is PostOutcome.ACKNOWLEDGED:
            sent |= dict.fromkeys((event.number for event in attempt.request.events), True)
    ledger.sent, ledger.unsent = len(sent), len(evidence.history.events) - len(sent)
    ledger.acknowledged = sum(sent.values())
    requests = {id(attempt.request): attempt.request for attempt in evidence.attempts}
    tried = Counter(id(attempt.request) for attempt in evidence.attempts)
    ledger.retries = tried.total() - len(tried)
    ledger.duplicates_sent = sum(len(request.events) for request in requests.values() if request.repeats)
    ledger.faults = evidence.history.habits + Counter(window.kind for window in evidence.windows)
    if "duplicate" in ledger.faults:
        ledger.faults["duplicate"] = ledger.duplicates_sent
    for attempt in evidence.attempts:
        if attempt.answer.outcome is PostOutcome.UNEXPECTED:
            bodies = [str(event.body()) for event in attempt.request.events[:MOST_BODIES]]
            ledger.find(Kind.UNEXPECTED, attempt.answer.said, [_told(attempt, None, evidence), *bodies])
    quiet = [
        attempt
        for attempt in evidence.attempts
        if attempt.answer.outcome is PostOutcome.ACKNOWLEDGED
        and not any(window.overlaps(attempt.started, attempt.ended) for window in evidence.windows)
    ]
    for name, routes in {"all": list(IngestRoute), **{route.name.lower(): [route] for route in IngestRoute}}.items():
        chosen = (each for each in quiet if each.request.route in routes)
        ledger.latency[name] = ChaosLatency.of(1000 * (each.ended - each.started) for each in chosen)


def _facts_by_event(
    evidence: Evidence, tries: Mapping[int, Sequence[Attempt]], ledger: ChaosLedger
) -> dict[int, list[Json]]:
    """The facts of each event that was sent; all others are foreign, or existed before."""
    found: dict[int, list[Json]] = defaultdict(list)
    prepared = {fact["fact_id"]: fact for fact in evidence.prepared}
    for fact in evidence.facts:
        if fact["fact_id"] in prepared:
            if prepared.pop(fact["fact_id"]) != fact:
                ledger.find(Kind.ALTERED, f"{fact['fact_type']} of {fact['participant_id']}", [str(fact)])
            continue
        number = fact["properties"].get(REFERENCE)
        ledger.facts += 1
        if isinstance(number, int) and number in tries:
            found[number].append(fact)
        else:
            ledger.find(Kind.FOREIGN, f"fact {fact['fact_id']}", [str(fact)])
    for fact in prepared.values():
        ledger.find(Kind.LOST, f"{fact['fact_type']} of {fact['participant_id']}", [str(fact)])
    return found


def _judge_event(
    event: SentEvent,
    attempts: Sequence[Attempt],
    facts: Sequence[Json],
    evidence: Evidence,
    ledger: ChaosLedger,
    judged: Judged,
) -> None:
    acknowledged = [each for each in attempts if each.answer.outcome is PostOutcome.ACKNOWLEDGED]

    def find(kind: Kind, what: str = "") -> None:
        details = (
            [] if ledger.shows_all(kind) else [*([what] if what else []), *_story(event, attempts, facts, evidence)]
        )
        ledger.find(kind, f"event {event.number} of {event.participant_id}", details)

    if acknowledged:
        ledger.duplicates_refused += len(acknowledged) - max(1, len(facts))
        if not facts and all(evidence.is_told_lost(_id_for(each, event)) for each in acknowledged):
            ledger.destroyed += 1
            return
        if not facts:
            find(Kind.LOST)
    elif facts:
        ledger.unknown_facts += 1
    else:
        ledger.unknown_absent += 1
        ledger.given_up += not all(each.request.hasty for each in attempts)
    if len(facts) > 1:
        find(Kind.DOUBLED)
    wrong = [each for fact in facts for each in alterations(event, fact)]
    wrong += _contradictions(event, attempts, acknowledged, facts, evidence)
    if wrong:
        find(Kind.ALTERED, "; ".join(wrong))
    if acknowledged or facts:
        judged.accepted.append((event, facts[0] if facts else None))
    for attempt in acknowledged if facts else ():
        if attempt.request.route is not IngestRoute.SYNC:
            judged.messages.append((_id_for(attempt, event), event, facts[0]))


def alterations(event: SentEvent, fact: Json) -> Iterator[str]:
    """How a fact differs from the event as it was sent."""
    sent: dict[str, Any] = {
        "event_name": event.event_name,
        "fact_type": f"custom.{event.event_name}",
        "participant_id": event.participant_id,
        "sent_as": event.sent_as,
        "properties": event.properties,
        "idempotency_key": event.idempotency_key,
        "voids": event.voids,
        "warnings": [],
    }
    if event.timestamp is not None:
        sent["occurred_at"] = format_timestamp(event.timestamp)
    elif fact["occurred_at"] != fact["received_at"]:
        yield f"sent without a timestamp, it occurred at {fact['occurred_at']} and was received {fact['received_at']}"
    for name, value in sent.items():
        # Compared as text too, since 1 equals True and 1.0.
        if fact[name] != value or repr(fact[name]) != repr(value):
            yield f"{name} is {fact[name]!r}, sent was {value!r}"


def _contradictions(
    event: SentEvent,
    attempts: Sequence[Attempt],
    acknowledged: Sequence[Attempt],
    facts: Sequence[Json],
    evidence: Evidence,
) -> Iterator[str]:
    """How the facts differ from what was answered when they were accepted."""
    told = {_id_for(each, event) for each in acknowledged if each.request.route is IngestRoute.SYNC}
    if facts and (others := told - {fact["fact_id"] for fact in facts}):
        yield f"acknowledged as {', '.join(sorted(others))}, which is no fact of it"
    earliest = evidence.started + int(min(each.started for each in attempts) * SECOND) - CLOCK_SLACK
    for fact in facts:
        if not earliest <= parse_timestamp(fact["received_at"]) <= evidence.ended + CLOCK_SLACK:
            yield f"received {fact['received_at']}, which is not between its first try and the end of the run"


def _story(event: SentEvent, attempts: Sequence[Attempt], facts: Sequence[Json], evidence: Evidence) -> Iterator[str]:
    """Everything known about an event, in lines."""
    yield f"sent: {event.body()}"
    for attempt in attempts:
        yield _told(attempt, event, evidence)
    for fact in facts:
        yield f"fact: {dict(fact)}"


def _told(attempt: Attempt, event: SentEvent | None, evidence: Evidence) -> str:
    answer, request = attempt.answer, attempt.request
    during = [window.kind for window in evidence.windows if window.overlaps(attempt.started, attempt.ended)]
    size = f" of {len(request.events)}" if request.route is IngestRoute.BATCH else ""
    ids = answer.ids if event is None else tuple(_ids_for(attempt, event))
    parts = [
        f"{attempt.started:.3f}-{attempt.ended:.3f} s, client {attempt.client}, {request.route.name.lower()}{size}",
        *(["sent again on purpose"] if request.repeats else []),
        f"{answer.outcome} {answer.said}".strip(),
        *ids,
        *(["Idempotent-Replayed"] if answer.replayed else []),
        *([f"during {', '.join(during)}"] if during else []),
    ]
    return ", ".join(parts)


def _id_for(attempt: Attempt, event: SentEvent) -> str:
    return next(iter(_ids_for(attempt, event)))


def _ids_for(attempt: Attempt, event: SentEvent) -> Iterable[str]:
    numbers = [each.number for each in attempt.request.events]
    return attempt.answer.ids[numbers.index(event.number) :][:1]
