"""Challenges that groups share, in the game itself: what a member adds, and what facts tell of the group."""

from typing import Any

import pytest

from bq_server.game import check
from bq_server.game.effects import ChallengeProgressed, MilestoneReached, PointsChanged
from bq_server.game.plain_english.explanation import explain
from tests.game.support import Story

GAME = """
challenges:
  - code: lake
    name: Lake
    shared_by: attributes.team
    duration: {type: fixed, starts_at: 2026-04-01T00:00:00Z, ends_at: 2026-04-03T00:00:00Z}
    objectives: [{code: km, on: run, aggregate: sum, of: properties.km, target: 10}]
    milestones: [{at: 0.3333, rewards: [{points: 1}]}, {at: 0.5, rewards: [{points: 2}]}]
    rewards: [{points: 100}]
"""


def team(story: Story, name: Any, when: str) -> None:
    story.send("system.attributes_changed", when, {"attributes": {"team": name}})


def run(story: Story, when: str, km: float = 2) -> Any:
    (explanation,) = story.send("run", when, {"km": km}).explanations
    return explanation.verdict, explanation.message


def tell(story: Story, at: float, when: str = "2026-04-01T12:00", code: str = "lake") -> Any:
    return story.send("system.shared_challenge_reached", when, {"challenge_code": code, "group": "red", "at": at})


def shares(story: Story) -> dict[str, int]:
    found = story.memory.cells("ada").items()
    return {cell["team"]: cell["score"] for key, cell in found if key.startswith("group/lake/")}


def test_an_event_adds_to_the_group_of_its_time_whenever_it_arrives() -> None:
    story = Story(GAME)
    assert run(story, "2026-04-01T07:00") == ("no_team", "there was no group in the attribute team")
    team(story, "red", "2026-04-01T08:00")
    assert run(story, "2026-04-01T09:00", 2) == ("matched", "adds to what red shares, 2 by this participant so far")
    team(story, "blue", "2026-04-01T10:00")
    assert run(story, "2026-04-01T11:00", 3)[0] == "matched"
    assert run(story, "2026-04-01T09:30", 0.5) == ("matched", "adds to what red shares, 2.5 by this participant so far")
    assert run(story, "2026-04-01T12:00", -4) == ("condition_false", "only amounts above 0 add to a shared challenge")
    assert run(story, "2026-04-01T12:00", 0)[0] == "condition_false"
    assert run(story, "2026-03-31T23:59")[0] == "outside_window"
    assert run(story, "2026-04-03T00:00")[0] == "outside_window"
    assert shares(story) == {"red": 2_500_000, "blue": 3_000_000}
    team(story, "green", "2026-04-01T10:30")  # as it turns out
    assert shares(story) == {"red": 2_500_000, "green": 3_000_000}
    assert story.points() == 0
    assert story.challenge("lake").progress == 0
    assert story.differences() == []


def test_what_is_told_gives_each_step_once() -> None:
    story = Story(GAME)
    effects = tell(story, 0.5).effects
    assert [type(each) for each in effects if isinstance(each, MilestoneReached)] == [MilestoneReached] * 2
    assert [each.amount for each in effects if isinstance(each, PointsChanged)] == [1, 2]
    assert story.challenge("lake").progress == 0.5
    assert tell(story, 0.5).effects == tell(story, 0.3333).effects == []
    effects = tell(story, 1, "2026-04-01T13:00").effects
    assert [each.completed for each in effects if isinstance(each, ChallengeProgressed)] == [True]
    assert tell(story, 1).effects == tell(story, 1, code="other").effects == []
    assert (story.points(), story.challenge("lake").status) == (103, "completed")
    assert story.differences() == []


def test_a_step_is_the_same_step_of_another_target() -> None:
    story = Story(GAME)
    tell(story, 0.3333)
    story.change(GAME.replace("target: 10", "target: 7.000001"))
    story.memory.refold(["challenge/lake"])
    assert [each.reached for each in story.challenge("lake").milestones] == [True, False]
    assert story.points() == 1
    story.change(GAME.replace("at: 0.5", "at: 0.3"))
    assert [
        each.amount for each in story.memory.refold(["challenge/lake"]).effects if isinstance(each, PointsChanged)
    ] == [2]
    assert story.differences() == []


@pytest.mark.parametrize(
    ("more", "place", "says"),
    [
        ("shared_by: team", (4, 16), "must name an attribute of participants, such as attributes.team"),
        ("shared_by: attributes.t\n    enrolment: explicit", (5, 16), "must be automatic"),
        ("shared_by: attributes.t\n    duration: {type: rolling, days: 3}", (5, 22), "must be fixed or perpetual"),
        ("shared_by: attributes.t\n    duration: {type: recurring, every: day}", (5, 22), "must be fixed or perpetual"),
        (
            "shared_by: attributes.t\n    revocable: true",
            (5, 16),
            "must be false: what a group has reached stays reached",
        ),
    ],
)
def test_what_groups_cannot_share_is_told_with_its_place(more: str, place: tuple[int, int], says: str) -> None:
    found = check(
        f"challenges:\n  - code: c\n    name: C\n    {more}\n    objectives: [{{code: o, on: run, target: 1}}]\n"
    )
    (mistake,) = found.errors
    assert ((mistake.line, mistake.column), says in mistake.message) == (place, True), str(mistake)


@pytest.mark.parametrize(
    ("objectives", "says"),
    [
        ("{code: o, on: run, aggregate: distinct, of: properties.x, target: 1}", "must be count or sum"),
        ("{code: o, on: run, aggregate: days, target: 1}", "must be count or sum"),
        ("{code: o, on: run, aggregate: max, of: properties.x, target: 1}", "must be count or sum"),
        ("{code: o, on: run, target: 1, limit: {times: 1, per: day}}", "can't have a limit or a cooldown"),
        ("{code: o, on: run, target: 1, cooldown: PT1H}", "can't have a limit or a cooldown"),
        ("{code: o, on: run, target: 1}, {code: p, on: run, target: 1}", "has one objective"),
    ],
)
def test_an_objective_whose_order_matters_cannot_be_shared(objectives: str, says: str) -> None:
    found = check(
        f"challenges:\n  - code: c\n    name: C\n    shared_by: attributes.team\n    objectives: [{objectives}]\n"
    )
    (mistake,) = found.errors
    assert (mistake.line, says in mistake.message) == (5, True), str(mistake)


def test_it_is_said_in_plain_english() -> None:
    game = check(GAME).game
    assert game is not None
    told = " ".join(explain(game).split())
    assert "Shared by those with the same team at the time of an event: what they do adds up." in told
    assert "Whatever is reached is given, once, to each who has added something, then or later." in told
