"""Badges that are earned again, and badges with levels."""

from typing import Any

import pytest

from bq_server.game import read_badges
from bq_server.game.mechanics.counted_badges import MOST_AT_ONCE
from bq_server.game.read_models import BadgeState
from bq_server.game.rebuild import AwardHistory, rebuild, sound
from tests.game.support import Story, at
from tests.game.test_checking import mistakes

SPENDER = (
    "badges: [{code: b, name: B, repeatable: true, criteria: {on: e, aggregate: sum, of: properties.x, target: 10}}]"
)
LEVELS = "badges: [{code: b, name: B, criteria: {on: e, levels: [1, 3, 4]}}]"


def badge(story: Story) -> BadgeState:
    (found,) = read_badges(story.memory.game, story.memory.cells("ada"))
    return found


def held(story: Story) -> tuple[Any, ...]:
    found = badge(story)
    return found.count, found.progress


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_a_repeatable_badge_is_earned_at_each_multiple_whatever_the_order(order: tuple[int, ...]) -> None:
    story = Story(SPENDER)
    facts = [story.fact("e", f"2026-04-0{day}", {"x": x}) for day, x in enumerate((9, 25, -30, 1), 1)]
    for place in order:
        story.memory.process([facts[place]])
        assert story.differences() == []
    assert held(story) == (3, 0.5)
    assert story.kept() == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_one_fact_earns_it_so_often_and_no_oftener_however_large_it_is(order: tuple[int, ...]) -> None:
    story = Story(SPENDER)
    facts = [story.fact("e", "2026-04-01", {"x": 1e12}), story.fact("e", "2026-04-02", {"x": 25})]
    for place in order:
        story.memory.process([facts[place]])
    assert held(story) == (MOST_AT_ONCE + 2, 0.5)
    assert story.differences() == []


def test_one_fact_may_earn_it_several_times_and_each_has_its_cause() -> None:
    story = Story(SPENDER)
    result = story.send("e", "2026-04-01", {"x": 35})
    assert [(each.type, each.count, each.cause) for each in result.effects if each.type == "badge"] == [
        ("badge", 1, "criteria:badge/b"),
        ("badge", 2, "criteria:badge/b/2"),
        ("badge", 3, "criteria:badge/b/3"),
    ]
    assert badge(story).earned_at == at("2026-04-01")


def test_a_badge_rises_level_by_level_and_no_further() -> None:
    story = Story(LEVELS)
    seen = []
    for day in range(1, 7):
        story.send("e", f"2026-04-0{day}")
        seen.append(held(story))
    assert seen == [(1, 1 / 3), (1, 2 / 3), (2, 0.75), (3, 1.0), (3, 1.0), (3, 1.0)]
    assert badge(story).levels == [1, 3, 4]
    assert story.differences() == []


def test_an_amount_below_zero_does_not_count() -> None:
    story = Story(SPENDER)
    (explanation,) = story.send("e", "2026-04-01", {"x": -5}).explanations
    assert explanation.verdict == "condition_false"
    assert (explanation.value, explanation.target) == (0, 10)
    assert held(story) == (0, 0.0)


def test_a_badge_that_begins_to_be_counted_is_not_given_twice_for_the_same() -> None:
    once = SPENDER.replace("repeatable: true, ", "")
    story = Story(once)
    story.send("e", "2026-04-01", {"x": 15})
    assert held(story) == (None, 1.0)
    story.change(SPENDER)
    story.memory.refold(["badge/b"])
    assert held(story) == (1, 0.5)
    story.send("e", "2026-04-02", {"x": 5})
    assert held(story) == (2, 0.0)
    assert story.differences() == []
    story.change(once)
    story.memory.refold(["badge/b"])
    assert held(story) == (None, 1.0)
    assert story.differences() == []


def test_a_higher_target_takes_nothing_away() -> None:
    story = Story(SPENDER)
    story.send("e", "2026-04-01", {"x": 40})
    story.change(SPENDER.replace("target: 10", "target: 15"))
    story.memory.refold(["badge/b"])
    assert badge(story).count == 4
    assert story.differences() == []
    assert story.kept() == ["badge/b@count", "criteria/b@count"]
    story.send("e", "2026-04-02", {"x": 35})
    assert badge(story).count == 5


def test_a_count_that_is_too_small_is_found_and_rebuilt() -> None:
    story = Story(SPENDER)
    story.send("e", "2026-04-01", {"x": 40})
    memory, cells = story.memory, story.memory.cells("ada")
    broken = {**cells, "badge/b": {**cells["badge/b"], "n": 2}, "criteria/b": {**cells["criteria/b"], "n": 1}}
    facts = memory.facts("ada")
    rebuilt = rebuild(memory.game, facts, sound(memory.game, AwardHistory.of(facts), broken), [])
    assert rebuilt.cells == cells


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ("{on: e}", "1:39: error: badges[0].criteria: needs target or levels, one of them"),
        ("{on: e, target: 1, levels: [2]}", "1:39: error: badges[0].criteria: needs target or levels, one of them"),
        ("{on: e, levels: [2, 2]}", "1:39: error: badges[0].criteria: each of the levels must be above the one before"),
        ("{on: e, levels: [1.5]}", "1:39: error: badges[0].criteria: the levels of count must be whole numbers"),
        ("{on: e, levels: [0]}", "1:56: error: badges[0].criteria.levels[0]: should be greater than 0"),
        ("{on: e, levels: [2]}, repeatable: true", "1:10: error: badges[0]: give either repeatable or levels"),
        (
            "{on: e, aggregate: max, of: properties.x, target: 2}, repeatable: true",
            "1:10: error: badges[0]: a largest amount is reached once",
        ),
    ],
)
def test_a_mistake_has_its_place(criteria: str, expected: str) -> None:
    assert mistakes(f"badges: [{{code: b, name: B, criteria: {criteria}}}]")[0].startswith(expected)
