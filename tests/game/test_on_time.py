"""The on-time path does what the step does."""

import random

import pytest
from hypothesis import HealthCheck, given, settings

from bq_server.game.facts import CHALLENGE_ENROLLED, Fact
from bq_server.game.in_memory import InMemoryGame
from bq_server.game.mechanics import ordered_quest, runs
from tests.game.fact_strategies import dense_histories, histories, histories_with_voids
from tests.game.on_time_game import OnTimeGame
from tests.game.participant_strategies import games_about_participants, histories_with_attributes
from tests.game.strategies import Rules, games, ordered_games, revocable_games
from tests.game.support import Story
from tests.game.test_property import assert_equals_fold, seeds

thorough = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))


def assert_same_one_by_one(game: Rules, facts: list[Fact]) -> OnTimeGame:
    """Both take the facts one by one; after each they hold and tell the same."""
    step, quick = InMemoryGame(game.compile()), OnTimeGame(game.compile())
    for fact in facts:
        assert quick.take([fact]) == step.process([fact]).effects
        assert quick.cells(fact.participant_id) == step.cells(fact.participant_id)
        assert quick.ledger(fact.participant_id) == step.ledger(fact.participant_id)
    return quick


@pytest.mark.parametrize("part", range(2))
@thorough
@given(game=games(), facts=histories(size=24))
def test_every_fact_changes_and_causes_the_same(part: int, game: Rules, facts: list[Fact]) -> None:
    assert_same_one_by_one(game, facts if part else sorted(facts, key=lambda fact: fact.moment))


@thorough
@given(game=games(), facts=histories_with_voids(size=24))
def test_so_it_is_where_facts_are_void(game: Rules, facts: list[Fact]) -> None:
    assert_same_one_by_one(game, facts)


@thorough
@given(game=revocable_games(), facts=histories_with_voids(size=24))
def test_so_it_is_where_awards_are_taken_back(game: Rules, facts: list[Fact]) -> None:
    assert_equals_fold(assert_same_one_by_one(game, facts))


@settings(thorough, max_examples=250)
@given(game=games_about_participants(), facts=histories_with_attributes(size=24))
def test_so_it_is_where_conditions_read_attributes(game: Rules, facts: list[Fact]) -> None:
    assert_same_one_by_one(game, sorted(facts, key=lambda fact: fact.moment))


@settings(thorough, max_examples=100)
@given(game=games_about_participants(awards=True), facts=histories(size=18))
def test_so_it_is_where_conditions_read_awards(game: Rules, facts: list[Fact]) -> None:
    assert_same_one_by_one(game, sorted(facts, key=lambda fact: fact.moment))


@thorough
@given(game=ordered_games(), facts=dense_histories())
def test_so_it_is_where_the_outcome_depends_on_order(game: Rules, facts: list[Fact]) -> None:
    assert_same_one_by_one(game, sorted(facts, key=lambda fact: fact.moment))


@thorough
@given(game=games(), facts=histories(), seed=seeds)
def test_batches_of_any_order_equal_one_fold(game: Rules, facts: list[Fact], seed: int) -> None:
    chance = random.Random(seed)
    arrivals = facts + chance.sample(facts, chance.randint(0, len(facts)))
    chance.shuffle(arrivals)
    quick = OnTimeGame(game.compile())
    while arrivals:
        size = chance.choice([1, 1, 2, 5, len(arrivals)])
        quick.take(arrivals[:size])
        del arrivals[:size]
    assert_equals_fold(quick)


@settings(thorough, max_examples=200)
@given(game=ordered_games(), facts=dense_histories(), seed=seeds)
def test_a_tail_that_grows_is_compacted_by_the_step(game: Rules, facts: list[Fact], seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered_quest, "TAIL", 2)
        patch.setattr(ordered_quest, "LATENESS", -1)
        patch.setattr(runs, "KEPT_PERIODS", 3)
        chance = random.Random(seed)
        arrivals = sorted(facts, key=lambda fact: fact.occurred_at + chance.randrange(8) * 3_600_000_000)
        quick = OnTimeGame(game.compile())
        for fact in arrivals:
            quick.take([fact])
        assert_equals_fold(quick)


@pytest.mark.parametrize("metric", ["{on: e}", "points"])
def test_days_that_take_turns_are_each_its_own_period(metric: str) -> None:
    story = Story(
        "points: [{code: p, on: e, award: 1}]\n"
        f"leaderboards: [{{code: l, name: L, metric: {metric}, window: [daily, monthly]}}]"
    )
    quick = OnTimeGame(story.memory.game)
    moments = ["2026-03-31T23:59:59.999999", "2026-04-01", "2026-03-31T12:00:00", "2026-04-01T12:00:00"]
    for who, moment in zip("abcd", moments, strict=True):
        quick.take([story.fact("e", moment, who=who)])
    assert quick.late == 0
    periods = {who: {key for key in quick.cells(who) if key.startswith("score/")} for who in "abcd"}
    march = {"score/l/daily/2026-03-31", "score/l/monthly/2026-03"}
    april = {"score/l/daily/2026-04-01", "score/l/monthly/2026-04"}
    assert periods == {"a": march, "b": april, "c": march, "d": april}


def test_what_conditions_see_of_awards_is_kept_on_time() -> None:
    story = Story("""
points:
  - {code: spend, on: bought, award: properties.amount}
  - {code: bonus, on: bought, when: participant.tier == "gold", award: 5}
  - {code: crowned, on: bought, when: '"crown" in participant.badges', award: 1}
badges: [{code: crown, name: Crown, criteria: {on: bought, when: participant.tier == "gold", target: 2}}]
tiers: [{code: gold, name: Gold, level: 1, min_points: 100}]
""")
    quick = OnTimeGame(story.memory.game)
    for hour, amount in ((10, 60), (11, 40), (12, 1), (13, 1), (14, 1)):
        quick.take([story.fact("bought", f"2026-04-01T{hour}:00", {"amount": amount})])
        quick.take([story.fact("looked", f"2026-04-01T{hour}:30")])
    assert (quick.late, quick.requests) == (0, 0)
    assert quick.cells("ada")["points"]["balance"] == 60 + 40 + 6 + 6 + 7
    quick.take([story.fact("bought", "2026-04-01T14:15", {"amount": 1})])
    assert quick.late == 1, "an event that nothing reads may still be followed by a late one"
    assert_equals_fold(quick)


def test_who_enrolled_before_a_rolling_challenge_started_is_counted_until_their_time_ends() -> None:
    story = Story("""
challenges:
  - code: c
    name: C
    starts_at: 2026-04-10T00:00:00Z
    enrolment: explicit
    duration: {type: rolling, days: 2}
    objectives: [{code: o, on: e, target: 9}]
""")
    quick = OnTimeGame(story.memory.game)
    quick.take([story.fact(CHALLENGE_ENROLLED, "2026-04-01", {"challenge_code": "c"})])
    for moment in ("2026-04-09T23:00", "2026-04-10", "2026-04-11T23:59", "2026-04-12"):
        quick.take([story.fact("e", moment)])
    assert (quick.late, quick.on_time) == (1, 4), "only to enrol takes the step"
    assert quick.cells("ada")["challenge/c"]["p"]["v"] == [2]
    assert_equals_fold(quick)
