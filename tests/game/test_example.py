"""The shipped example: a good game, which uses every mechanic, and whose events play it."""

import json
from pathlib import Path

from bq_server.game import read_tier
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
