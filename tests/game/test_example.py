"""The shipped examples: good games, whose events play them."""

import json
from pathlib import Path

from msgspec.structs import replace

from bq_server.game import read_badges, read_tier
from tests.game.support import Story, at

EXAMPLES = Path(__file__).parents[2] / "bq_server" / "examples"


def played() -> tuple[Story, set[str]]:
    story = Story((EXAMPLES / "coffee.yaml").read_text())
    types: set[str] = set()
    story.send("system.challenge_enrolled", "2026-04-08", {"challenge_code": "marathon"})
    for line in (EXAMPLES / "coffee.ndjson").read_text().splitlines():
        event = json.loads(line)
        result = story.send(event["event_name"], event["timestamp"], event["properties"], event["participant_id"])
        types |= {effect.type for effect in result.effects}
        assert result.warnings == []
    return story, types


def test_the_example_plays_through_and_shows_every_kind_of_effect() -> None:
    story, types = played()
    assert types == {
        *("points", "badge", "objective", "challenge", "enrolment", "milestone", "streak", "tier", "leaderboard"),
    }
    assert story.badges() == ["first_cup", "big_spender", "generous", "explorer", "familiar_face", "barista", "regular"]
    # 79 spent in April, 31 twice in May, two reviews; spring with its milestone, critic, marathon's first part, streak.
    assert story.points() == 12 + 9 + 14 + 3 + 41 + 2 * 31 + 2 * 15 + 550 + 100 + 5 + 30
    assert story.challenge("spring").status == "completed"
    assert story.objectives("marathon") == {"espressos": 2}
    tier = read_tier(story.memory.game, story.memory.cells("ada"))
    assert tier.current_tier is not None
    assert tier.current_tier.code == "silver"
    for who in ("ada", "bruno", "chloé"):
        assert story.differences(who) == []


def test_the_examples_streaks_and_scores() -> None:
    story, _ = played()
    cells = story.memory.cells("ada")
    assert cells["streak/daily_cup"]["l"] == 5
    assert cells["score/spenders/weekly/2026-W15"] | {"rev": ""} == {
        "rev": "",
        "score": 81_100_000,
        "at": at("2026-04-10T08:30:00"),
    }
    assert cells["score/globetrotters/yearly/2026"]["score"] == 3


def course() -> tuple[Story, set[str]]:
    """The learning app, played."""
    story = Story((EXAMPLES / "learning.yaml").read_text())
    types: set[str] = set()
    for line in (EXAMPLES / "learning.ndjson").read_text().splitlines():
        event = json.loads(line)
        fact = story.fact(event["event_name"], event["timestamp"], event.get("properties"), event["participant_id"])
        result = story.memory.process(
            [replace(fact, idempotency_key=event["idempotency_key"], voids=event.get("voids"))]
        )
        types |= {effect.type for effect in result.effects}
        assert result.warnings == []
    return story, types


def test_the_learning_app_plays_through_and_shows_what_the_first_does_not() -> None:
    story, types = course()
    assert types == {
        *("points", "badge", "objective", "challenge", "milestone", "streak", "tier", "leaderboard", "void"),
    }
    # Lessons, of which one on Saturday is over the limit, and double at the weekend; six new ones; a quiz that cooled
    # down; the good week, three days of study, the term and half of it.
    assert story.points("mia") == 4 * 10 + 6 * 20 + 6 * 5 + 9 + 10 + 50 + 30 + 200 + 40
    counts = {
        each.code: each.count for each in read_badges(story.memory.game, story.memory.cells("mia")) if each.earned
    }
    assert counts == {"reader": 2, "flawless": 1, "polyglot": None, "good_week": 1, "graduate": None}
    # A lesson of the weekend is double; the quiz; an exam before the basics earns nothing.
    assert story.points("noah") == 10 + 5 + 20 + 5 + 6
    assert story.challenge("spring_term", who="noah").progress == 0.25
    # What a script played counts for nothing, though the milestone that it reached stays.
    assert story.points("zoé") == 3 * 15 + 30 + 7 + 50 + 40
    assert story.challenge("spring_term", who="zoé").progress == 0.375
    for who in ("mia", "noah", "zoé"):
        assert story.differences(who) == []


def test_the_learning_apps_streak_is_frozen_for_a_day_and_its_night_belongs_to_the_day_before() -> None:
    story, _ = course()
    assert story.memory.cells("mia")["streak/study"]["l"] == 5
    assert story.score("term/season/2026-03-01T00:00:00Z", "mia") == 11
    assert story.score("beginners/weekly/2026-W10", "mia") == 6
