"""The scenarios that come with the harness pass, and between them use everything there is.

`python -m tests.harness.test_shipped` tells how long a hundred of them take on a warm private server.
"""

import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any, get_args

import pytest

from bq_server.game.document.criteria import Aggregate
from bq_server.game.document.definitions import Game
from bq_server.game.document.leaderboards import Window
from bq_server.game.document.rewards import Reward, RewardKind
from bq_server.game.document.streaks import StreakPeriod
from harness.client import Client
from harness.private_server import PrivateServer
from harness.stories.documents import find
from harness.stories.expectations import Expect, ExpectedEnvironment, ExpectedParticipant, ExpectedRehearsal
from harness.stories.outcomes import Mode
from harness.stories.scenario import PlayedStory, Scenario
from harness.stories.steps import STEPS
from harness.stories.story_run import play
from tests.support.store import PROCESSES
from tests.support.store_choice import USUAL

SHIPPED = Path(__file__).parents[2] / "harness" / "scenarios"
SCENARIOS, MISTAKES = find([SHIPPED])
SEED = 20260402
EACH = 12
"""Which of them several processes play by default."""
HUNDRED = 100
ROUNDS = 5


def test_none_has_a_mistake() -> None:
    assert MISTAKES == []
    assert len(SCENARIOS) >= 60


# `both` plays each by the stream and by sync, with all its expectations.
@pytest.mark.parametrize("mode", ["both", "shuffled"])
def test_they_pass(client: Client, store: str, pytestconfig: pytest.Config, mode: Mode) -> None:
    # Where several processes must agree on each reset and clock, all of them take ten minutes.
    few = store == PROCESSES and pytestconfig.getoption("--stores") == USUAL
    outcomes = [play(scenario, client, mode, SEED) for scenario in SCENARIOS[:: EACH if few else 1]]
    failures = [failure.text for outcome in outcomes for failure in outcome.failures]
    assert not failures, "\n\n".join(failures)


def test_each_has_a_name_of_its_own_and_only_those_that_must_are_in_order() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    in_order = {scenario.path.stem for scenario in SCENARIOS if scenario.story.in_order is not None}
    late = {
        "late_fact",
        "late_refund",
        "attributes_told_late",
        "tier_told_late",
        "teams_undone",
        "shared_and_undone",
        "told_in_another_order",
    }
    limited = {"first_of_each_day", "zone_told_late", "learning", "every_edge"}
    assert in_order == {*late, *limited, "awards_stay", "expire_each_year", "rolling", "same_event_written_differently"}


def test_they_use_every_kind_of_step_and_expectation() -> None:
    used: set[str] = set()
    expected: set[str] = set()
    for scenario in SCENARIOS:
        used |= scenario.story.model_fields_set
        for step in scenario.steps:
            used |= step.model_fields_set
            if isinstance(step, Expect):
                expected |= {f"{type(step.expect).__name__}.{each}" for each in step.expect.model_fields_set}
    models = (PlayedStory, *STEPS.values())
    assert {name for model in models for name in model.model_fields} - used == set()
    every = {
        f"{model.__name__}.{name}"
        for model in (ExpectedParticipant, ExpectedEnvironment, ExpectedRehearsal)
        for name in model.model_fields
    }
    assert every - expected == set()


def test_they_use_every_mechanic() -> None:
    games = [game.game for scenario in SCENARIOS for game in _games(scenario)]
    assert {name for game in games for name in game.model_fields_set} == set(Game.model_fields)
    challenges = [each for game in games for each in game.challenges]
    assert {each.enrolment for each in challenges} == {"automatic", "explicit"}
    assert {each.duration.type for each in challenges} == {"fixed", "rolling", "recurring", "perpetual"}
    assert {each.shared_by for each in challenges} == {None, "attributes.team"}
    objectives = [each for challenge in challenges for each in challenge.objectives]
    metrics = [board.metric for game in games for board in game.leaderboards]
    aggregates = set(get_args(Aggregate))
    growing = aggregates - {"min"}  # which only a leaderboard may have
    assert {badge.criteria.aggregate for game in games for badge in game.badges if badge.criteria} == growing
    assert {each.aggregate for each in objectives} == growing
    assert {"points" if isinstance(each, str) else each.aggregate for each in metrics} == aggregates | {"points"}
    assert {each.period for game in games for each in game.streaks} == set(get_args(StreakPeriod))
    assert {type(each.kind) for each in _rewards(games)} == set(get_args(RewardKind))
    windows = {
        window if isinstance(window, str) else window.type
        for game in games
        for board in game.leaderboards
        for window in board.window
    }
    assert windows == {*get_args(Window), "season"}


def _games(scenario: Scenario) -> list[Any]:
    return [*([scenario.game] if scenario.game else []), *scenario.games.values()]


def _rewards(games: list[Game]) -> Iterator[Reward]:
    for game in games:
        for challenge in game.challenges:
            yield from challenge.rewards
            for milestone in challenge.milestones:
                yield from milestone.rewards
        for streak in game.streaks:
            for length in streak.milestones:
                yield from length.rewards


def _round(client: Client) -> float:
    """How many seconds a hundred of them take. Raises `AssertionError` when one fails."""
    start = time.perf_counter()
    failed = [each.name for each in islice(cycle(SCENARIOS), HUNDRED) if not play(each, client).passed]
    assert not failed, failed
    return time.perf_counter() - start


if __name__ == "__main__":
    with PrivateServer() as server, Client(server.url, server.key) as warm:
        play(SCENARIOS[0], warm)
        rounds = [_round(warm) for _ in range(ROUNDS)]
    told = ", ".join(f"{each:.1f}" for each in rounds)
    print(f"{HUNDRED} scenarios: {median(rounds):.1f} s, the median of {told}")  # noqa: T201
