"""Leaderboards of teams in the game itself: whom an event counts for."""

from typing import Any

import pytest

from bq_server.game import check
from bq_server.game.effects import LeaderboardScored
from bq_server.game.plain_english.explanation import explain
from bq_server.game.state.keys import team_score
from tests.game.support import Story

GAME = """
points: [{code: run, on: run, award: 10}]
badges: [{code: keen, name: Keen, criteria: {on: join, target: 1}}]
leaderboards:
  - code: km
    name: Km
    metric: {on: run, aggregate: sum, of: properties.km}
    group_by: attributes.team
    window: [daily, all_time]
  - {code: spots, name: Spots, metric: {on: run, aggregate: distinct, of: properties.at}, group_by: attributes.team}
  - {code: pts, name: Points, metric: points, group_by: attributes.team, combine: best}
"""


def team(story: Story, name: Any, when: str) -> None:
    story.send("system.attributes_changed", when, {"attributes": {"team": name}})


def run(story: Story, when: str, km: float = 2, at: str = "park") -> Any:
    return story.send("run", when, {"km": km, "at": at})


def scores(story: Story, code: str, period: str = "all_time", who: str = "ada") -> dict[str, int]:
    found = story.memory.cells(who).items()
    prefix = f"team/{code}/{'all_time' if period == 'all_time' else 'daily'}/{period}/"
    return {cell["team"]: cell["score"] for key, cell in found if key.startswith(prefix)}


def test_a_score_is_the_teams_of_that_time_whenever_the_event_arrives() -> None:
    story = Story(GAME)
    team(story, "red", "2026-04-01T08:00")
    run(story, "2026-04-01T09:00", 2)
    team(story, "blue", "2026-04-01T10:00")
    run(story, "2026-04-01T11:00", 3)
    run(story, "2026-04-01T09:30", 0.5)
    assert scores(story, "km") == {"red": 2_500_000, "blue": 3_000_000}
    assert scores(story, "km", "2026-04-01") == scores(story, "km")
    assert scores(story, "spots") == {"red": 1, "blue": 1}
    assert scores(story, "pts") == {"red": 20, "blue": 10}
    assert story.differences() == []


def test_a_change_of_team_counts_from_its_own_moment_on_and_not_from_the_next_event() -> None:
    story = Story(GAME)
    same = "2026-04-01T08:00"
    run(story, same)
    team(story, "red", same)
    run(story, same)
    assert scores(story, "km") == {"red": 2_000_000}
    assert scores(story, "pts") == {"red": 10}


def test_an_attribute_that_was_set_earlier_after_all_moves_what_was_scored_since() -> None:
    story = Story(GAME)
    run(story, "2026-04-01T09:00", 1)
    team(story, "red", "2026-04-01T10:00")
    run(story, "2026-04-01T11:00", 2, "lake")
    before = story.points()
    team(story, "blue", "2026-04-01T08:00")
    assert scores(story, "km") == {"blue": 1_000_000, "red": 2_000_000}
    assert scores(story, "spots") == {"blue": 1, "red": 1}
    assert scores(story, "pts") == {"blue": 10, "red": 10}
    assert story.points() == before
    team(story, "green", "2026-04-01T10:30")
    assert scores(story, "km") == {"blue": 1_000_000, "green": 2_000_000}
    assert scores(story, "pts") == {"blue": 10, "green": 10}
    assert story.differences() == []


def test_scores_by_points_alone_follow_the_team_too() -> None:
    story = Story("""
points: [{code: run, on: run, award: 10}]
leaderboards: [{code: pts, name: Points, metric: points, group_by: attributes.team}]
""")
    run(story, "2026-04-01T09:00")
    team(story, "blue", "2026-04-01T08:00")
    assert scores(story, "pts") == {"blue": 10}
    story.send("system.fact_voided", "2026-04-01T10:00", {"fact_id": "f2"})
    assert scores(story, "pts") == {}
    assert story.differences() == []


def test_another_attribute_moves_nothing_and_reads_nothing() -> None:
    story = Story(GAME)
    team(story, "red", "2026-04-01T08:00")
    run(story, "2026-04-01T09:00")
    asked = story.memory.requests
    story.send("system.attributes_changed", "2026-04-01T07:00", {"attributes": {"shoe": 9}})
    assert (scores(story, "pts"), story.memory.requests) == ({"red": 10}, asked)


@pytest.mark.parametrize("name", [None, "", 7, True, ["red"], {"city": "Rome"}, "x" * 256, "a\nb", "\x00"])
def test_what_is_no_name_is_no_team(name: Any) -> None:
    story = Story(GAME)
    team(story, name, "2026-04-01T08:00")
    result = run(story, "2026-04-01T09:00")
    told = {each.definition: (each.verdict, each.message) for each in result.explanations}
    assert told["leaderboard/km"] == ("no_team", "there was no team in the attribute team")
    assert [scores(story, code) for code in ("km", "spots", "pts")] == [{}, {}, {}]
    assert result.warnings == []
    assert story.differences() == []


@pytest.mark.parametrize("name", ["a/b", "x" * 255, "été 5b", " "])
def test_any_other_text_is_a_team(name: str) -> None:
    story = Story(GAME)
    team(story, name, "2026-04-01T08:00")
    result = run(story, "2026-04-01T09:00")
    assert scores(story, "km") == {name: 2_000_000}
    assert team_score("km", "all_time", "all_time", name) in story.memory.cells("ada")
    told = [each for each in result.effects if isinstance(each, LeaderboardScored)]
    assert [(each.code, each.window, each.score, each.team) for each in told] == [
        ("km", "daily", 2, name),
        ("km", "all_time", 2, name),
        ("spots", "all_time", 1, name),
        ("pts", "all_time", 10, name),
    ]


def test_a_leaderboard_that_ranks_participants_again_keeps_no_scores_of_teams() -> None:
    story = Story(GAME)
    team(story, "red", "2026-04-01T08:00")
    run(story, "2026-04-01T09:00")
    story.change(
        GAME.replace(", group_by: attributes.team", "")
        .replace("    group_by: attributes.team\n", "")
        .replace(", combine: best", "")
    )
    story.memory.refold(story.memory.game.rules)
    cells = story.memory.cells("ada")
    assert not any(key.startswith("team/") for key in cells)
    assert cells["score/km/all_time/all_time"]["score"] == 2_000_000
    assert cells["score/pts/all_time/all_time"]["score"] == 10
    story.change(GAME)
    story.memory.refold(story.memory.game.rules)
    assert not any(key.startswith("score/") for key in story.memory.cells("ada"))
    assert scores(story, "pts") == {"red": 10}
    assert story.differences() == []


@pytest.mark.parametrize(
    ("more", "line", "says"),
    [
        ("group_by: team", 5, "must name an attribute of participants, such as attributes.team"),
        ("group_by: attributes.home town", 5, "must name an attribute of participants, such as attributes.team"),
        ("group_by: participant.attributes.team", 5, "must name an attribute"),
        ("group_by: attributes.", 5, "must name an attribute"),
        ("group_by: [attributes.team]", 5, "valid string"),
        ("group_by: attributes.team\n    combine: median", 6, "'sum', 'mean' or 'best'"),
        ("combine: sum", 2, "combine needs group_by"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(more: str, line: int, says: str) -> None:
    found = check(f"leaderboards:\n  - code: km\n    name: Km\n    metric: {{on: run}}\n    {more}\n")
    (mistake,) = found.errors
    assert (mistake.line, says in mistake.message) == (line, True), str(mistake)


def test_a_contest_is_held_among_participants() -> None:
    found = check(
        "contests:\n  - code: k\n    name: K\n    starts_at: 2026-04-01\n    ends_at: 2026-05-01\n"
        "    scoring: {on: run}\n    group_by: attributes.team\n"
    )
    assert [(each.line, each.message) for each in found.errors] == [(7, "unknown key group_by")]


def test_it_is_said_in_plain_english() -> None:
    game = check(GAME).game
    assert game is not None
    told = [" ".join(line.split()) for line in explain(game).splitlines()]
    assert "Ranks teams, which the attribute team names, by points earned; the highest leads." in told
    assert told.count("A team's score is the best score of its members.") == 1
    assert told.count("A team's score is the sum of the scores of its members.") == 2
    assert told.count("Whatever happens counts for the team that its participant is of at that time.") == 3
