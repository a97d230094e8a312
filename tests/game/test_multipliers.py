"""Points that are multiplied at some times, for some participants or for some events."""

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


@pytest.mark.parametrize(
    ("multiplier", "points"),
    [
        ("{when: properties.x > 9.0, by: 2}", 19),
        ("{when: properties.x > 10.0, by: 2}", 9),
        ("{when: properties.x > 9.0, during: {on_days: [sat]}, by: 2}", 19),
        ("{when: properties.x > 9.0, during: {on_days: [sun]}, by: 2}", 9),
        ("{when: properties.x > 10.0, during: {on_days: [sat]}, by: 2}", 9),
        ("[{when: properties.x > 9.0, by: 1.1}, {during: {on_days: [sat]}, by: 1.1}]", 12),
        ("[{when: properties.x > 10.0, by: 1.1}, {during: {on_days: [sat]}, by: 2}]", 19),
        ("{when: has(properties.y) && properties.y, by: 2}", 9),
        # Its time comes first: what doesn't concern an event can't fail on it.
        ("{when: properties.y, during: {on_days: [sun]}, by: 2}", 9),
    ],
)
def test_a_multiplier_with_a_condition(multiplier: str, points: int) -> None:
    story = Story(RULE % multiplier)
    assert story.send("e", "2026-04-04", {"x": 9.99}).warnings == []
    assert story.points() == points
    assert story.differences() == []


BY_TIER = """
points:
  - code: p
    on: e
    award: properties.x
    limit: {times: 9, per: day}
    multiplier: {when: participant.tier == "gold", by: 2}
  - {code: q, on: e, award: 1, multiplier: {when: participant.attributes.team == "red", by: 3}}
tiers: [{code: gold, name: Gold, level: 1, min_points: 100}]
"""


def test_multipliers_by_tier_and_attribute_see_what_held_at_the_event() -> None:
    story = Story(BY_TIER)
    story.send("system.attributes_changed", "2026-04-01", {"attributes": {"team": "red"}})
    story.send("e", "2026-04-02T10:00", {"x": 97})
    assert story.points() == 100
    story.send("e", "2026-04-02T12:00", {"x": 10})
    assert story.points() == 123
    story.send("system.attributes_changed", "2026-04-02T13:00", {"attributes": {"team": "blue"}})
    story.send("e", "2026-04-02T14:00", {"x": 10})
    assert story.points() == 144
    assert (story.differences(), story.kept()) == ([], [])


def test_gold_that_turns_out_to_have_come_earlier_pays_what_is_due_from_then_on() -> None:
    story = Story(BY_TIER.replace('participant.attributes.team == "red"', "properties.x > 1.0"))
    story.send("e", "2026-04-02T12:00", {"x": 10})
    story.send("system.points_awarded", "2026-04-02T09:00", {"amount": 100})
    assert story.points() == 113, "what was paid stays"
    story.send("e", "2026-04-02T13:00", {"x": 10})
    assert story.points() == 136
    assert story.differences() == []


def test_a_condition_that_fails_pays_nothing_and_warns_and_the_mended_rule_pays() -> None:
    story = Story(RULE % "{when: properties.y, by: 2}")
    result = story.send("e", "2026-04-04", {"x": 5})
    assert (story.points(), [each.message for each in result.warnings]) == (0, ["the event has no property y"])
    assert [each.verdict for each in result.explanations] == ["expression_error"]
    story.change(RULE % "{when: has(properties.y) && properties.y, by: 2}")
    story.memory.refold(["points/p"])
    assert (story.points(), story.differences()) == (5, [])


def test_a_product_beyond_all_bounds_pays_nothing_and_warns() -> None:
    story = Story(RULE % "{during: {on_days: [sat]}, by: 1000}")
    result = story.send("e", "2026-04-04", {"x": 2_000_000})
    assert story.points() == 0
    assert [each.message for each in result.warnings] == ["the multiplied formula gave more than 1,000,000,000 points"]


@pytest.mark.parametrize(
    ("multiplier", "message"),
    [
        ("{during: {}, by: 2}", "give starts_at, ends_at or on_days"),
        ("{by: 2}", "give during or when"),
        ("{when: 'properties.x >', by: 2}", "CEL: the expression ends too early"),
        ("{when: 'participant.tier == \"glod\"', by: 2}", "there is no tier glod"),
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
