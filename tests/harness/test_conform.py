"""The conformance tool passes our server, and sees what is wrong with servers that are not right."""

import json
import threading
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from harness.conformance import facts
from harness.conformance.examination import ExaminationOutcome, ExaminationPlan, every_statement, examine, select
from harness.conformance.outcomes import CannotRun
from tests.harness.wrong_servers import BATCH, FAULTS, SINGLE, SYNC, before, lets_everyone_in
from tests.support.client import Project
from tests.support.process import ServerProcess, until
from tests.support.proxy import CLOSED, Answer, Fault, Forward, Sent, faulty


def names(plan: ExaminationPlan, outcome: ExaminationOutcome) -> set[str]:
    return {result.statement.name for result in plan.results if result.outcome is outcome}


def assert_passed_only(plan: ExaminationPlan) -> None:
    bad = [result for result in plan.results if result.outcome is not ExaminationOutcome.PASSED]
    assert not bad, bad


@pytest.fixture
def conform(bq: Project, server: ServerProcess) -> Callable[..., ExaminationPlan]:
    """Examine the server through a proxy with this fault. How fast it is on a busy machine is left out."""

    def run(fault: Fault | None = None, expression: str = "not latency", timeout: float = 10.0) -> ExaminationPlan:
        key = bq.keys["test"]
        if fault is None:
            return examine(server.url, key, statements=select(expression), timeout=timeout)
        with faulty(server.url, fault) as url:
            return examine(url, key, statements=select(expression), timeout=timeout)

    return run


def test_our_server_passes_every_statement_and_keeps_as_many_facts_as_was_said(bq: Project, server_url: str) -> None:
    plan = examine(server_url, bq.keys["test"], statements=every_statement())
    # Whether a busy machine answers in 50 ms says nothing about the server.
    (latency,) = (result for result in plan.results if result.statement.name == "single.latency")
    assert "p50 " in (latency.remark or str(latency.failure))
    assert_passed_only(replace(plan, results=[result for result in plan.results if result is not latency]))
    assert len(plan.results) == len(every_statement()) > 60
    facts = bq.facts()
    assert len(facts) == plan.leaves < 200
    assert all(fact["participant_id"].startswith(plan.prefix) for fact in facts)
    assert all(fact["event_name"].startswith(plan.prefix) for fact in facts)


def test_the_names_are_unique() -> None:
    assert len({statement.name for statement in every_statement()}) == len(every_statement())


@pytest.mark.parametrize("statement", ["single.fact", "batch.partial.reported", "key.optional", "sync.fact"])
def test_one_statement_alone_sends_only_what_it_needs(bq: Project, server: ServerProcess, statement: str) -> None:
    plan = examine(server.url, bq.keys["test"], statements=select(statement))
    assert_passed_only(plan)
    until("what was sent are facts", lambda: len(bq.facts()) >= plan.leaves)
    assert len(bq.facts()) == plan.leaves <= 5


def test_a_proxy_without_a_fault_passes(conform: Callable[..., ExaminationPlan]) -> None:
    assert_passed_only(conform(lambda sent, forward: forward(sent)))


IN_VAIN = {"accepted and forgotten", "an event of a batch lost", "an event beside an invalid one lost"}
"""Where a fact is waited for that never comes."""


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_seen_and_nothing_else(
    conform: Callable[..., ExaminationPlan], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(facts, "GIVEN_UP_SECONDS", 0.1)
    fault, expected = FAULTS[name]
    plan = conform(fault, timeout=3 if name in IN_VAIN else 10)
    assert names(plan, ExaminationOutcome.FAILED) == expected, [
        (result.statement.name, str(result.failure)) for result in plan.results if result.failure
    ]


def test_a_server_that_asks_for_no_key(bq: Project, conform: Callable[..., ExaminationPlan]) -> None:
    plan = conform(lets_everyone_in(bq.keys["test"]))
    required = {f"auth.{what}.{route}" for what in ("required", "unknown") for route in ("single", "batch", "sync")}
    assert names(plan, ExaminationOutcome.FAILED) == required | {"auth.no_effect", "auth.prefix.part"}


def test_a_server_that_ignores_the_prefix(bq: Project, conform: Callable[..., ExaminationPlan]) -> None:
    key = bq.keys["test"]

    def fault(sent: Sent, forward: Forward) -> Answer:
        bare = sent.headers.get("X-API-Key") == key.removeprefix("bq_test_")
        return forward(sent.with_header("X-API-Key", key) if bare else sent)

    assert names(conform(fault), ExaminationOutcome.FAILED) == {"auth.prefix.part"}


@pytest.mark.parametrize(("route", "word"), [(BATCH, "batch"), (SYNC, "sync")])
def test_a_route_that_hangs_fails_once_and_is_left_alone(
    conform: Callable[..., ExaminationPlan], route: str, word: str
) -> None:
    over, asked = threading.Event(), []

    def fault(sent: Sent, forward: Forward) -> Answer:
        if sent.route != route:
            return forward(sent)
        asked.append(sent)
        over.wait(30)
        return CLOSED

    try:
        plan = conform(fault, timeout=2)
    finally:
        over.set()
    assert names(plan, ExaminationOutcome.FAILED) == {f"endpoint.{word}"}
    (failure,) = (result.failure for result in plan.results if result.failure)
    assert failure.came == "none within 2 s"
    assert len(asked) == 1
    skipped = names(plan, ExaminationOutcome.SKIPPED)
    assert {name for name in skipped if name.startswith(f"{word}.")} == {
        statement.name for statement in every_statement() if statement.name.startswith(f"{word}.")
    }


def test_a_route_that_closes_connections_fails_once(conform: Callable[..., ExaminationPlan]) -> None:
    plan = conform(lambda sent, forward: CLOSED if sent.route == SYNC else forward(sent))
    assert names(plan, ExaminationOutcome.FAILED) == {"endpoint.sync"}


def test_a_connection_closed_for_one_request_fails_what_is_about_it(conform: Callable[..., ExaminationPlan]) -> None:
    def fault(sent: Sent, forward: Forward) -> Answer:
        return CLOSED if "overfull" in str(sent.content) else forward(sent)

    plan = conform(fault)
    assert names(plan, ExaminationOutcome.FAILED) == {"batch.limit.exceeded"}
    assert names(plan, ExaminationOutcome.SKIPPED) == set()


@pytest.mark.parametrize(("route", "word"), [(SINGLE, "single"), (BATCH, "batch"), (SYNC, "sync")])
def test_a_route_that_is_not_there(conform: Callable[..., ExaminationPlan], route: str, word: str) -> None:
    plan = conform(lambda sent, forward: Answer(404, b"{}") if sent.route == route else forward(sent), "endpoint")
    assert names(plan, ExaminationOutcome.FAILED) == {f"endpoint.{word}"}


def test_keys_without_a_prefix(bq: Project, server: ServerProcess) -> None:
    key = bq.keys["test"]
    with faulty(server.url, before(lambda sent: sent.with_header("X-API-Key", key))) as url:
        plan = examine(url, "some-key", statements=select("auth.prefix"), live=True)
    assert names(plan, ExaminationOutcome.FAILED) == {"auth.prefix"}


def test_every_statement_is_seen_to_fail_here() -> None:
    seen = {name for _, failing in FAULTS.values() for name in failing}
    elsewhere = {
        *(f"endpoint.{route}" for route in ("single", "batch", "sync")),
        *(f"auth.{what}.{route}" for what in ("required", "unknown") for route in ("single", "batch", "sync")),
        *("auth.no_effect", "auth.prefix", "auth.prefix.part", "single.latency"),
        "auth.header",  # where it doesn't hold, nothing can be examined: exit code 2
    }
    assert seen | elsewhere == {statement.name for statement in every_statement()}
    assert not seen & elsewhere


def test_an_answer_in_more_than_50_ms_is_too_late(conform: Callable[..., ExaminationPlan]) -> None:
    pause = threading.Event()

    def fault(sent: Sent, forward: Forward) -> Answer:
        pause.wait(0.06)
        return forward(sent)

    plan = conform(fault, "latency")
    (failure,) = (result.failure for result in plan.results if result.failure)
    assert failure.came.startswith("p50 ")


CONTRACT = (SINGLE, BATCH, SYNC)


def test_on_a_server_with_the_contract_alone_what_needs_facts_is_skipped(
    conform: Callable[..., ExaminationPlan],
) -> None:
    def fault(sent: Sent, forward: Forward) -> Answer:
        return forward(sent) if sent.route in CONTRACT else Answer(404, b"not found", {"Content-Type": "text/plain"})

    plan = conform(fault, timeout=2)
    assert names(plan, ExaminationOutcome.FAILED) == set()
    skipped = {
        result.statement.name: result.remark for result in plan.results if result.outcome is ExaminationOutcome.SKIPPED
    }
    assert skipped.keys() == {
        *("auth.no_effect", "single.fact", "single.fact.kept", "single.fact.type", "batch.facts"),
        *("batch.message_ids.order", "batch.partial.facts", "sync.fact", "sync.same_fact", "schema.discovered"),
        *("schema.properties", "schema.timestamp.kept", "schema.timestamp.default", "key.across", "key.optional"),
    }
    assert "no route that shows facts" in str(skipped["single.fact"])


def test_the_wider_dialects_list_of_events_serves_too(conform: Callable[..., ExaminationPlan]) -> None:
    def fault(sent: Sent, forward: Forward) -> Answer:
        known = sent.route in CONTRACT or sent.route.startswith("/gamify/participants/")
        return forward(sent) if known else Answer(404, b"{}")

    plan = conform(fault)
    assert names(plan, ExaminationOutcome.FAILED) == set()
    assert names(plan, ExaminationOutcome.SKIPPED) == {
        "single.fact.type",
        "batch.message_ids.order",
        "schema.discovered",
    }


def test_a_rate_limit_is_honoured_once(conform: Callable[..., ExaminationPlan]) -> None:
    refused: list[Sent] = []

    def fault(sent: Sent, forward: Forward) -> Answer:
        if sent.route == SYNC and not refused:
            refused.append(sent)
            return Answer(429, b'{"detail": "slow down"}', {"Retry-After": "0"})
        return forward(sent)

    assert_passed_only(conform(fault, "sync"))
    assert len(refused) == 1


def test_a_rate_limit_that_stays_leaves_statements_unseen(conform: Callable[..., ExaminationPlan]) -> None:
    def fault(sent: Sent, forward: Forward) -> Answer:
        late = sent.route == SYNC and Answer(429, b"{}", {"Retry-After": "3600"})
        return late or forward(sent)

    plan = conform(fault, "endpoint or sync.")
    assert names(plan, ExaminationOutcome.FAILED) == set()
    assert {name for name in names(plan, ExaminationOutcome.SKIPPED) if name.startswith("sync.")} >= {
        "sync.status",
        "sync.fact",
    }


def test_a_key_that_may_not_read_skips_what_needs_facts(bq: Project, server: ServerProcess) -> None:
    plan = examine(server.url, bq.keys["test:ingest"], statements=select("single.fact or sync"))
    assert names(plan, ExaminationOutcome.FAILED) == set()
    reasons = {
        result.statement.name: result.remark for result in plan.results if result.outcome is ExaminationOutcome.SKIPPED
    }
    assert "scope read" in str(reasons["single.fact"])
    assert "sync.status" not in reasons


WEIRD: list[object] = [
    [],
    None,
    "text",
    {},
    {"accepted": [], "message_id": "9" * 5000 + "-0", "fact_id": {}, "event_id": [], "processed_at": {}},
    {"accepted": True, "rejected": {}, "message_ids": [[], {}, None], "errors": [{"index": []}, 7]},
    {"accepted": 3, "message_id": "1-1", "message_ids": ["1-1", "1-1", 7], "fact_id": "fact_1", "event_id": "evt_1"},
    {"accepted": True, "message_id": "\u0661-\u0662", "processed_at": "9999-99-99T99:99:99Z", "fact_type": "\u001b[2J"},
]
FACTS: list[object] = [
    {"facts": [7, {"properties": {"n": []}, "event_name": 7, "occurred_at": 7}]},
    {"facts": [{"properties": 7, "event_name": [], "occurred_at": "never", "message_id": {}}] * 3},
    {"facts": {}, "events": [{"properties": {"n": {}}}]},
    {"status": "queued", "facts": []},
]


@pytest.mark.parametrize(("body", "listed"), list(zip(WEIRD, FACTS * 2, strict=True)), ids=range(len(WEIRD)))
def test_no_answer_is_too_weird(monkeypatch: pytest.MonkeyPatch, body: object, listed: object) -> None:
    monkeypatch.setattr(facts, "GIVEN_UP_SECONDS", 0.1)
    asked = 0

    def fault(sent: Sent, forward: Forward) -> Answer:
        nonlocal asked
        asked += sent.method == "GET"
        # The facts of a former run would end this one.
        told = {} if asked <= 2 else listed
        return Answer(202, json.dumps(body if sent.method == "POST" else told).encode())

    statements = select("not limit and not latency")
    with faulty("http://127.0.0.1:1", fault) as url:
        try:
            plan = examine(url, "bq_test_x", statements=statements, timeout=2)
        except CannotRun:
            assert not isinstance(body, dict) or not body
        else:
            assert names(plan, ExaminationOutcome.FAILED) > {"auth.required.single"}
            assert not any("\u001b" in str(result.failure) for result in plan.results)
