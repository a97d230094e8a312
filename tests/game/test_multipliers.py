"""Points that are multiplied at some times."""

import pytest

from bq_server.game import check
from bq_server.game.on_time import FactReading
from tests.game.support import Story

RULE = "points: [{code: p, on: e, award: properties.x, multiplier: %s}]"


@pytest.mark.parametrize(
    ("multiplier", "when", "points"),
    [
        ("{during: {on_days: [sat]}, by: 2}", "2026-04-04T00:00", 19),
        ("{during: {on_days: [sat]}, by: 2}", "2026-04-03T23:59", 9),
        ("{during: {on_days: [sat], timezone: Asia/Tokyo}, by: 2}", "2026-04-03T15:00", 19),
        ("{during: {starts_at: 2026-04-04, ends_at: 2026-04-05}, by: 0.5}", "2026-04-04T00:00", 4),
        ("{during: {starts_at: 2026-04-04, ends_at: 2026-04-05}, by: 0.5}", "2026-04-05T00:00", 9),
        ("[{during: {on_days: [sat]}, by: 1.1}, {during: {on_days: [sat]}, by: 1.1}]", "2026-04-04T00:00", 12),
    ],
)
def test_what_a_fact_is_paid(multiplier: str, when: str, points: int) -> None:
    story = Story(RULE % multiplier)
    story.send("e", when, {"x": 9.99})
    assert story.points() == points
    assert story.differences() == []


def test_a_product_beyond_all_bounds_pays_nothing_and_warns() -> None:
    story = Story(RULE % "{during: {on_days: [sat]}, by: 1000}")
    result = story.send("e", "2026-04-04", {"x": 2_000_000})
    assert story.points() == 0
    assert [each.message for each in result.warnings] == ["the multiplied formula gave more than 1,000,000,000 points"]


@pytest.mark.parametrize(
    ("multiplier", "message"),
    [
        ("{during: {}, by: 2}", "give starts_at, ends_at or on_days"),
        ("{during: {starts_at: 2026-04-05, ends_at: 2026-04-04}, by: 2}", "starts_at must be before ends_at"),
        ("{during: {on_days: [sat]}, by: 0}", "should be greater than 0"),
        ("{during: {on_days: [sat], timezone: Mars}, by: 2}", "must be an IANA time zone such as Europe/Paris"),
    ],
)
def test_mistakes_are_found(multiplier: str, message: str) -> None:
    (mistake,) = check(RULE % multiplier).mistakes
    assert mistake.message == message
    assert mistake.line == 1
    assert mistake.path.startswith("points[0].multiplier")


def test_the_on_time_path_multiplies_too() -> None:
    story = Story(RULE % "{during: {on_days: [sat]}, by: 2}")
    reading = story.memory.game.tracks.read(story.fact("e", "2026-04-04", {"x": 3}), {})
    assert isinstance(reading, FactReading)
    assert reading.parts[0][1] == [(0, 6)]
