"""Badges and the aggregates that earn them."""

from typing import Any

import pytest

from tests.game.support import Story, at


def badge(aggregate: str, target: float, of: str | None = None) -> str:
    more = f", of: {of}" if of else ""
    return f"badges: [{{code: b, name: B, criteria: {{on: e, aggregate: {aggregate}{more}, target: {target}}}}}]"


@pytest.mark.parametrize(
    ("document", "values", "earned_with"),
    [
        (badge("count", 3), [1, 1, 1], 3),
        (badge("sum", 0.3, "properties.x"), [0.1, 0.2], 2),
        (badge("sum", 10, "properties.x"), [8, -5, 6, 1], 4),
        (badge("max", 5, "properties.x"), [4.9, -7, 5], 3),
        (badge("distinct", 2, "properties.x"), [1, 1.0, "1"], 3),
        (badge("distinct", 2, "properties.x"), ["ü", "u\u0308"], 2),
        (badge("distinct", 2, "properties.x"), [[1, {"a": 2}], [1, {"a": 2.0}], None], 3),
    ],
)
def test_a_badge_is_earned_with_the_fact_that_reaches_its_target(
    document: str, values: list[Any], earned_with: int
) -> None:
    story = Story(document)
    for number, value in enumerate(values, 1):
        result = story.send("e", f"2026-04-01T00:00:{number:02}", {"x": value})
        assert [each.type for each in result.effects] == (["badge"] if number == earned_with else [])
    assert story.memory.cells("ada")["badge/b"]["at"] == at(f"2026-04-01T00:00:{earned_with:02}")
    assert story.differences() == []


def test_days_are_counted_once_each_in_utc() -> None:
    story = Story(badge("days", 2))
    story.send("e", "2026-04-01T00:00:00")
    story.send("e", "2026-04-01T23:59:59.999999")
    assert story.badges() == []
    story.send("e", "2026-04-02T00:00:00")
    assert story.badges() == ["b"]


def test_a_member_of_a_set_is_a_cell_of_its_own() -> None:
    story = Story(badge("distinct", 1_000_000, "properties.x"))
    for number in range(50):
        result = story.send("e", "2026-04-01", {"x": f"value {number}"})
    changed = result.cells["ada"]
    assert len(changed) == 2
    assert sum(len(str(cell)) for cell in changed.values()) < 200


def test_a_badge_by_hand_is_given_once() -> None:
    story = Story("badges: [{code: star, name: Star, rarity: epic}]")
    first = story.send("system.badge_awarded", "2026-04-01", {"badge_code": "star"})
    again = story.send("system.badge_awarded", "2026-04-02", {"badge_code": "star"})
    assert [effect.type for effect in first.effects] == ["badge"]
    assert again.effects == []
    assert story.memory.cells("ada")["badge/star"]["at"] == at("2026-04-01")


def test_a_badge_stays_when_a_late_fact_changes_the_story_and_verify_tells_it_apart() -> None:
    story = Story(badge("sum", 10, "properties.x"))
    story.send("e", "2026-04-02", {"x": 10})
    story.send("e", "2026-04-01", {"x": -1})
    assert story.badges() == ["b"]
    assert story.differences() == []
    assert story.kept() == ["badge/b"]


def test_verify_sees_an_edited_cell() -> None:
    story = Story(badge("count", 3))
    story.send("e", "2026-04-01")
    cells, facts = story.memory.cells("ada"), story.memory.facts("ada")
    cells["criteria/b"]["p"]["v"] = [2]
    from bq_server.game import verify

    assert [each.key for each in verify(story.memory.game, facts, cells).differences] == ["criteria/b"]


def test_conditions_see_the_whole_event() -> None:
    story = Story(
        """
badges:
  - code: b
    name: B
    criteria:
      on: e
      when: |
        event_name == "e" && participant_id.startsWith("a") && occurred_at.getHours() < 12 &&
        has(properties.list) && properties.list.exists(x, x == 2.0)
      target: 1
"""
    )
    story.send("e", "2026-04-01T13:00:00", {"list": [1, 2]})
    story.send("e", "2026-04-01T11:00:00", {"list": [1, 3]})
    story.send("e", "2026-04-01T11:00:00")
    assert story.badges() == []
    story.send("e", "2026-04-01T11:00:00", {"list": [1, 2]})
    assert story.badges() == ["b"]


def test_numbers_are_doubles_so_a_rule_works_for_whole_and_broken_amounts() -> None:
    story = Story('badges: [{code: b, name: B, criteria: {on: e, when: "properties.x * 2.0 > 5.0", target: 2}}]')
    result = story.send("e", "2026-04-01", {"x": 3})
    assert result.warnings == []
    story.send("e", "2026-04-01", {"x": 2.6})
    assert story.badges() == ["b"]
