"""Leaderboards: windows, scores, and who reached them first."""

from typing import Any

import pytest

from bq_server.game import BoardScore
from tests.game.support import Story, at


def board(metric: str, window: str = "all_time") -> str:
    return f"leaderboards: [{{code: l, name: L, metric: {metric}, window: {window}}}]"


def reached(story: Story, period: str = "all_time/all_time") -> Any:
    cell = story.memory.cells("ada")[f"score/l/{period}"]
    return cell["score"], cell["at"]


@pytest.mark.parametrize(
    ("window", "moments", "periods"),
    [
        ("daily", ["2026-04-01T23:59:59.999999", "2026-04-02"], ["2026-04-01", "2026-04-02"]),
        ("weekly", ["2026-04-05T23:59:59", "2026-04-06"], ["2026-W14", "2026-W15"]),
        ("weekly", ["2027-01-03", "2027-01-04"], ["2026-W53", "2027-W01"]),
        ("monthly", ["2024-02-29T23:59:59", "2024-03-01"], ["2024-02", "2024-03"]),
        ("yearly", ["2026-12-31T23:59:59", "2027-01-01"], ["2026", "2027"]),
    ],
)
def test_windows_in_utc(window: str, moments: list[str], periods: list[str]) -> None:
    story = Story(board("{on: e}", window))
    for moment in moments:
        story.send("e", moment)
    assert sorted(key for key in story.memory.cells("ada")) == [f"score/l/{window}/{period}" for period in periods]


@pytest.mark.parametrize(
    ("metric", "values", "score", "when"),
    [
        ("{on: e}", [1, 1, 1], 3, "2026-04-03"),
        ("{on: e, aggregate: sum, of: properties.x}", [5, 2, 0], 7_000_000, "2026-04-02"),
        ("{on: e, aggregate: sum, of: properties.x}", [5, -2, 2], 5_000_000, "2026-04-03"),
        ("{on: e, aggregate: max, of: properties.x}", [5, 7, 7], 7_000_000, "2026-04-02"),
        ("{on: e, aggregate: max, of: properties.x}", [-5, -7, -7], -5_000_000, "2026-04-01"),
        ("{on: e, aggregate: distinct, of: properties.x}", [5, 7, 5], 2, "2026-04-02"),
        ("{on: e, aggregate: days}", [1, 1, 1], 3, "2026-04-03"),
    ],
)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_a_score_and_when_it_was_reached_do_not_depend_on_arrival(
    metric: str, values: list[int], score: int, when: str, order: tuple[int, ...]
) -> None:
    story = Story(board(metric))
    facts = [story.fact("e", f"2026-04-0{day}", {"x": value}) for day, value in enumerate(values, 1)]
    for place in order:
        story.memory.process([facts[place]])
    assert reached(story) == (score, at(when))
    assert story.differences() == []


def test_a_value_that_turns_out_older_is_remembered_as_older() -> None:
    story = Story(board("{on: e, aggregate: distinct, of: properties.x}"))
    for value, day in ((5, 4), (7, 6), (5, 2), (7, 1), (9, 3)):
        story.send("e", f"2026-04-0{day}", {"x": value})
        assert story.differences() == []
    assert reached(story) == (3, at("2026-04-03"))


def test_the_points_metric_follows_points_earned_in_the_window_and_no_spending() -> None:
    story = Story("points: [{code: p, on: e, award: 10}]\n" + board("points", "[daily, all_time]"))
    story.send("e", "2026-04-01")
    story.send("e", "2026-04-02")
    result = story.send("system.points_deducted", "2026-04-02T01:00:00", {"amount": 15})
    assert [effect.type for effect in result.effects] == ["points"]
    assert reached(story) == (20, at("2026-04-02"))
    assert reached(story, "daily/2026-04-01") == (10, at("2026-04-01"))
    assert story.differences() == []


def test_standings_are_what_an_index_needs() -> None:
    story = Story(board("{on: e, aggregate: sum, of: properties.x}", "weekly"))
    result = story.send("e", "2026-04-10", {"x": 2.5})
    assert list(result.standings) == [BoardScore("ada", "leaderboard/l", "weekly", "2026-W15", 2.5, at("2026-04-10"))]


def test_a_challenge_ranks_its_cohort_by_progress() -> None:
    story = Story("challenges: [{code: c, name: C, objectives: [{code: o, on: e, target: 4}]}]")
    result = story.send("e", "2026-04-10")
    assert list(result.standings) == [BoardScore("ada", "challenge/c", "all_time", "all_time", 0.25, at("2026-04-10"))]


def test_a_changed_board_is_scored_anew_and_old_windows_go() -> None:
    story = Story("points: [{code: p, on: e, award: 10}]\n" + board("points", "daily"))
    story.send("e", "2026-04-01")
    story.send("e", "2026-04-02")
    story.change("points: [{code: p, on: e, award: 10}]\n" + board("points", "weekly"))
    result = story.memory.refold(["leaderboard/l"])
    assert {each.period: each.score for each in result.standings} == {
        "2026-04-01": None,
        "2026-04-02": None,
        "2026-W14": 20,
    }
    assert story.differences() == []


def test_a_participants_batch_scores_each_on_their_own() -> None:
    story = Story(board("{on: e}"))
    story.memory.process([story.fact("e", "2026-04-01", who=who) for who in ("ada", "bob", "ada")])
    assert (story.score("l/all_time/all_time"), story.score("l/all_time/all_time", "bob")) == (2, 1)
