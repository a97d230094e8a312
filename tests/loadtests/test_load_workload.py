"""What is sent, and when."""

import json
from collections import Counter
from datetime import UTC, datetime
from random import Random

import pytest

from loadtests.arrivals import PoissonArrivals
from loadtests.workload import KEYED_SHARE, REFERENCE, REPEAT_SHARE, LoadRoute, Mix, Planned, Workload

NOW = datetime(2026, 4, 10, 10, 30, tzinfo=UTC)


@pytest.fixture
def workload() -> Workload:
    return Workload(Random(1), lambda: NOW)


def test_users_together_ask_for_their_rates_and_no_two_at_one_moment() -> None:
    random = Random(7)
    users = [PoissonArrivals(4.0, 0.0, random) for _ in range(50)]
    assert len({user.wait(0.0) for user in users}) == 50
    due = sum(user.take_overdue(100.0) for user in users)
    assert due == pytest.approx(50 * 4 * 100, rel=0.03)


def test_gaps_are_exponential() -> None:
    arrivals, now, gaps = PoissonArrivals(2.0, 0.0, Random(3)), 0.0, []
    for _ in range(20_000):
        gap = arrivals.wait(now)
        now += gap
        assert arrivals.take(now) == pytest.approx(0.0)
        gaps.append(gap)
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert mean == pytest.approx(0.5, rel=0.03)
    assert variance == pytest.approx(mean**2, rel=0.06)


def test_a_slow_answer_delays_arrivals_and_removes_none() -> None:
    prompt, slow = (PoissonArrivals(10.0, 0.0, Random(5)) for _ in range(2))
    asked = prompt.take_overdue(60.0)
    sent, now = 0, 0.0
    while (now := now + slow.wait(now)) < 60.0:
        slow.take(now)
        sent += 1
        now += 0.09
    assert sent + slow.take_overdue(60.0) == asked


def test_lateness_is_counted_from_the_moment_a_request_was_due() -> None:
    arrivals = PoissonArrivals(1.0, 0.0, Random(2))
    due = arrivals.wait(0.0)
    assert arrivals.wait(due + 5.0) == 0.0
    assert arrivals.take(due + 5.0) == pytest.approx(5.0)


def test_the_mix_is_drawn_by_weight() -> None:
    random = Random(4)
    drawn = Counter(Mix.parse("85:10:5").draw(random) for _ in range(10_000))
    assert drawn[LoadRoute.ASYNC] == pytest.approx(8500, rel=0.05)
    assert drawn[LoadRoute.BATCH] == pytest.approx(1000, rel=0.15)
    assert {Mix.parse("0:0:1").draw(random) for _ in range(100)} == {LoadRoute.SYNC}
    assert str(Mix.parse("1:0:2.5")) == "1:0:2.5"
    assert [route in Mix.parse("1:0:2.5") for route in LoadRoute] == [True, False, True]


@pytest.mark.parametrize("text", ["", "1:2", "a:b:c", "0:0:0", "1:-1:1", "nan:1:1", "inf:1:1", "1:2:3:4"])
def test_a_mix_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must hold|isn't three numbers"):
        Mix.parse(text)


def test_new_events_are_valid_varied_and_told_apart(workload: Workload) -> None:
    events = [planned.body for planned in workload.plan(LoadRoute.ASYNC, 2000)]
    assert len({event["properties"][REFERENCE] for event in events}) == 2000
    assert len({event["participant_id"] for event in events}) > 500
    assert len({event["event_name"] for event in events}) == 10
    assert {event["timestamp"] for event in events if "timestamp" in event} == {"2026-04-10T10:30:00+00:00"}
    keys = [event["idempotency_key"] for event in events if "idempotency_key" in event]
    assert len(set(keys)) == len(keys) == pytest.approx(2000 * KEYED_SHARE, rel=0.15)
    assert json.loads(json.dumps(events)) == events


def test_accepted_keyed_events_are_repeated_exactly(workload: Workload) -> None:
    originals = {}
    for number, planned in enumerate(workload.plan(LoadRoute.ASYNC, 100)):
        workload.remember(LoadRoute.ASYNC, planned, f"1-{number}")
        originals[f"1-{number}"] = planned.body
    planned_next = workload.plan(LoadRoute.BATCH, 5000)
    repeats = [planned for planned in planned_next if planned.first_id is not None]
    assert len(repeats) == pytest.approx(5000 * REPEAT_SHARE, rel=0.4)
    assert all(planned.body == originals[planned.first_id or ""] for planned in repeats)
    assert all("idempotency_key" in planned.body for planned in repeats)


def test_nothing_is_repeated_before_it_was_accepted_nor_by_the_other_kind_of_id(workload: Workload) -> None:
    for planned in workload.plan(LoadRoute.SYNC, 100):
        workload.remember(LoadRoute.SYNC, planned, "fact")
    assert all(planned.first_id is None for planned in workload.plan(LoadRoute.ASYNC, 2000))
    assert any(planned.first_id is not None for planned in workload.plan(LoadRoute.SYNC, 2000))


def test_a_key_goes_into_the_body_or_the_header_and_in_a_batch_always_into_the_body(workload: Workload) -> None:
    event = {"event_name": "a", "participant_id": "p", "idempotency_key": "k"}
    seen = [workload.request(LoadRoute.ASYNC, [Planned(event)]) for _ in range(50)]
    bare = {"event_name": "a", "participant_id": "p"}
    assert (event, {}) in seen
    assert (bare, {"Idempotency-Key": "k"}) in seen
    assert all(request in ((event, {}), (bare, {"Idempotency-Key": "k"})) for request in seen)
    assert workload.request(LoadRoute.BATCH, [Planned(event)]) == ({"events": [event]}, {})
