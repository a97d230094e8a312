"""How far a rule has come, told with each explanation: what matched and wasn't reached says how much is missing."""

import pytest

from tests.game.support import Story
from tests.support.client import Project, event

Way = tuple[str, str | None, float | None, float | None]


def ways(story: Story, name: str, when: str, properties: dict[str, object] | None = None) -> list[Way]:
    result = story.send(name, when, properties or {})
    return [(each.definition, each.part, each.value, each.target) for each in result.explanations]


def test_a_badge_says_three_of_four() -> None:
    story = Story("badges: [{code: b, name: B, criteria: {on: e, aggregate: count, target: 4}}]")
    told = [ways(story, "e", f"2026-04-0{day}") for day in range(1, 6)]
    assert told == [[("badge/b", None, value, 4)] for value in (1, 2, 3, 4, 4)]


@pytest.mark.parametrize(
    ("criteria", "sent", "value", "target"),
    [
        ("aggregate: sum, of: properties.x, target: 2.5", [1.25, 0.25], 1.5, 2.5),
        ("aggregate: max, of: properties.x, target: 10", [3, 2], 3, 10),
        ("aggregate: distinct, of: properties.x, target: 5", ["a", "a", "b"], 2, 5),
        ("aggregate: days, target: 3", [1, 2], 1, 3),
        ("aggregate: count, target: 3, when: properties.x > 1.0", [2, 1], 1, 3),
    ],
)
def test_every_aggregate_in_its_own_unit(criteria: str, sent: list[object], value: float, target: float) -> None:
    story = Story(f"badges: [{{code: b, name: B, criteria: {{on: e, {criteria}}}}}]")
    *_, last = [ways(story, "e", "2026-04-01", {"x": each}) for each in sent]
    assert last == [("badge/b", None, value, target)]


def test_a_late_fact_too() -> None:
    story = Story("badges: [{code: b, name: B, criteria: {on: e, aggregate: count, target: 4}}]")
    ways(story, "e", "2026-04-02")
    assert ways(story, "e", "2026-04-01") == [("badge/b", None, 2, 4)]


def test_objectives_also_where_one_waits() -> None:
    story = Story("""
challenges:
  - code: c
    name: C
    objectives:
      - {code: first, on: a, target: 1}
      - {code: then, on: b, target: 2, prerequisites: [first]}
""")
    assert ways(story, "b", "2026-04-01") == [("challenge/c", "then", 0, 2)]
    assert ways(story, "a", "2026-04-02") == [("challenge/c", "first", 1, 1)]
    assert ways(story, "b", "2026-04-03") == [("challenge/c", "then", 1, 2)]


def test_a_streak_says_its_length_and_its_next_milestone() -> None:
    story = Story(
        "streaks: [{code: s, on: e, milestones: [{at: 2, rewards: [{points: 1}]}, {at: 3, rewards: [{points: 1}]}]}]"
    )
    told = [ways(story, "e", f"2026-04-0{day}") for day in range(1, 4)]
    assert told == [[("streak/s", None, value, target)] for value, target in ((1, 2), (2, 3), (3, None))]


def test_points_have_no_way_to_go() -> None:
    story = Story("points: [{code: p, on: e, award: 1}]")
    assert ways(story, "e", "2026-04-01") == [("points/p", None, None, None)]


def test_a_dry_run_says_it(bq: Project) -> None:
    bq.apply({"badges": [{"code": "b", "name": "B", "criteria": {"on": "e", "aggregate": "count", "target": 4}}]})
    for _ in range(2):
        bq.send_sync(event("e"))
    (told,) = bq.told(event("e"), dry_run="true")["definitions"]
    assert (told["verdict"], told["value"], told["target"]) == ("matched", 3, 4)
