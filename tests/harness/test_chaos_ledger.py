"""The ledger sees what is wrong: each test takes a run in which all is well and spoils one thing."""

from typing import Any

import pytest
from msgspec.structs import replace

from bq_server.store.losses import Loss
from harness.chaos import report
from harness.chaos.clients import PostOutcome
from harness.chaos.destruction import ToldLoss
from harness.chaos.faults import FaultWindow
from harness.chaos.history import History, IngestRoute, SentEvent
from harness.chaos.ledger import ChaosLatency, ChaosLedger, Kind
from tests.harness.chaos_support import CALM, OPTIONS, fact_of, judged, requests, small_history, tried

HISTORY = small_history(CALM)
ATTEMPTS = [tried(request) for request in requests(HISTORY)]
FACTS = [fact_of(event) for event in HISTORY.events]
COUNT = len(FACTS)


def first(condition: Any) -> SentEvent:
    return next(event for event in HISTORY.events if condition(event))


def with_fact(event: SentEvent, *facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The good facts, with others in place of that of an event."""
    return [*FACTS[: event.number], *facts, *FACTS[event.number + 1 :]]


def test_a_run_in_which_all_is_well_passes() -> None:
    ledger = judged(HISTORY, ATTEMPTS, FACTS)
    assert ledger.problems == []
    assert ledger.passed
    assert (ledger.sent, ledger.acknowledged, ledger.facts) == (COUNT, COUNT, COUNT)
    assert not ledger.findings
    assert "PASSED" in list(report.lines(ledger))


def test_an_acknowledged_event_without_a_fact_is_lost() -> None:
    event = HISTORY.events[5]
    ledger = judged(HISTORY, ATTEMPTS, with_fact(event))
    assert (ledger.lost, ledger.counts.total()) == (1, 1)
    assert not ledger.passed
    (finding,) = ledger.findings
    assert finding.subject == f"event 5 of {event.participant_id}"
    assert any("acknowledged" in line for line in finding.details)
    assert any(event.participant_id in line for line in finding.details)


@pytest.mark.parametrize(
    ("told", "counted", "problems"),
    [
        (True, "1 accepted event is lost", 0),
        (True, "no accepted event is missing", 1),
        (True, "accepted events may be lost, nobody can know how many", 0),
        (False, "1 accepted event is lost", 1),
        (False, "accepted events may be lost, nobody can know how many", 1),
    ],
)
def test_what_was_taken_out_of_the_stream_must_be_told_and_counted(told: bool, counted: str, problems: int) -> None:
    route = {event.number: each.route for each in requests(HISTORY) for event in each.events}
    event = first(lambda event: route[event.number] is not IngestRoute.SYNC)
    ledger = judged(HISTORY, ATTEMPTS, with_fact(event), is_told_lost=lambda _: told)
    ledger.told_lost.add(counted)
    assert (ledger.destroyed, ledger.lost) == ((1, 0) if told else (0, 1))
    assert len(ledger.problems) == problems, ledger.problems


def test_what_the_server_tells_of_losses_adds_up() -> None:
    told = ToldLoss()
    told.add(f"a: {Loss(0, 'it went', 3, '1-0', '2-0').summary}; b: {Loss(0, 'it went', 1, '1-0', '2-0').summary}")
    assert str(told) == "4"
    told.add(Loss(0, "it went", 0, "1-0", "2-0").summary)
    assert str(told) == "4"
    told.add(Loss(0, "it went", 5, "1-0", "2-0", at_least=True).summary)
    assert str(told) == "at least 9"
    unknown = ToldLoss()
    unknown.add(Loss(0, "it went", 0, "1-0", "2-0", at_least=True).summary)
    assert str(unknown) == "at least 0"


def test_an_event_with_two_facts_is_doubled() -> None:
    event = HISTORY.events[5]
    ledger = judged(HISTORY, ATTEMPTS, [*FACTS, fact_of(event, fact_id="fact_second")])
    assert (ledger.doubled, ledger.counts.total()) == (1, 1)
    assert any("fact_second" in line for line in ledger.findings[0].details)


@pytest.mark.parametrize(
    "changes",
    [
        {"event_name": "other"},
        {"fact_type": "custom.other"},
        {"participant_id": "somebody"},
        {"sent_as": "another_name"},
        {"occurred_at": "2026-04-02T09:00:00Z"},
        {"idempotency_key": "another"},
        {"warnings": [{"code": "unknown_field"}]},
        {"received_at": "2026-04-02T08:59:50Z"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_fact_that_says_something_else_is_altered(changes: dict[str, Any]) -> None:
    event = first(lambda event: event.timestamp is not None)
    ledger = judged(HISTORY, ATTEMPTS, with_fact(event, fact_of(event, **changes)))
    assert (ledger.altered, ledger.counts.total()) == (1, 1)


@pytest.mark.parametrize(
    ("sent", "kept"), [(1, True), (1, 1.0), (0.1, 0.10000000000000002), ([], {}), ("é", "e\u0301")]
)
def test_a_property_that_only_looks_the_same_is_altered(sent: Any, kept: Any) -> None:
    event = HISTORY.events[5]
    known = History([*HISTORY.events], HISTORY.clients, HISTORY.habits)
    known.events[5] = replace(event, properties=event.properties | {"x": sent})
    good = with_fact(event, fact_of(event, properties=event.properties | {"x": sent}))
    assert judged(known, ATTEMPTS, good).passed
    bad = with_fact(event, fact_of(event, properties=event.properties | {"x": kept}))
    assert judged(known, ATTEMPTS, bad).altered == 1


def test_an_event_sent_without_a_timestamp_occurred_when_it_was_received() -> None:
    event = first(lambda event: event.timestamp is None)
    ledger = judged(HISTORY, ATTEMPTS, with_fact(event, fact_of(event, occurred_at="2026-04-02T09:00:02Z")))
    assert ledger.altered == 1


def test_a_sync_acknowledgement_that_names_another_fact_is_found() -> None:
    event = next(request.events[0] for request in requests(HISTORY) if request.route is IngestRoute.SYNC)
    ledger = judged(HISTORY, ATTEMPTS, with_fact(event, fact_of(event, fact_id="fact_other")))
    assert (ledger.altered, ledger.counts.total()) == (1, 1)


@pytest.mark.parametrize("reference", [COUNT, -1, "5", None])
def test_a_fact_of_an_event_nobody_sent_is_foreign(reference: Any) -> None:
    foreign = fact_of(HISTORY.events[0], fact_id="fact_x", properties={"event_ref": reference})
    ledger = judged(HISTORY, ATTEMPTS, [*FACTS, foreign])
    assert (ledger.foreign, ledger.counts.total()) == (1, 1)


def test_a_fact_of_an_event_that_was_never_sent_is_foreign() -> None:
    request = requests(HISTORY)[0]
    attempts = [attempt for attempt in ATTEMPTS if attempt.request is not request]
    assert judged(HISTORY, attempts, FACTS).foreign == len(request.events)


def test_facts_from_before_the_run_must_stay_as_they_were() -> None:
    zone = fact_of(HISTORY.events[0], fact_id="fact_zone", fact_type="system.timezone_changed", properties={})
    assert judged(HISTORY, ATTEMPTS, [*FACTS, zone], prepared=[zone]).passed
    assert judged(HISTORY, ATTEMPTS, FACTS, prepared=[zone]).lost == 1
    assert judged(HISTORY, ATTEMPTS, [*FACTS, zone | {"participant_id": "x"}], prepared=[zone]).altered == 1


def test_an_event_that_was_never_acknowledged_may_be_a_fact_once() -> None:
    request = next(request for request in requests(HISTORY) if request.hasty and len(request.events) == 1)
    event = request.events[0]
    attempts = [tried(each, PostOutcome.NO_ANSWER) if each is request else tried(each) for each in requests(HISTORY)]
    there = judged(HISTORY, attempts, FACTS)
    assert there.passed
    assert (there.unknown_facts, there.unknown_absent, there.acknowledged) == (1, 0, COUNT - 1)
    absent = judged(HISTORY, attempts, with_fact(event))
    assert absent.passed
    assert (absent.unknown_facts, absent.unknown_absent) == (0, 1)
    twice = judged(HISTORY, attempts, [*FACTS, fact_of(event, fact_id="fact_second")])
    assert (twice.doubled, twice.passed) == (1, False)


def test_a_client_that_had_to_stop_trying_is_told_of() -> None:
    request = next(request for request in requests(HISTORY) if not request.hasty and len(request.events) == 1)
    attempts = [tried(each, PostOutcome.UNAVAILABLE) if each is request else tried(each) for each in requests(HISTORY)]
    ledger = judged(HISTORY, attempts, with_fact(request.events[0]))
    assert ledger.given_up == 1
    assert not ledger.passed


def test_repeats_are_counted_and_refused() -> None:
    known = small_history(OPTIONS)
    attempts = [tried(request) for request in requests(known)]
    repeated = sum(len(request.events) for request in requests(known) if request.repeats)
    ledger = judged(known, [*attempts, tried(requests(known)[0])], map(fact_of, known.events), OPTIONS)
    assert ledger.counts.total() == 0
    assert (ledger.duplicates_sent, ledger.retries) == (repeated, 1)
    assert ledger.duplicates_refused == repeated + len(requests(known)[0].events)
    assert ledger.problems == ["never injected: kill-server, kill-stream, pause-stream, slow-disk"]


def test_an_answer_that_no_fault_excuses_fails_the_run() -> None:
    attempts = [tried(requests(HISTORY)[0], PostOutcome.UNEXPECTED, said="500 {}"), *ATTEMPTS]
    ledger = judged(HISTORY, attempts, FACTS)
    assert ledger.counts == {Kind.UNEXPECTED: 1}
    assert not ledger.passed


def test_a_run_that_did_nothing_does_not_pass() -> None:
    assert "no event was acknowledged: a run that does nothing shows nothing" in judged(HISTORY, [], []).problems
    refused = [tried(request, PostOutcome.UNAVAILABLE) for request in requests(HISTORY)]
    assert not judged(HISTORY, refused, []).passed


def test_what_else_was_found_fails_the_run() -> None:
    for spoil in ({"dead": 1}, {"verified": "a difference"}, {"broken_off": "it never came back"}):
        ledger = ChaosLedger(CALM, **{"acknowledged": 1, "dead": 0, **spoil})  # type: ignore[arg-type]
        assert len(ledger.problems) == 1, spoil
    ledger = ChaosLedger(CALM, acknowledged=1, dead=0)
    ledger.find(Kind.DIFFERENCE, "player_01", ["points.balance: expected 2, found 1"])
    assert (ledger.differences, ledger.passed) == (1, False)


def test_only_the_first_findings_of_a_kind_are_shown_and_all_are_counted() -> None:
    ledger = judged(HISTORY, ATTEMPTS, [])
    assert ledger.lost == COUNT
    assert len(ledger.findings) == 5
    assert f"lost: and {COUNT - 5} more" in list(report.lines(ledger))
    assert ledger.as_json()["lost"] == COUNT


def test_latency_is_that_of_requests_that_no_fault_touched() -> None:
    single = [request for request in requests(HISTORY) if request.route is IngestRoute.ASYNC][:4]
    attempts = [tried(request, at=second) for second, request in enumerate(single)]
    attempts.append(tried(single[0], PostOutcome.UNAVAILABLE, at=9))
    ledger = judged(
        HISTORY, attempts, [], windows=[FaultWindow("kill-server", 0.5, 1.2), FaultWindow("slow-disk", 2.95, 2.98)]
    )
    # The first fault counts until 1.7 s, the second until 3.48 s: of the requests at 0, 1, 2 and 3 s two are left.
    kept = ledger.latency["async"]
    assert kept.requests == 2
    assert kept.p50 == pytest.approx(10)
    assert kept.p99 == pytest.approx(10)
    assert ledger.latency["sync"] == ChaosLatency(0, None, None)


def test_percentiles_are_by_nearest_rank() -> None:
    assert ChaosLatency.of(range(100, 0, -1)) == ChaosLatency(100, 50, 99)
    assert ChaosLatency.of([7.0]) == ChaosLatency(1, 7.0, 7.0)
