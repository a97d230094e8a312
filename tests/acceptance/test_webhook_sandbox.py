"""Webhooks by the clock of a test environment, and endpoints that are dead."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Project
from tests.support.game import act
from tests.support.hooks import add, advance, freeze, path, told
from tests.support.process import ServerProcess, until
from tests.support.receiver import Received, Receiver, Reply, receiving

NOON = "2026-03-02T12:00:00Z"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def test_the_clock_drives_the_tries(bq: Project, receiver: Receiver) -> None:
    freeze(bq, NOON)
    endpoint = add(bq, receiver, "fact.created")
    receiver.reply = lambda _: (500, {})
    bq.send_sync(act())
    told(bq)
    for wait in ("PT7S", "PT25S", "PT2M", "PT7M", "PT30M", "PT2H", "PT7H", "PT28H"):
        seen = len(receiver.received)
        told(bq)
        assert len(receiver.received) == seen, "nothing is tried while the clock stands"
        advance(bq, wait)
        told(bq)
        assert len(receiver.received) == seen + 1
    [delivery] = bq.get(path(endpoint, "/deliveries")).json()["deliveries"]
    assert delivery["state"] == "aside"
    assert [each["status"] for each in delivery["tries"]] == [500] * 9
    assert delivery["tries"][0]["tried_at"] == NOON
    assert len({each.id for each in receiver.received}) == 1


def test_others_do_not_wait_behind_one_who_was_put_off(bq: Project, receiver: Receiver) -> None:
    freeze(bq, NOON)
    add(bq, receiver, "fact.created")
    sent = threading.Event()

    def reply(request: Received) -> Reply:
        sent.wait()  # meanwhile more comes: each event a row of the outbox
        return (500 if request.body["data"]["participant_id"] == "ada" else 200), {}

    receiver.reply = reply
    for who in (*["ada"] * 100, "bea"):
        bq.send_sync(act(who))
    sent.set()
    told(bq)
    assert [body["data"]["participant_id"] for body in receiver.bodies()] == ["bea"]


def test_an_endpoint_that_fails_for_three_days_is_switched_off(bq: Project, receiver: Receiver) -> None:
    freeze(bq, NOON)
    endpoint = add(bq, receiver, "fact.created")
    receiver.reply = lambda _: (500, {})
    for who in ("ada", "bea"):
        bq.send_sync(act(who))
        told(bq)
        advance(bq, "P3D")
    told(bq)
    until("it is off", lambda: not bq.get(path(endpoint)).json()["enabled"])
    assert bq.get(path(endpoint)).json()["off_because"] == "every try failed for 3 days"


def test_an_endpoint_that_is_well_again_gets_at_once_what_was_put_off(bq: Project, receiver: Receiver) -> None:
    freeze(bq, NOON)
    endpoint = add(bq, receiver, "fact.created")
    receiver.reply = lambda _: (503, {"Retry-After": "36000"})
    people = [f"p{number}" for number in range(5)]
    for who in people:
        bq.send_sync(act(who))
    told(bq)
    assert len(receiver.received) == len(people)
    advance(bq, "PT1H")
    receiver.reply = lambda _: (204, {})
    bq.send_sync(act("new"))
    told(bq)
    assert {body["data"]["participant_id"] for body in receiver.bodies()} == {*people, "new"}
    assert bq.get(path(endpoint)).json()["failing_since"] is None


def test_a_clock_that_is_set_back_makes_nobody_wait_for_it(bq: Project, receiver: Receiver) -> None:
    freeze(bq, NOON)
    endpoint = add(bq, receiver, "fact.created")
    receiver.reply = lambda _: (500, {})
    bq.send_sync(act())
    told(bq)
    freeze(bq, "2026-03-01T00:00:00Z")
    told(bq)
    assert bq.get(path(endpoint)).json()["failing_since"] == "2026-03-01T00:00:00Z"
    receiver.reply = lambda _: (204, {})
    freeze(bq, "2026-02-01T00:00:00Z")
    told(bq)
    assert len(receiver.taken) == 1


def test_a_reset_takes_what_waits_with_it(bq: Project, receiver: Receiver) -> None:
    receiver.reply = lambda _: (500, {})
    endpoint = add(bq, receiver, "fact.created")
    bq.send_sync(act())
    until("it was tried", lambda: len(receiver.received) > 0)
    bq.post("/sandbox/reset", {})
    assert bq.get(path(endpoint)).json()["waiting"] == 0
    assert bq.get(path(endpoint, "/deliveries")).json()["deliveries"] == []


def test_a_drain_says_what_is_still_to_be_sent(bq: Project) -> None:
    with receiving() as gone:
        url = gone.url
    bq.post("/webhooks/endpoints", {"url": url, "event_types": ["fact.created"]})
    bq.send_batch([act(f"p{number}") for number in range(50)])
    answer = bq.post("/sandbox/drain", {"webhooks": True, "timeout_ms": 0})
    assert answer.status_code == 504
    assert answer.json()["code"] == "not_drained"
    bq.post("/sandbox/reset", {})


def test_a_dead_endpoint_slows_nothing_and_fills_nothing_without_bound(data_dir: Path, receiver: Receiver) -> None:
    with receiving() as gone:
        url = gone.url
    people, rounds = 100, 8
    with ServerProcess(data_dir) as server, server.client() as client:
        dead = client.post("/webhooks/endpoints", json={"url": url, "event_types": ["fact.created"]}).json()
        well = client.post("/webhooks/endpoints", json={"url": receiver.url, "event_types": ["fact.created"]}).json()
        for _ in range(rounds):
            events = [act(f"p{number}") for number in range(people)]
            assert client.post("/ingest/events/batch", json={"events": events}).json()["accepted"] == people
        drained = client.post("/sandbox/drain", json={}).json()
        assert drained["facts"] == people * rounds
        until("the other one is told of all", lambda: client.get(path(well)).json()["waiting"] == 0)
        assert len({each.id for each in receiver.taken}) == people * rounds
        waiting = client.get(path(dead)).json()
        assert waiting["enabled"]
        assert waiting["waiting"] == people * rounds, "all of it is kept"
        assert waiting["failing_since"] is not None
        tries = client.get(path(dead, "/deliveries"), params={"limit": 200}).json()["deliveries"]
        assert all(len(each["tries"]) <= 9 for each in tries)
        assert server.stop() == 0
