"""Answers read, counts added, and the balance of accepted events and facts."""

import json

import httpx
import pytest

from loadtests.answers import LoadReply, read_answer
from loadtests.ledger import LoadLedger, wait_for_facts
from loadtests.tally import Tally
from loadtests.workload import REFERENCE, LoadRoute, Planned

NEW = Planned({"event_name": "a"})
REPEAT = Planned({"event_name": "a", "idempotency_key": "k"}, first_id="1-0")


def read(route: LoadRoute, planned: list[Planned], status: int, body: object, *, replayed: bool = False) -> LoadReply:
    return read_answer(route, planned, status, json.dumps(body).encode(), replayed=replayed)


def test_the_ids_of_accepted_events_are_read_on_each_route() -> None:
    assert read(LoadRoute.ASYNC, [NEW], 202, {"accepted": True, "message_id": "1-1"}) == LoadReply(("1-1",))
    assert read(LoadRoute.SYNC, [NEW], 200, {"fact_id": "fact_1"}) == LoadReply(("fact_1",))
    batch = {"accepted": 2, "rejected": 0, "message_ids": ["1-1", "1-2"]}
    assert read(LoadRoute.BATCH, [NEW, NEW], 202, batch) == LoadReply(("1-1", "1-2"))


def test_a_repeat_must_be_answered_as_the_first_time() -> None:
    same, other = {"message_id": "1-0"}, {"message_id": "1-9"}
    assert read(LoadRoute.ASYNC, [REPEAT], 202, same, replayed=True) == LoadReply(("1-0",))
    assert "a different id" in str(read(LoadRoute.ASYNC, [REPEAT], 202, other, replayed=True).problem)
    assert "no Idempotent-Replayed" in str(read(LoadRoute.ASYNC, [REPEAT], 202, same).problem)
    assert "on new events" in str(read(LoadRoute.ASYNC, [NEW], 202, same, replayed=True).problem)


def test_a_batch_counts_as_replayed_only_when_all_of_it_is() -> None:
    batch = {"message_ids": ["1-0", "1-1"]}
    assert read(LoadRoute.BATCH, [REPEAT, NEW], 202, batch).problem is None
    assert read(LoadRoute.BATCH, [REPEAT, NEW], 202, batch, replayed=True).problem is not None


def test_a_batch_that_was_taken_in_part_is_a_failure() -> None:
    answer = read(LoadRoute.BATCH, [NEW, NEW], 202, {"message_ids": ["1-0"]})
    assert answer == LoadReply(problem="1 of 2 events of a batch accepted", known=False)


@pytest.mark.parametrize(
    ("status", "content", "problem", "known"),
    [
        (401, b'{"code": "unauthenticated"}', "401 unauthenticated", True),
        (404, b"<html>", "404", True),
        (503, b'{"code": "overloaded"}', "503 overloaded", False),
        (200, b"{}", "200", False),
        (202, b"{}", "202 with a body that isn't as documented", False),
        (202, None, "202 with a body that isn't as documented", False),
        (0, None, "no answer", False),
    ],
)
def test_a_refusal_is_named_and_only_a_clear_one_says_that_nothing_was_accepted(
    status: int, content: bytes | None, problem: str, known: bool
) -> None:
    assert read_answer(LoadRoute.ASYNC, [NEW], status, content, replayed=False) == LoadReply((), problem, known)


def test_counts_of_several_generators_add_up_also_through_json() -> None:
    total, other = Tally(due=3, accepted=2), Tally(due=4, repeated=1, unknown=-1)
    other.events["/a"] += 5
    total.add(Tally.from_dict(json.loads(json.dumps(other.as_dict()))))
    total.add(other)
    assert total == Tally(due=11, accepted=2, repeated=2, unknown=-2, events=total.events)
    assert total.events == {"/a": 10}


@pytest.mark.parametrize(
    ("ledger", "balanced"),
    [
        (LoadLedger(accepted=10, repeated=2, unknown=0, facts=10, events=10), True),
        (LoadLedger(accepted=10, repeated=0, unknown=3, facts=12, events=12), True),
        (LoadLedger(accepted=10, repeated=0, unknown=0, facts=9, events=9), False),
        (LoadLedger(accepted=10, repeated=0, unknown=0, facts=11, events=10), False),
        (LoadLedger(accepted=10, repeated=0, unknown=0, facts=11, events=11), False),
        (LoadLedger(accepted=10, repeated=0, unknown=0, facts=10, events=9), False),
    ],
)
def test_every_accepted_event_is_one_fact_or_the_ledger_does_not_balance(ledger: LoadLedger, balanced: bool) -> None:
    assert ledger.balanced is balanced


def test_the_ledger_waits_for_late_facts_and_reads_every_page() -> None:
    counts = iter([3, 4, 5])
    pages = {None: (["a", "b", "c"], "next"), "next": (["d", "e"], None)}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/events/catalog":
            return httpx.Response(200, json={"events": [{"count": 2}, {"count": next(counts, 5) - 2}]})
        references, cursor = pages[request.url.params.get("cursor")]
        facts = [{"properties": {REFERENCE: reference}} for reference in references]
        return httpx.Response(200, json={"facts": facts, "next_cursor": cursor})

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://server") as client:
        ledger = wait_for_facts(client, Tally(accepted=5), seconds=10)
    assert ledger == LoadLedger(accepted=5, repeated=0, unknown=0, facts=5, events=5)


def test_the_ledger_gives_up_in_time_and_tells_what_is_missing() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"events": [], "facts": [], "next_cursor": None})

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://server") as client:
        ledger = wait_for_facts(client, Tally(accepted=2), seconds=0.1)
    assert ledger.missing == 2
    assert "2 events accepted" in str(ledger)
    assert "0 facts: 2 missing" in str(ledger)
