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
    assert list(result.board_scores) == [
        BoardScore("ada", "leaderboard/l", "weekly", "2026-W15", 2.5, at("2026-04-10"))
    ]


def test_a_challenge_ranks_its_cohort_by_progress() -> None:
    story = Story("challenges: [{code: c, name: C, objectives: [{code: o, on: e, target: 4}]}]")
    result = story.send("e", "2026-04-10")
    assert list(result.board_scores) == [
        BoardScore("ada", "challenge/c", "all_time", "all_time", 0.25, at("2026-04-10"))
    ]


def test_a_changed_board_is_scored_anew_and_old_windows_go() -> None:
    story = Story("points: [{code: p, on: e, award: 10}]\n" + board("points", "daily"))
    story.send("e", "2026-04-01")
    story.send("e", "2026-04-02")
    story.change("points: [{code: p, on: e, award: 10}]\n" + board("points", "weekly"))
    result = story.memory.refold(["leaderboard/l"])
    assert {each.period: each.score for each in result.board_scores} == {
        "2026-04-01": None,
        "2026-04-02": None,
        "2026-W14": 20,
    }
    assert story.differences() == []


def test_a_participants_batch_scores_each_on_their_own() -> None:
    story = Story(board("{on: e}"))
    story.memory.process([story.fact("e", "2026-04-01", who=who) for who in ("ada", "bob", "ada")])
    assert (story.score("l/all_time/all_time"), story.score("l/all_time/all_time", "bob")) == (2, 1)


SEASONS = (
    "[{type: season, starts_at: 2026-03-01T00:00:00Z, ends_at: 2026-04-01T00:00:00Z}, "
    "{type: season, starts_at: 2026-04-10T00:00:00Z, ends_at: 2026-05-01T00:00:00Z}, monthly]"
)


def test_a_season_holds_its_start_and_not_its_end() -> None:
    story = Story(board("{on: e}", SEASONS))
    told = {
        moment: {effect.period for effect in story.send("e", moment).effects if effect.type == "leaderboard"}
        for moment in ("2026-02-28T23:59:59", "2026-03-01", "2026-03-31T23:59:59.999999", "2026-04-01", "2026-04-10")
    }
    assert list(told.values()) == [
        {"2026-02"},
        {"2026-03", "2026-03-01T00:00:00Z"},
        {"2026-03", "2026-03-01T00:00:00Z"},
        {"2026-04"},
        {"2026-04", "2026-04-10T00:00:00Z"},
    ]
    assert story.differences() == []


def test_a_fact_between_seasons_is_outside_all_windows() -> None:
    story = Story(board("{on: e}", SEASONS.replace(", monthly", "")))
    verdicts = [story.send("e", day).explanations[0].verdict for day in ("2026-03-31", "2026-04-01", "2026-05-01")]
    assert verdicts == ["matched", "outside_window", "outside_window"]


def test_days_begin_at_midnight_in_the_zone_of_the_leaderboard() -> None:
    story = Story(board("{on: e}", "[daily, yearly], timezone: Asia/Tokyo"))
    for moment in ("2026-12-31T14:59:59", "2026-12-31T15:00:00"):
        story.send("e", moment)
    assert {key.rpartition("/")[2] for key in story.memory.cells("ada")} == {"2026-12-31", "2026", "2027-01-01", "2027"}
    assert story.differences() == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
@pytest.mark.parametrize(
    ("values", "score", "when"),
    [([7, 5, 5], 5, "2026-04-02"), ([5, 7, 5], 5, "2026-04-01"), ([3, 2, -1], -1, "2026-04-03")],
)
def test_a_minimum_is_reached_by_the_first_fact_that_had_it(
    values: list[int], score: int, when: str, order: tuple[int, ...]
) -> None:
    story = Story(board("{on: e, aggregate: min, of: properties.x}"))
    facts = [story.fact("e", f"2026-04-0{day}", {"x": value}) for day, value in enumerate(values, 1)]
    for place in order:
        story.memory.process([facts[place]])
    assert reached(story) == (score * 1_000_000, at(when))
    assert story.differences() == []


def test_the_lowest_first_turns_what_the_index_sorts_by_and_nothing_else() -> None:
    story = Story(board("{on: e, aggregate: min, of: properties.x}", "all_time, order: ascending"))
    result = story.send("e", "2026-04-10", {"x": 2.5})
    assert list(result.board_scores) == [
        BoardScore("ada", "leaderboard/l", "all_time", "all_time", -2.5, at("2026-04-10"))
    ]
    (effect,) = result.effects
    assert effect.type == "leaderboard"
    assert effect.score == 2.5


def test_what_the_document_says_by_default_leaves_scores_of_before_as_they_are() -> None:
    story = Story(board("{on: e}"))
    story.send("e", "2026-04-01")
    before = story.memory.cells("ada")["score/l/all_time/all_time"]["rev"]
    for options, same in (
        ("all_time, timezone: UTC, order: descending, tie: shared", True),
        ("all_time, timezone: Asia/Tokyo", False),
        ("all_time, order: ascending", False),
    ):
        story.change(board("{on: e}", options))
        story.send("e", "2026-04-02")
        assert (story.memory.cells("ada")["score/l/all_time/all_time"]["rev"] == before) is same
        assert story.differences() == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_newest_fact_says_whether_a_participant_is_hidden_whichever_comes_last(order: tuple[int, ...]) -> None:
    story = Story(board("{on: e}"))
    told = [
        story.fact("system.visibility_changed", f"2026-04-0{day}", {"hidden": hidden})
        for day, hidden in ((1, True), (2, False), (3, True))
    ]
    for place in order:
        story.memory.process([told[place]])
    assert story.memory.cells("ada")["hidden"][-1] == [at("2026-04-03"), 3, True]
    assert story.differences() == []
