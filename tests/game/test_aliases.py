"""Two stories told as one, and taken apart again: nothing is merged, everything follows from the facts."""

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import Fact
from bq_server.game.in_memory import InMemoryGame
from bq_server.game.rebuild import Rebuilt
from bq_server.game.restated import HeldAwards, held_awards, restate
from bq_server.game.verification import verify
from tests.game import oracle
from tests.game.fact_strategies import histories
from tests.game.strategies import Rules, games, ordered_games
from tests.game.support import Story
from tests.game.test_property import play, seeds, thorough


def mine(facts: list[Fact], who: str = "p0") -> list[Fact]:
    """The facts as those of one participant, in order."""
    return sorted((replace(fact, participant_id=who) for fact in facts), key=lambda fact: fact.moment)


def held(memory: InMemoryGame, who: str) -> HeldAwards:
    return held_awards(memory.game, memory.facts(who), memory.cells(who), memory.ledger(who))


def assert_told(game: CompiledGame, facts: list[Fact], told: Rebuilt) -> None:
    found = verify(game, facts, told.cells, told.ledger)
    assert (found.differences, found.kept) == ([], [])


@pytest.mark.parametrize("part", range(2))
@settings(thorough, max_examples=100)
@given(game=games(), facts=histories(participants=2, size=25), seed=seeds)
def test_one_story_is_the_fold_of_both_and_what_the_document_says(
    part: int, game: Rules, facts: list[Fact], seed: int
) -> None:
    memory = InMemoryGame(game.compile())
    for fact in sorted(facts, key=lambda fact: fact.moment):  # in order, so that nothing is kept
        memory.process([fact])
    both = mine(facts)
    told = restate(memory.game, both, [held(memory, "p0"), held(memory, "p1")])
    assert_told(memory.game, both, told)
    expected = oracle.play(game.document, game.applied_seq, both)
    points = told.cells.get("points") or {"earned": 0, "spent": 0}
    assert (points["earned"], points["spent"]) == (expected.earned, expected.spent)
    assert {key.removeprefix("badge/") for key in told.cells if key.startswith("badge/")} == expected.badges
    # And back, as each would have been alone.
    again = held_awards(memory.game, both, told.cells, told.ledger)
    for who in ("p0", "p1"):
        own = memory.facts(who)
        apart = restate(memory.game, own, [again])
        assert_told(memory.game, own, apart)
        if part:
            assert sorted(apart.ledger, key=str) == sorted(memory.ledger(who), key=str)


@settings(thorough, max_examples=60)
@given(game=ordered_games(), facts=histories(participants=2, size=25), seed=seeds)
def test_what_late_facts_left_in_place_goes_along(game: Rules, facts: list[Fact], seed: int) -> None:
    memory = play(game, facts, seed)
    both = mine(facts)
    told = restate(memory.game, both, [held(memory, "p0"), held(memory, "p1")])
    assert verify(memory.game, both, told.cells, told.ledger).differences == []


def test_what_both_were_given_once_is_given_once() -> None:
    story = Story(
        "badges: [{code: b, name: B, criteria: {on: a, target: 1}}]\n"
        "points: [{code: p, on: a, award: 1, limit: {times: 1, per: ever}}]"
    )
    story.send("a", "2026-04-02", who="p0")
    story.send("a", "2026-04-01", who="p1")
    both = mine([*story.memory.facts("p0"), *story.memory.facts("p1")])
    told = restate(story.memory.game, both, [held(story.memory, "p0"), held(story.memory, "p1")])
    assert told.cells["badge/b"]["fact"] == both[0].fact_id
    assert [(entry.amount, entry.seq) for entry in told.ledger] == [(1, both[0].seq)]
