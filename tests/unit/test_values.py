"""Small things with laws: moments, ids, fingerprints, names, payloads."""

import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from bq_server.events import Event, Scope
from bq_server.ids import IdSource
from bq_server.ingest.idempotency import fingerprint
from bq_server.ingest.validation import MOST_FAULTS, MOST_PATH_CHARACTERS, Limits, ValidEvent, check, single
from bq_server.moments import format_timestamp, is_duration, parse_timestamp
from bq_server.refusals import Refusal
from bq_server.store.similarity import are_close, form, plain, variants

moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
properties = st.dictionaries(text, json_values, max_size=5)
LIMITS = Limits(max_properties_bytes=1 << 20, max_nesting=32, max_batch_events=100)


@given(moments, zones)
def test_a_moment_is_the_same_in_every_zone(naive: datetime, zone: timezone) -> None:
    moment = naive.replace(tzinfo=UTC)
    assert parse_timestamp(moment.isoformat()) == parse_timestamp(moment.astimezone(zone).isoformat())
    assert parse_timestamp(naive.isoformat()) == parse_timestamp(moment.isoformat())


@given(moments)
def test_a_moment_survives_writing_and_reading(naive: datetime) -> None:
    written = format_timestamp(parse_timestamp(naive.isoformat()))
    assert datetime.fromisoformat(written) == naive.replace(tzinfo=UTC)
    assert written.endswith("Z")


@given(moments, moments)
def test_moments_sort_as_numbers(one: datetime, other: datetime) -> None:
    assert (one < other) == (parse_timestamp(one.isoformat()) < parse_timestamp(other.isoformat()))


@pytest.mark.parametrize(
    "text", ["P", "PT", "P1DT", "P1M", "P1Y", "-P1D", "P1D2W", "P.5D", "P1..2D", "1D", "P1d", "P\u0661D"]
)
def test_what_is_no_duration_of_fixed_length(text: str) -> None:
    assert not is_duration(text)


@given(st.from_regex(r"P([0-9]{1,3}W)?([0-9]{1,3}D)?(T([0-9]{1,4}H)?([0-9]{1,4}M)?([0-9]{1,4}S)?)?", fullmatch=True))
def test_a_duration_can_be_measured(text: str) -> None:
    if is_duration(text):
        assert TypeAdapter(timedelta).validate_python(text) >= timedelta(0)
    else:
        assert text == "P" or text.endswith("T")


@given(st.lists(st.integers(0, 3), max_size=50))
def test_ids_sort_by_when_they_were_made_even_when_the_clock_stands_or_steps_back(steps: list[int]) -> None:
    now = 1_700_000_000_000_000

    def clock() -> int:
        return now

    ids = IdSource(clock, random_bytes=lambda count: b"\xff" * count)
    made = []
    for step in steps:
        now += (step - 1) * 1000
        made.append(ids.new("evt"))
    assert made == sorted(set(made))
    assert all(len(name) == len("evt_") + 26 for name in made)


@given(text, text, properties, st.none() | st.integers(-(2**50), 2**50))
def test_a_payload_is_read_as_it_was_written(name: str, participant: str, sent: dict[str, Any], at: int | None) -> None:
    event = Event(
        "evt_1", Scope("p", "live"), name, participant, to_json(sent).decode(), at or 0, 2, name if at else None, None
    )
    assert Event.from_payload(event.to_payload(), "1-0") == event._replace(message_id="1-0")


@given(properties)
def test_valid_properties_are_kept_exactly(sent: dict[str, Any]) -> None:
    huge = any(isinstance(item, int) and item.bit_length() > 1023 for item in sent.values())
    found = check({"event_name": "e", "participant_id": "p", "properties": sent}, LIMITS)
    if not huge:
        assert isinstance(found, ValidEvent)
        assert from_json(found.properties) == sent


def shuffled(value: Any) -> Any:
    """The same JSON value, with members in another order and whole floats written as integers."""
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(value)}
    if isinstance(value, list):
        return [shuffled(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@given(properties)
def test_a_fingerprint_looks_through_writing(sent: dict[str, Any]) -> None:
    assert fingerprint("e", "p", sent, None) == fingerprint("e", "p", shuffled(sent), None)


@given(properties, properties)
def test_a_fingerprint_tells_different_events_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    alike = to_json(shuffled(one)) == to_json(shuffled(other)) or _canonical_equal(one, other)
    prints = [fingerprint("e", "p", sent, None) for sent in (one, other)]
    assert (prints[0] == prints[1]) == alike


def _canonical_equal(one: Any, other: Any) -> bool:
    """Equal as JSON values: like ==, but true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_canonical_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_canonical_equal, one, other))
    return bool(one == other)


@pytest.mark.parametrize(
    ("one", "other", "close"),
    [
        ("purchase_completed", "purchase_complete", True),
        ("purchase_completed", "purchaseCompleted", True),
        ("purchase_completed", "purchase.completed", True),
        ("purchase_completed", "purchase_compelted", True),
        ("purchase_completed", "purchase_completedd", True),
        ("page_view", "page_viewed", True),
        ("level_1_completed", "level_2_completed", False),
        ("login", "logout", False),
        ("a", "b", False),
        ("purchase_completed", "page_view", False),
    ],
)
def test_names_that_are_likely_one_are_close(one: str, other: str, close: bool) -> None:
    assert are_close(plain(one), plain(other)) is close
    assert are_close(plain(other), plain(one)) is close
    if close and form(plain(one)) != form(plain(other)):
        assert variants(form(plain(one))) & variants(form(plain(other))), "so that the index finds it"


def test_faults_cost_no_more_than_the_text_they_are_in() -> None:
    """A path that was copied for each value of a list took memory by the square of a body's length."""
    name = "k" * 100_000
    body = b'{"event_name":"a","participant_id":"p","properties":{"%s":[%s]}}' % (
        name.encode(),
        b",".join([b"NaN"] * 50_000),
    )
    tracemalloc.start()
    try:
        with pytest.raises(Refusal) as refused:
            single(body, LIMITS, None)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(refused.value.errors) == MOST_FAULTS
    assert all(len(error.field) <= MOST_PATH_CHARACTERS + len("...") for error in refused.value.errors)
    assert most < 20_000_000


def test_a_fault_is_named_by_its_path() -> None:
    body = b'{"event_name":"a","participant_id":"p","properties":{"a":{"":[{"c":NaN}]}},"extra":["\\u0000"]}'
    with pytest.raises(Refusal) as refused:
        single(body, LIMITS, None)
    assert [error.field for error in refused.value.errors] == ["properties.a..0.c", "extra.0"]
