"""The phases, their costs, and why a definition did or didn't apply."""

from typing import Any

import pytest

from bq_server.game import (
    EFFECTS,
    Fact,
    cells_needed,
    check,
    compile_game,
    match,
    prepare,
    read_badges,
    state_keys,
    step,
)
from bq_server.game.state.keys import BADGES
from tests.game.support import Story

GAME = """
points: [{code: p, on: e, when: properties.x > 1.0, award: 5}]
badges: [{code: b, name: B, criteria: {on: e, target: 1}}]
challenges:
  - {code: fixed, name: F, objectives: [{code: o, on: e, target: 2}],
     duration: {type: fixed, starts_at: 2026-01-01, ends_at: 2026-02-01}}
  - {code: explicit, name: X, enrolment: explicit, objectives: [{code: o, on: e, target: 2}]}
  - {code: chain, name: C, objectives: [{code: first, on: other, target: 1},
                                        {code: second, on: e, target: 1, prerequisites: [first]}]}
streaks: [{code: s, on: e}]
leaderboards: [{code: l, name: L, metric: {on: e, aggregate: sum, of: properties.x}}]
"""


def test_every_listening_definition_says_why_it_did_or_did_not_apply() -> None:
    story = Story(GAME)
    story.send("e", "2026-04-01", {"x": 2})
    result = story.send("e", "2026-04-01", {"x": "two"})
    said = {(each.definition, each.part): (each.verdict, each.message) for each in result.explanations}
    assert {key: verdict for key, (verdict, _) in said.items()} == {
        ("points/p", None): "expression_error",
        ("badge/b", None): "already_complete",
        ("challenge/fixed", "o"): "outside_window",
        ("challenge/explicit", "o"): "not_enrolled",
        ("challenge/chain", "second"): "prerequisite_open",
        ("streak/s", None): "matched",
        ("leaderboard/l", None): "expression_error",
    }
    assert said["leaderboard/l", None][1] == "the expression gave a string, not a number"
    assert story.send("e", "2026-04-01", {"x": 1}).explanations[0].verdict == "condition_false"


def test_effects_survive_json_with_times_as_iso() -> None:
    story = Story(GAME)
    effects = story.send("e", "2026-04-01T12:00:00.5", {"x": 2}).effects
    text = EFFECTS.dump_json(effects).decode()
    assert '"type":"points"' in text
    assert '"occurred_at":"2026-04-01T12:00:00.500Z"' in text


def test_a_fact_meets_only_the_rules_that_listen_to_it() -> None:
    others = ", ".join(f"{{code: x{n}, name: X, criteria: {{on: other{n}, target: 1}}}}" for n in range(100))
    checked = check(f"badges: [{others}, {{code: b, name: B, criteria: {{on: e, target: 1}}}}]")
    assert checked.game is not None
    matches = match(compile_game(checked.game), [Fact("f", 1, "custom.e", "e", "ada", {}, 0, 0)])
    assert cells_needed(matches) == {"ada": {"criteria/b", "badge/b"}}


def test_an_event_named_like_a_system_fact_is_none() -> None:
    story = Story(GAME)
    fact = Fact("f", 1, "custom.system.points_awarded", "system.points_awarded", "ada", {"amount": 5}, 0, 0)
    assert story.memory.process([fact]).cells == {}


def test_a_step_without_the_past_it_asked_for_is_refused() -> None:
    story = Story(GAME)
    enrolment = story.fact("system.challenge_enrolled", "2026-04-01", {"challenge_code": "explicit"})
    plan = prepare(match(story.memory.game, [enrolment]), {})
    (request,) = plan.requests
    assert request.fact_types == {"custom.e", "system.challenge_enrolled"}
    assert request.since == enrolment.occurred_at
    with pytest.raises(ValueError, match="needs the past of ada"):
        step(plan)


def test_a_step_leaves_what_it_was_given_untouched() -> None:
    story = Story(GAME)
    first = story.fact("e", "2026-04-01", {"x": 2})
    result = story.memory.process([first])
    cells = {"ada": dict(result.cells["ada"])}
    before = str(cells)
    step(prepare(match(story.memory.game, [story.fact("e", "2026-03-01", {"x": 3})]), cells))
    assert str(cells) == before


def test_a_step_over_the_same_input_answers_the_same() -> None:
    story = Story(GAME)
    plan = prepare(match(story.memory.game, [story.fact("e", "2026-04-01", {"x": 2})]), {})
    assert step(plan).cells == step(plan).cells


@pytest.mark.parametrize("properties", [{"x": 10**400}, {"x": "\ud800"}, {"x": {"a": [None, True]}}, {"": 1}])
def test_odd_properties_are_no_errors(properties: dict[str, Any]) -> None:
    story = Story(GAME)
    story.send("e", "2026-04-01", properties)
    assert story.badges() == ["b"]


def test_reading_needs_a_bounded_set_of_cells() -> None:
    story = Story(GAME)
    for number in range(20):
        story.send("e", f"2026-04-{number + 1:02}", {"x": number})
    cells = story.memory.cells("ada")
    bounded = {key: cells[key] for key in state_keys(story.memory.game) if key in cells}
    bounded |= {key: cell for key, cell in cells.items() if key.startswith(BADGES)}
    assert read_badges(story.memory.game, bounded) == read_badges(story.memory.game, cells)
