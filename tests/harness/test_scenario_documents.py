"""Reading scenario files: what is understood, and every mistake with its place."""

from pathlib import Path

import pytest

from harness.stories.documents import NoScenario, ScenarioMistakes, find, load
from harness.stories.expectations import Expect, ExpectedEnvironment, ExpectedParticipant
from harness.stories.scenario import scenario_schema
from harness.stories.shipped import shipped
from harness.stories.steps import Send

GAME = "points: [{code: spend, on: buy, award: properties.amount}]\n"

# Each line with a mistake ends with where the mistake is, in quotes, and a word that tells it.
MISTAKES = """\
name: Wrong
clok: 2026-04-02T09:00:00Z  # "clok" clock
clock: yesterday  # "yesterday" ISO
game:
  points:
    - {code: a, on: buy, award: properties.amount +}  # "}" ends
    - {code: b, on: buy, award: 1, wen: x}  # "wen" when
    - {code: c, on: buy}  # "{code" award
steps:
  - sned: {event_name: x}  # "sned" send
  - {send: {event_name: x}, batch: []}  # "batch" step
  - {send: {event_name: x}, times: many}  # "many" integer
  - {send: {event_name: x}, times: 0}  # "0}" greater
  - send: 4  # "4" mapping
  - just a word  # "just" mapping
  - advance: 1 day  # "1 day" ISO
  - advance: P1M  # "P1M" weeks
  - advance: P  # "P " weeks
  - game: nothere.yaml  # "nothere" can't
  - game: 7  # "7" string
  - enroll: {participant: ada}  # "{participant" challenge
  - give: {participant: ada}  # "{participant" either
  - take: {participant: ada, points: 1.5}  # "1.5" integer
  - {send: {event_name: x}, refused: {}, caused: []}  # "{send" either
  - {batch: [{event_name: x}], rejected: [{index: 3}]}  # "{batch" last
  - expect: [1]  # "[1" mapping
  - expect: {}  # "{}" nothing
  - expect: {participant: ada, points: {balanse: 3}}  # "balanse" balance
  - expect: {participant: ada, points: lots}  # "lots" integer
  - expect: {participant: ada, exists: false, facts: 3}  # "{participant" isn't
  - expect: {participant: ada, streaks: {daily: {at_risk: 1}}}  # "1}" boolean
  - expect: {participant: ada, points: {}}  # "{}" nothing
  - expect: {participant: ada, challenges: {spring: {}}}  # "{}" nothing
  - expect: {participant: ada, leaderboards: {spenders: {}}}  # "{}" nothing
  - expect: {participant: ada, challenges: {spring: {objectives: {}}}}  # "{}" nothing
  - expect: {participant: ada, challenges: {}}  # "{}" nothing
  - expect: {participant: ada, streaks: {}, facts: 1}  # "{}" nothing
  - expect: {participant: ada, leaderboards: {}}  # "{}" nothing
  - expect: {participant: '', exists: false}  # "''" least
  - {batch: []}  # "{batch" empty
  - {batch: [], rejected: []}  # "{batch" empty
  - {batch: [], refused: {}}
  - expect: {facts: -1}  # "-1" greater
  - expect: {facts: 1, facts: 1}  # "facts: 1}" twice
  - expect: {webhooks: [{type: badge.awardet}]}  # "badge.awardet" badge.awarded
  - expect: {webhooks: [{type: tier.changed, cod: gold}]}  # "cod:" code
  - expect: {webhooks: [{participant: ada}]}  # "{participant" type
"""

UNKNOWN = """\
name: Codes that no game has
game:
  badges: [{code: champion, name: Champion}]
  challenges: [{code: spring, name: Spring, objectives: [{code: buy3, on: buy, target: 3}]}]
  leaderboards: [{code: spenders, name: Spenders, metric: points}]
steps:
  - enroll: {participant: ada, challenge: sprang}  # "sprang" spring
  - give: {participant: ada, badge: campion}  # "campion" champion
  - {give: {participant: ada, badge: ghost}, refused: {status: 404}}
  - expect: {participant: ada, badges: [champion, champian]}  # "champian" champion
  - expect: {participant: ada, tier: gold}  # "gold" tier
  - expect: {participant: ada, streaks: {daily: {current: 1}}}  # "daily" streak
  - expect: {participant: ada, challenges: {sprung: {status: active}}}  # "sprung" spring
  - expect: {participant: ada, challenges: {spring: {objectives: {buy2: 1}}}}  # "buy2" buy3
  - expect: {participant: ada, leaderboards: {spender: null}}  # "spender" spenders
  - expect: {leaderboard: {code: spendings, entries: []}}  # "spendings" spenders
"""


def written(tmp_path: Path, text: str, name: str = "story.yaml") -> Path:
    """A file of this text."""
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def mistakes_in(path: Path) -> list[str]:
    """The mistakes of a file, without its path."""
    with pytest.raises(ScenarioMistakes) as raised:
        load(path)
    return [str(mistake).removeprefix(f"{path}:") for mistake in raised.value.mistakes]


@pytest.mark.parametrize("text", [MISTAKES, UNKNOWN])
def test_every_mistake_has_its_place(tmp_path: Path, text: str) -> None:
    expected = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content, _, marked = line.partition('  # "')
        if marked:
            where, word = marked.rsplit('" ', 1)
            expected[f"{number}:{content.rindex(where.strip()) + 1}"] = word
    found = {}
    for mistake in mistakes_in(written(tmp_path, text)):
        line, column, message = mistake.split(":", 2)
        assert f"{line}:{column}" not in found, mistake
        found[f"{line}:{column}"] = message
    assert found.keys() == expected.keys(), found
    assert [place for place, word in expected.items() if word not in found[place]] == [], found


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("name: x\nsteps:\n  - send: {a: [1\n", "4:1: the document is not YAML"),
        ("name: x\nsteps: []\n", "2:8: "),
        ("name: x\nsteps: 3\n", "2:8: "),
        ("steps:\n  - advance: P1D\n", "1:1: needs name"),
        ("- name: x\n", "1:1: this isn't a scenario"),
        (GAME, "1:1: this isn't a scenario"),
        ("", "1:1: this isn't a scenario"),
    ],
)
def test_a_document_that_is_no_story(tmp_path: Path, text: str, mistake: str) -> None:
    assert [each[: len(mistake)] for each in mistakes_in(written(tmp_path, text))] == [mistake]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "story.yaml"
    path.write_bytes(b"name: x\nsteps: \xff\n")
    assert mistakes_in(path) == ["2:8: the document is not UTF-8"]
    assert mistakes_in(tmp_path / "nothere.yaml") == ["1:1: can't be read: No such file or directory"]


def test_a_mistake_in_a_game_that_is_named(tmp_path: Path) -> None:
    game = written(tmp_path, "points:\n  - {code: a, on: buy, award: -}\n", "game.yaml")
    path = written(tmp_path, "name: x\ngame: game.yaml\nsteps: [{advance: P1D}]\n")
    with pytest.raises(ScenarioMistakes) as raised:
        load(path)
    (mistake,) = raised.value.mistakes
    assert (mistake.file, mistake.line, mistake.column) == (game, 2, 32)


def test_an_inline_game_that_shares_an_anchor_is_checked_too(tmp_path: Path) -> None:
    text = "name: x\nsteps:\n  - send: &e {on: buy}\n  - game:\n      badges: [{code: a, name: A, criteria: *e}]\n"
    assert mistakes_in(written(tmp_path, text)) == ["5:7: badges[0].criteria: needs target or levels, one of them"]
    good = text.replace("on: buy", "on: buy, target: 2")
    assert load(written(tmp_path, good)).games[1].game.badges[0].code == "a"


def test_a_scenario_knows_its_games_and_lines(tmp_path: Path) -> None:
    written(tmp_path, GAME, "game.yaml")
    text = """\
name: Games
game: game.yaml
clock: 2026-04-02T09:00:00Z
steps:
  - send: {event_name: buy, participant_id: 7}

  - {game: {badges: [{code: a, name: A}]}, backfill: true}
  - expect: {participant: ada, tier: null}
  - expect: {facts: 1}
"""
    scenario = load(written(tmp_path, text))
    assert scenario.name == "Games"
    assert list(scenario.lines) == [5, 7, 8, 9]
    assert scenario.game is not None
    assert scenario.game.document == {"points": [{"code": "spend", "on": "buy", "award": "properties.amount"}]}
    assert scenario.games[1].document == {"badges": [{"code": "a", "name": "A"}]}
    send, _, participant, environment = scenario.steps
    assert isinstance(send, Send)
    assert send.send == {"event_name": "buy", "participant_id": 7}
    assert isinstance(participant, Expect)
    assert isinstance(participant.expect, ExpectedParticipant)
    assert "tier" in participant.expect.model_fields_set
    assert isinstance(environment, Expect)
    assert isinstance(environment.expect, ExpectedEnvironment)


def test_a_directory_is_searched_and_games_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    game = written(tmp_path, GAME, "game.yaml")
    written(tmp_path, "name: One\nsteps: [{advance: P1D}]\n", "deep/er/one.yml")
    written(tmp_path, "name: Two\nsteps: [{advance: P1D}]\n", "deep/two.bq.yaml")
    written(tmp_path, "name: No\nsteps: [{advance: P1D}]\n", "deep/notes.txt")
    scenarios, mistakes = find([tmp_path])
    assert [scenario.name for scenario in scenarios] == ["One", "Two"]
    assert mistakes == []
    scenarios, mistakes = find([game, tmp_path / "deep" / "two.bq.yaml"])
    assert [scenario.name for scenario in scenarios] == ["Two"]
    assert [str(mistake) for mistake in mistakes] == [f"{game}:1:1: this isn't a scenario: it has no steps"]
    with pytest.raises(NoScenario):
        load(game)


def test_the_shipped_scenarios_have_no_mistakes() -> None:
    scenarios, mistakes = find([shipped()])
    assert mistakes == []
    assert scenarios


def test_the_schema_knows_every_step() -> None:
    schema = scenario_schema()
    assert schema["additionalProperties"] is False
    kinds = {key for step in schema["$defs"].values() for key in step.get("required", [])}
    assert {"send", "batch", "advance", "clock", "enroll", "profile", "give", "take", "game", "expect"} <= kinds


@pytest.mark.parametrize(
    "expected", ["badges:", "points: null", "facts: ~", "challenges: {c: {status: null}}", "timezone: null"]
)
def test_an_expectation_without_a_value_is_a_mistake_and_no_silent_pass(tmp_path: Path, expected: str) -> None:
    path = tmp_path / "story.yaml"
    story = (
        "name: Nothing said\nsteps:\n  - send: {event_name: x, participant_id: a}\n  - expect:\n      participant: a\n"
    )
    path.write_text(f"{story}      {expected}\n")
    with pytest.raises(ScenarioMistakes) as wrong:
        load(path)
    assert any(":6:" in str(mistake) and "say what it is" in str(mistake) for mistake in wrong.value.mistakes)
