"""Promise 3: whatever the order of arrival, duplicates and batches, state equals one fold in order of event time."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bq_server.game.facts import Fact
from bq_server.game.in_memory import InMemoryGame, fold
from bq_server.game.mechanics import ordered_quest, runs
from bq_server.game.state.keys import Cell
from bq_server.game.verification import verify
from tests.game.fact_strategies import dense_histories, histories, histories_with_voids, positive
from tests.game.participant_strategies import games_about_participants, histories_with_attributes
from tests.game.strategies import Rules, games, ordered_games, revocable_games

thorough = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32)


@pytest.fixture(scope="module", autouse=True)
def _short_memory() -> object:
    """Keep little, so that facts fall before what is kept as often as not."""
    patch = pytest.MonkeyPatch()
    patch.setattr(ordered_quest, "TAIL", 3)
    patch.setattr(ordered_quest, "LATENESS", -1)
    patch.setattr(runs, "KEPT_PERIODS", 3)
    yield
    patch.undo()


def play(game: Rules, facts: list[Fact], seed: int) -> InMemoryGame:
    """Process facts shuffled, some of them several times, in batches of any size."""
    chance = random.Random(seed)
    arrivals = facts + chance.sample(facts, chance.randint(0, len(facts)))
    chance.shuffle(arrivals)
    memory = InMemoryGame(game.compile())
    while arrivals:
        size = chance.choice([1, 1, 2, 5, len(arrivals)])
        memory.process(arrivals[:size])
        del arrivals[:size]
    return memory


def play_changed(old: Rules, new: Rules, facts: list[Fact], seed: int) -> InMemoryGame:
    """Process half of the facts by one game, change it into another, and process the others by that."""
    half = len(facts) // 2
    memory = play(old, facts[:half], seed)
    memory.game = new.compile()
    memory.refold(memory.game.rules)
    memory.process(facts[half:])
    return memory


def assert_equals_fold(memory: InMemoryGame) -> None:
    for participant in memory.participants:
        ledger = memory.ledger(participant)
        causes = [entry.cause for entry in ledger]
        assert len(causes) == len(set(causes))
        found = verify(memory.game, memory.facts(participant), memory.cells(participant), ledger)
        assert found.differences == []


@pytest.mark.parametrize("part", range(4))
@thorough
@given(game=games(), facts=histories(), seed=seeds)
def test_any_order_duplicates_and_batches_equal_one_fold(part: int, game: Rules, facts: list[Fact], seed: int) -> None:
    assert_equals_fold(play(game, facts, seed + part))


@pytest.mark.parametrize("part", range(4))
@thorough
@given(game=st.one_of(games(), revocable_games()), facts=histories_with_voids(), seed=seeds)
def test_what_is_void_counts_nowhere_in_any_order(part: int, game: Rules, facts: list[Fact], seed: int) -> None:
    assert_equals_fold(play(game, facts, seed + part))


@pytest.mark.parametrize("part", range(2))
@thorough
@given(game=revocable_games(), facts=histories_with_voids(values=positive), seed=seeds)
def test_what_may_be_taken_back_is_as_if_it_had_never_been(
    part: int, game: Rules, facts: list[Fact], seed: int
) -> None:
    memory = play(game, facts, seed + part)
    at_once = fold(game.compile(), facts).cells
    for participant in memory.participants:
        cells, expected = memory.cells(participant), at_once[participant]
        assert given_to(cells, game) == given_to(expected, game)
        assert cells.get("points") == expected.get("points") or not any((cells["points"] or {}).values())
        ledger = memory.ledger(participant)
        found = verify(memory.game, memory.facts(participant), cells, ledger)
        stays = ("tiers/", *undefined_badges(cells, game))
        assert [each for each in found.kept if not each.key.startswith(stays)] == []


@pytest.mark.parametrize("voids", [False, True])
@pytest.mark.parametrize("part", range(2))
@settings(thorough, max_examples=200)
@given(data=st.data(), game=games_about_participants(), seed=seeds)
def test_attributes_that_change_in_any_order(
    part: int, voids: bool, data: st.DataObject, game: Rules, seed: int
) -> None:
    facts = data.draw(histories_with_attributes(voids=voids))
    memory = play(game, facts, seed + part)
    assert_equals_fold(memory)
    assert memory.refold(memory.game.rules).effects == []


@pytest.mark.parametrize("voids", [False, True])
@settings(thorough, max_examples=50)
@given(data=st.data(), game=games_about_participants(awards=True), seed=seeds)
def test_awards_that_conditions_see_in_any_order(voids: bool, data: st.DataObject, game: Rules, seed: int) -> None:
    facts = data.draw(histories_with_voids(2, 14) if voids else histories(2, 14))
    memory = play(game, facts, seed)
    assert_equals_fold(memory)
    assert memory.refold(memory.game.rules).effects == []
    assert_equals_fold(memory)


@settings(thorough, max_examples=40)
@given(
    old=games_about_participants(awards=True), new=games_about_participants(awards=True), facts=histories(), seed=seeds
)
def test_a_changed_game_tells_awards_anew(old: Rules, new: Rules, facts: list[Fact], seed: int) -> None:
    assert_equals_fold(play_changed(old, new, facts, seed))


def given_to(cells: Mapping[str, Cell], game: Rules) -> tuple[set[str], dict[str, set[str]]]:
    """The badges held, and the steps awarded, without those badges that nothing takes back."""
    steps = {key: set(cell["given"]) for key, cell in cells.items() if isinstance(cell, dict) and cell.get("given")}
    return {key for key in cells if key.startswith("badge/")} - undefined_badges(cells, game), steps


def undefined_badges(cells: Mapping[str, Cell], game: Rules) -> set[str]:
    """Those held that the game doesn't define, which an award by hand may give."""
    defined = {f"badge/{badge['code']}" for badge in game.document["badges"]}
    return {key for key in cells if key.startswith("badge/") and key not in defined}


@pytest.mark.parametrize("part", range(2))
@settings(thorough, max_examples=300)
@given(game=ordered_games(), facts=dense_histories(), seed=seeds)
def test_challenges_whose_outcome_depends_on_order(part: int, game: Rules, facts: list[Fact], seed: int) -> None:
    assert_equals_fold(play(game, facts, seed + part))


@settings(thorough, max_examples=150)
@given(game=games(), facts=histories(participants=1, size=30))
def test_in_order_one_by_one_gives_the_awards_of_one_fold_at_the_same_times(game: Rules, facts: list[Fact]) -> None:
    memory = InMemoryGame(game.compile())
    for fact in sorted(facts, key=lambda fact: fact.moment):
        memory.process([fact])
    at_once = fold(game.compile(), facts).cells
    for participant in memory.participants:
        cells = memory.cells(participant)
        assert awards(cells) == awards(at_once[participant])
        found = verify(memory.game, memory.facts(participant), cells, memory.ledger(participant))
        assert (found.differences, found.kept) == ([], [])


def awards(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Everything given, with the time it was given."""
    held = {
        key: cell for key, cell in cells.items() if key.startswith(("badge/", "score/", "tiers", "points", "purses"))
    }
    steps = {key: cell.get("given") for key, cell in cells.items() if key.startswith(("challenge/", "streak/"))}
    return held | steps


@settings(thorough, max_examples=100)
@given(game=games(), facts=histories(), seed=seeds)
def test_refolding_changes_nothing_where_nothing_changed(game: Rules, facts: list[Fact], seed: int) -> None:
    memory = play(game, facts, seed)
    before = {each: memory.ledger(each) for each in memory.participants}
    result = memory.refold(memory.game.rules)
    assert result.effects == []
    assert {each: memory.ledger(each) for each in memory.participants} == before
    assert_equals_fold(memory)


@settings(thorough, max_examples=150)
@given(old=games(), new=games(), facts=histories(), seed=seeds)
def test_a_changed_game_counts_as_if_it_had_always_been(old: Rules, new: Rules, facts: list[Fact], seed: int) -> None:
    assert_equals_fold(play_changed(old, new, facts, seed))


def test_a_badge_by_hand_that_was_never_earned_counts_once_when_it_is_counted_no_more() -> None:
    badge = {"code": "b", "name": "B", "criteria": {"on": ["a"], "aggregate": "count", "target": 1}}
    old, new = (Rules({"badges": [each]}, 0) for each in ({**badge, "repeatable": True}, badge))
    by_hand = Fact("f1", 1, "system.badge_awarded", "badge_awarded", "p0", {"badge_code": "b"}, 1, 1, "k1", None)
    earned = Fact("f2", 2, "custom.a", "a", "p0", {}, 1, 1, "k2", None)
    memory = play(old, [by_hand], 0)
    memory.game = new.compile()
    memory.refold(memory.game.rules)
    memory.process([earned])
    assert_equals_fold(memory)
