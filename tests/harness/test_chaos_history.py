"""What is sent, and when what strikes, follows from the seed alone, and holds what was asked for."""

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from bq_server.cli.harness import chaos
from bq_server.game import check
from bq_server.moments import SECOND
from harness.chaos import aliases, game, history, schedule
from harness.chaos.clients import PostOutcome, read_answer
from harness.chaos.history import IngestRoute
from harness.chaos.options import EVERY_FAULT, FAULTS, STRIKES, Options, named
from tests.harness.chaos_support import CALM, OPTIONS, START, requests, small_history

ROOT = Path(__file__).parents[2]
LONG = Options(seconds=60, rate=50, clients=16, seed=1)


def test_a_seed_makes_one_history_and_one_schedule() -> None:
    other = replace(OPTIONS, seed=8)
    assert small_history(OPTIONS) == small_history(OPTIONS)
    assert small_history(OPTIONS).events != small_history(other).events
    assert schedule.plan(OPTIONS) == schedule.plan(OPTIONS)
    assert schedule.plan(OPTIONS) != schedule.plan(other)


def test_it_is_about_as_much_as_was_asked_for() -> None:
    known = small_history(LONG)
    # The seeds together: batches are so large that one by itself may be a seventh away.
    several = [len(small_history(replace(LONG, seed=seed)).events) for seed in range(10)]
    assert 0.9 * 3000 < sum(several) / len(several) < 1.1 * 3000
    assert {request.route for request in requests(known)} == set(IngestRoute)
    assert all(known.clients)


def test_every_event_is_sent_at_least_once_and_repeated_only_with_its_key() -> None:
    known = small_history(LONG)
    first = Counter(event.number for request in requests(known) if not request.repeats for event in request.events)
    assert first == dict.fromkeys(range(len(known.events)), 1)
    for request in requests(known):
        keyed = [event.idempotency_key is not None for event in request.events]
        assert all(keyed) or (request.hasty and not request.repeats)
    assert any(event.idempotency_key is None for event in known.events)


def test_no_two_events_happened_at_the_same_moment() -> None:
    times = [event.timestamp for event in small_history(LONG).events if event.timestamp is not None]
    assert len(set(times)) == len(times)


def test_without_the_faults_of_sending_events_are_sent_once_when_they_happen_and_in_order() -> None:
    known = small_history(CALM)
    assert not known.habits
    assert not any(request.repeats for request in requests(known))
    for client in known.clients:
        own = [event.timestamp for request in client for event in request.events if event.timestamp is not None]
        assert own == sorted(own)
        assert all(START <= each <= START + 11 * SECOND for each in own)


def test_with_them_events_are_late_held_back_and_repeated() -> None:
    known = small_history(LONG)
    assert set(known.habits) == {"duplicate", "reorder", "late"}
    late = [event for event in known.events if event.timestamp is not None and event.timestamp < START]
    assert len(late) > 0.05 * len(known.events)
    assert max(START - (event.timestamp or 0) for event in late) > 86_400 * SECOND
    swaps = sum(
        one.timestamp > other.timestamp
        for client in known.clients
        for one, other in pairwise(event for request in client for event in request.events)
        if one.timestamp is not None and other.timestamp is not None and min(one.timestamp, other.timestamp) > START
    )
    assert swaps > 100
    assert sum(len(request.events) for request in requests(known) if request.repeats) == known.habits["duplicate"]


def test_a_body_is_what_the_fact_is_held_against() -> None:
    for event in small_history(LONG).events:
        body = json.loads(json.dumps(event.body()))
        assert body["properties"] == event.properties
        assert repr(body["properties"]) == repr(event.properties)
        assert ("idempotency_key" in event.body(key=False)) is False


def test_some_participants_have_another_name_under_which_a_part_of_their_events_is_sent() -> None:
    names = dict(aliases.pairs(history.participants(LONG)))
    events = small_history(LONG).events
    assert 5 < len(names) < len(history.participants(LONG))
    assert not {*names.values()} & {*history.participants(LONG)}
    assert {event.sent_as for event in events} == {None, *names.values()}
    for event in events:
        assert event.sent_as in (None, names.get(event.participant_id))
        assert event.body()["participant_id"] == (event.sent_as or event.participant_id)


def test_the_game_is_a_good_one_that_uses_every_mechanic() -> None:
    checked = check(json.dumps(game.document(START, 60)))
    assert not checked.mistakes
    assert checked.game is not None
    unused = {kind for kind in type(checked.game).model_fields if not getattr(checked.game, kind)}
    assert unused == {"points_expire"}, "another currency expires: this one is spent"
    aggregates = {badge.criteria.aggregate for badge in checked.game.badges if badge.criteria is not None}
    assert aggregates == {"count", "sum", "max", "distinct", "days"}


@pytest.mark.parametrize("seconds", [4, 6, 60, 600])
@pytest.mark.parametrize("seed", range(5))
def test_every_fault_asked_for_strikes_within_the_time(seconds: float, seed: int) -> None:
    options = Options(seconds=seconds, rate=100, seed=seed)
    strikes = schedule.plan(options)
    assert {strike.kind for strike in strikes} == set(STRIKES)
    assert all(0 < strike.at < seconds for strike in strikes)
    assert all(0 < length <= 3 for strike in strikes for length in strike.lengths)
    pauses = [(strike.at, strike.at + strike.lengths[0]) for strike in strikes if strike.kind == "pause-stream"]
    kills = [strike.at for strike in strikes if strike.kind == "kill-server"]
    assert any(start < kill < end for start, end in pauses for kill in kills)


@pytest.mark.parametrize("fault", STRIKES)
def test_only_the_faults_asked_for_strike(fault: str) -> None:
    assert {strike.kind for strike in schedule.plan(replace(LONG, faults=(fault,)))} == {fault}
    assert schedule.plan(CALM) == []


def test_faults_are_named_with_commas_between() -> None:
    assert named(",".join(FAULTS)) == FAULTS
    assert ",".join(FAULTS) == chaos.FAULTS, "the command's default is all of them"
    told = {*named(chaos.FAULTS), *re.findall(r"[a-z]+-[a-z]+", chaos.MORE_FAULTS)}
    assert told == set(EVERY_FAULT), "--help names all of them"
    assert named(" late, kill-server ,late,") == ("kill-server", "late")
    assert named("") == ()
    with pytest.raises(ValueError, match="there is no fault earthquake: there are kill-server"):
        named("late,earthquake")


def test_the_page_tells_what_each_fault_does_that_is_not_struck_by_default() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "harness.md").read_text("utf-8"), re.MULTILINE)
    assert {each for each in rows if each in EVERY_FAULT} == set(EVERY_FAULT) - set(FAULTS)


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for wrong in ({"seconds": 1, "rate": 1}, {"seconds": 3600, "rate": 10_000}, {"clients": 0}, {"faults": ("x",)}):
        with pytest.raises(ValueError, match=r"there (are|can)|it takes"):
            Options(**wrong)
    (tmp_path / "data").mkdir()
    with pytest.raises(ValueError, match="is not empty"):
        Options(keep=tmp_path)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (202, '{"accepted": true, "message_id": "1-0"}', PostOutcome.ACKNOWLEDGED),
        (200, '{"accepted": true, "message_id": "1-0"}', PostOutcome.UNEXPECTED),
        (202, '{"accepted": true}', PostOutcome.UNEXPECTED),
        (202, "", PostOutcome.UNEXPECTED),
        (503, '{"code": "stream_unavailable"}', PostOutcome.UNAVAILABLE),
        (503, "<html>", PostOutcome.UNEXPECTED),
        (500, '{"code": "internal_error"}', PostOutcome.UNEXPECTED),
        (409, '{"code": "idempotency_conflict"}', PostOutcome.UNEXPECTED),
    ],
)
def test_an_acknowledgement_is_the_right_status_with_the_right_body(
    status: int, body: str, outcome: PostOutcome
) -> None:
    request = next(request for request in requests(small_history()) if request.route is IngestRoute.ASYNC)
    assert read_answer(request, status, body.encode()).outcome is outcome


def test_a_batch_is_acknowledged_only_as_a_whole() -> None:
    request = next(request for request in requests(small_history()) if request.route is IngestRoute.BATCH)
    ids = [f"1-{event.number}" for event in request.events]
    whole = json.dumps({"message_ids": ids}).encode()
    assert read_answer(request, 202, whole).ids == tuple(ids)
    part = json.dumps({"message_ids": ids[1:]}).encode()
    assert read_answer(request, 202, part).outcome is PostOutcome.UNEXPECTED
