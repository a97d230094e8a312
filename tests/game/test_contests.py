"""Contests: who entered has a score of what happened between the dates, and a place once facts give one."""

from itertools import permutations
from typing import Any

import pytest

from bq_server.game import check
from tests.game.support import Story, at

GAME = """
badges: [{code: gold, name: Gold, revocable: true}]
contests:
  - code: k
    name: K
    starts_at: 2026-04-01T00:00:00Z
    ends_at: 2026-04-03T00:00:00Z
    scoring: {on: a, aggregate: sum, of: properties.x}
  - code: other
    name: Other
    starts_at: 2026-04-01T00:00:00Z
    ends_at: 2026-04-05T00:00:00Z
    scoring: {on: [a, b]}
"""
ENTERED = {"contest_code": "k"}


def score(story: Story, code: str = "k") -> tuple[int, int | None] | None:
    cell = story.memory.cells("ada").get(f"contest/{code}")
    return None if cell is None else (cell["score"], cell["at"])


def test_the_dates_hold_their_first_moment_and_not_their_last() -> None:
    story = Story(GAME)
    story.send("system.contest_entered", "2026-03-01", ENTERED)
    first, last = "2026-04-01T00:00:00", "2026-04-02T23:59:59.999999"
    for when in ("2026-03-31T23:59:59.999999", first, last, "2026-04-03T00:00:00"):
        story.send("a", when, {"x": 1})
    assert score(story) == (2_000_000, at(last))
    assert score(story, "other") is None
    assert story.differences() == []


@pytest.mark.parametrize(("when", "counts"), [("2026-04-02T23:59:59.999999", True), ("2026-04-03T00:00:00", False)])
def test_an_entry_comes_before_the_end(when: str, counts: bool) -> None:
    story = Story(GAME)
    story.send("a", "2026-04-01", {"x": 1})
    story.send("system.contest_entered", when, ENTERED)
    assert (score(story) is not None) is counts


def test_an_entry_starts_at_nothing_and_nothing_moves_it() -> None:
    story = Story(GAME)
    story.send("system.contest_entered", "2026-04-01", ENTERED)
    story.send("a", "2026-04-01", {"x": 0})
    assert score(story) == (0, None)
    story.send("a", "2026-04-02", {"x": 3})
    story.send("a", "2026-04-01", {"x": -3})
    assert score(story) == (0, at("2026-04-02"))


def test_any_order_comes_to_the_same() -> None:
    facts: list[tuple[str, str, dict[str, Any]]] = [
        ("a", "2026-04-01T01:00:00", {"x": 2}),
        ("system.contest_entered", "2026-04-01T02:00:00", ENTERED),
        ("a", "2026-04-01T03:00:00", {"x": 5}),
        ("system.contest_entered", "2026-04-01T04:00:00", ENTERED),
    ]
    for order in permutations(facts):
        story = Story(GAME)
        for name, when, properties in order:
            story.send(name, when, properties)
        assert score(story) == (7_000_000, at("2026-04-01T03:00:00"))
        assert story.memory.cells("ada")["contest/k"]["e"][0] == at("2026-04-01T02:00:00")
        assert story.differences() == []


def test_each_contest_is_entered_by_itself() -> None:
    story = Story(GAME)
    story.send("a", "2026-04-01", {"x": 2})
    story.send("b", "2026-04-04", {"x": 2})
    story.send("system.contest_entered", "2026-04-01", {"contest_code": "other"})
    assert (score(story), score(story, "other")) == (None, (2, at("2026-04-04")))


def test_a_place_is_what_its_fact_says_and_pays_its_prize_once() -> None:
    story = Story(GAME)
    told = {"contest_code": "k", "rank": 2, "score": 1.5, "reached_at": 7, "points": 30, "badge": "gold"}
    story.send("system.contest_placed", "2026-04-03", told)
    place = story.memory.cells("ada")["placed/k"]
    assert (place["rank"], place["score"], place["at"]) == (2, 1.5, 7)
    assert (story.points(), story.badges()) == (30, ["gold"])
    story.memory.refold(story.memory.game.rules)
    assert (story.points(), story.badges(), story.differences()) == (30, ["gold"], [])
    story.send("system.fact_voided", "2026-04-04", {"fact_id": "f1"})
    assert "placed/k" not in story.memory.cells("ada")
    assert (story.points(), story.badges(), story.differences()) == (0, [], [])


def test_a_badge_that_was_won_and_given_is_lost_with_both() -> None:
    story = Story(GAME)
    story.send("system.badge_awarded", "2026-04-01", {"badge_code": "gold"})
    story.send(
        "system.contest_placed", "2026-04-03", {**ENTERED, "rank": 1, "score": 1, "reached_at": 7, "badge": "gold"}
    )
    story.send("system.fact_voided", "2026-04-04", {"fact_id": "f1"})
    assert (story.badges(), story.differences()) == (["gold"], [])
    story.send("system.fact_voided", "2026-04-04", {"fact_id": "f2"})
    assert (story.badges(), story.differences()) == ([], [])


def test_a_void_entry_leaves_no_score_and_another_brings_it_back() -> None:
    story = Story(GAME)
    story.send("system.contest_entered", "2026-04-01", ENTERED)
    story.send("a", "2026-04-01", {"x": 2})
    story.send("system.fact_voided", "2026-04-02", {"fact_id": "f1"})
    assert score(story) is None
    story.send("system.contest_entered", "2026-04-02", ENTERED)
    assert score(story) == (2_000_000, at("2026-04-01"))
    assert story.differences() == []


def test_a_mistake_in_the_document_has_its_place() -> None:
    text = GAME + "    prizes: [{rank_from: 1, rank_to: 1, badge: silver}]\n"
    (mistake,) = check(text).mistakes
    assert str(mistake).startswith("14:48:")
    assert "contests[1].prizes[0].badge: there is no badge silver" in str(mistake)
    typos = check(GAME.replace("scoring: {on: a", "scorin: {on: a")).errors
    assert any("did you mean scoring?" in str(typo) for typo in typos)
