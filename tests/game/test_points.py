"""Points rules, the ledger, tiers."""

from typing import Any

import pytest

from bq_server.game import read_points, read_tier
from tests.game.support import Story

RULE = """
points:
  - {code: spend, on: purchase, when: properties.currency == "USD", award: properties.amount}
tiers:
  - {code: bronze, name: Bronze, level: 1, min_points: 0}
  - {code: silver, name: Silver, level: 2, min_points: 100}
  - {code: gold, name: Gold, level: 3, min_points: 1000}
"""


def buy(story: Story, amount: Any, when: str = "2026-04-01") -> Any:
    return story.send("purchase", when, {"amount": amount, "currency": "USD"})


def test_a_matching_event_gives_points_and_fractions_round_down() -> None:
    story = Story(RULE)
    result = buy(story, 49.99)
    assert story.points() == 49
    (entry,) = story.memory.ledger("ada")
    assert (entry.cause, entry.amount) == ("points:spend:f1", 49)
    assert [effect.type for effect in result.effects] == ["points", "tier"]


def test_an_event_that_does_not_match_gives_none_and_says_why() -> None:
    story = Story(RULE)
    result = story.send("purchase", "2026-04-01", {"amount": 10, "currency": "EUR"})
    assert story.points() == 0
    assert [each.verdict for each in result.explanations] == ["condition_false"]
    assert not result.effects
    assert not result.warnings


@pytest.mark.parametrize("amount", [-1, "ten", None, True, 1e300, [1]])
def test_an_award_that_is_no_amount_of_points_is_a_warning_and_no_award(amount: Any) -> None:
    story = Story(RULE)
    result = buy(story, amount)
    assert story.points() == 0
    assert [(each.definition, each.fact_id, each.count) for each in result.warnings] == [("points/spend", "f1", 1)]
    assert [each.verdict for each in result.explanations] == ["expression_error"]


def test_a_missing_property_is_a_warning_that_names_it() -> None:
    story = Story(RULE)
    (warning,) = story.send("purchase", "2026-04-01", {"amount": 1}).warnings
    assert warning.message == "the event has no property currency"


def test_a_batch_counts_its_warnings() -> None:
    story = Story(RULE)
    facts = [story.fact("purchase", "2026-04-01", {"amount": 1}) for _ in range(3)]
    (warning,) = story.memory.process(facts).warnings
    assert (warning.fact_id, warning.count) == ("f1", 3)


def test_the_same_fact_twice_counts_once_within_a_batch_and_across() -> None:
    story = Story(RULE)
    fact = story.fact("purchase", "2026-04-01", {"amount": 5, "currency": "USD"})
    story.memory.process([fact, fact])
    story.memory.process([fact])
    assert story.points() == 5


def test_points_by_hand_and_their_deduction() -> None:
    story = Story(RULE)
    story.send("system.points_awarded", "2026-04-01", {"amount": 120, "reason": "welcome"})
    story.send("system.points_deducted", "2026-04-02", {"amount": 50})
    points = read_points(story.memory.game, story.memory.cells("ada"))
    assert (points.balance, points.total_earned, points.total_spent) == (70, 120, 50)
    assert [entry.cause for entry in story.memory.ledger("ada")] == ["manual:f1", "manual:f2"]
    assert story.differences() == []


def test_a_system_fact_of_the_wrong_shape_is_a_warning() -> None:
    story = Story(RULE)
    (warning,) = story.send("system.points_awarded", "2026-04-01", {"amount": -5}).warnings
    assert warning.definition == "system.points_awarded"
    assert story.points() == 0


def test_tiers_go_by_lifetime_points_and_never_fall() -> None:
    story = Story(RULE)
    (change,) = [each for each in buy(story, 150).effects if each.type == "tier"]
    assert (change.code, change.previous_code) == ("silver", None)
    assert [each.type for each in buy(story, 1).effects] == ["points"]
    story.send("system.points_deducted", "2026-04-02", {"amount": 151})
    state = read_tier(story.memory.game, story.memory.cells("ada"))
    assert state.current_tier is not None
    assert state.current_tier.code == "silver"
    assert state.next_tier is not None
    assert (state.next_tier.code, state.next_tier.points_remaining) == ("gold", 849)
    assert [held.code for held in state.tier_history] == ["bronze", "silver"]


def test_who_has_no_points_is_in_the_tier_that_takes_none() -> None:
    state = read_tier(Story(RULE).memory.game, {})
    assert state.current_tier is not None
    assert (state.current_tier.code, state.current_tier.achieved_at) == ("bronze", None)


def test_a_rule_counts_only_facts_since_it_was_applied_and_within_its_bounds() -> None:
    document = "points: [{code: p, on: e, award: 1, starts_at: 2026-04-02, ends_at: 2026-04-03}]"
    story = Story(document, {"points/p": 1})
    for when in ("2026-04-02", "2026-04-01T23:59:59.999999", "2026-04-02", "2026-04-03"):
        story.send("e", when)
    assert story.points() == 1
    assert [entry.cause for entry in story.memory.ledger("ada")] == ["points:p:f3"]


def test_a_changed_rule_pays_the_past_once_when_asked_to() -> None:
    story = Story("points: [{code: p, on: a, award: 1}]")
    story.send("a", "2026-04-01")
    story.send("b", "2026-04-01")
    story.change("points: [{code: p, on: [a, b], award: 10}]")
    story.memory.refold(["points/p"])
    story.memory.refold(["points/p"])
    assert [(entry.cause, entry.amount) for entry in story.memory.ledger("ada")] == [
        ("points:p:f1", 1),
        ("points:p:f2", 10),
    ]
    assert story.differences() == []
    assert story.kept() == ["ledger/points:p:f1"]
