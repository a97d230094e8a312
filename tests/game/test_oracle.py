"""The fold against a second opinion that shares no code with it."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bq_server.game.challenge_states import read_challenges
from bq_server.game.facts import Fact
from bq_server.game.in_memory import InMemoryGame
from bq_server.game.mechanics.leaderboards import NEVER_REACHED
from bq_server.game.mechanics.quest_rule import QuestRule
from bq_server.game.mechanics.streaks import StreakRule
from bq_server.game.read_models import read_badges, read_points
from bq_server.game.state.keys import is_hidden
from bq_server.game.step import board_score
from bq_server.game.streak_states import read_streaks
from bq_server.processing.team_changes import team_scores
from tests.game import oracle
from tests.game.fact_strategies import dense_histories, histories, histories_with_voids, positive
from tests.game.oracle_outcome import Outcome
from tests.game.participant_strategies import games_about_participants, histories_with_attributes
from tests.game.strategies import Rules, games, ordered_games, revocable_games
from tests.game.test_property import play, seeds, thorough


@pytest.mark.parametrize("part", range(2))
@settings(thorough, max_examples=250)
@given(game=games(), facts=histories(participants=1, size=25), wait=st.integers(0, 10))
def test_the_fold_means_what_the_document_says(part: int, game: Rules, facts: list[Fact], wait: int) -> None:
    memory = InMemoryGame(game.compile())
    story = sorted(facts, key=lambda fact: fact.moment)
    # Some facts one by one, the rest at once.
    for fact in story[: wait + part]:
        memory.process([fact])
    memory.process(story[wait + part :])
    expected = oracle.play(game.document, game.applied_seq, facts)
    assert seen(memory) == expected


@pytest.mark.parametrize("part", range(2))
@settings(thorough, max_examples=250)
@given(game=games(), facts=histories_with_voids(participants=1, size=25))
def test_void_facts_count_nowhere(part: int, game: Rules, facts: list[Fact]) -> None:
    memory = InMemoryGame(game.compile())
    memory.process(facts)
    assert something(seen(memory)) == something(oracle.play(game.document, game.applied_seq, facts))


@pytest.mark.parametrize("part", range(2))
@settings(thorough, max_examples=250)
@given(game=revocable_games(), facts=histories_with_voids(participants=1, size=25, values=positive), seed=seeds)
def test_voids_take_back_all_that_their_facts_gave(part: int, game: Rules, facts: list[Fact], seed: int) -> None:
    memory = play(game, facts, seed + part)
    if facts:
        assert something(seen(memory)) == something(oracle.play(game.document, game.applied_seq, facts))


@settings(thorough, max_examples=125)
@given(game=games_about_participants(), facts=histories_with_attributes(size=25))
def test_conditions_see_the_attributes_of_the_time(game: Rules, facts: list[Fact]) -> None:
    memory = InMemoryGame(game.compile())
    memory.process(facts)
    assert seen(memory) == oracle.play(game.document, game.applied_seq, facts)


@settings(thorough, max_examples=75)
@given(game=games_about_participants(awards=True), facts=histories(participants=1, size=20))
def test_conditions_see_the_awards_of_the_facts_before(game: Rules, facts: list[Fact]) -> None:
    memory = InMemoryGame(game.compile())
    memory.process(facts)
    assert seen(memory) == oracle.play(game.document, game.applied_seq, facts)


@settings(thorough, max_examples=250)
@given(game=ordered_games(), facts=dense_histories())
def test_the_order_of_facts_means_what_the_document_says(game: Rules, facts: list[Fact]) -> None:
    memory = InMemoryGame(game.compile())
    memory.process(facts)
    assert seen(memory) == oracle.play(game.document, game.applied_seq, facts)


def something(outcome: Outcome) -> Outcome:
    """The same, without streaks of nothing: one whose records are all void says as much as none."""
    outcome.streaks = {code: runs for code, runs in outcome.streaks.items() if runs != (0, 0)}
    return outcome


def seen(memory: InMemoryGame, who: str = "p0") -> Outcome:
    compiled, cells = memory.game, memory.cells(who)
    out = Outcome()
    out.hidden = is_hidden(cells)
    points = read_points(compiled, cells)
    out.earned, out.spent, out.expired = points.total_earned, points.total_spent, points.total_expired
    out.purses = {
        code: [each["earned"], each["spent"], each.get("expired", 0)]
        for code, each in cells.get("purses", {}).items()
        if each["earned"] or each["spent"] or each.get("expired")
    }
    kept = {"coins": cells.get("points") or {}, **cells.get("purses", {})}
    out.received = {code: each["received"] for code, each in kept.items() if "received" in each}
    for code, each in kept.items():
        given = out.received.get(code, 0)
        assert not each or each["balance"] == each["earned"] + given - each["spent"] - each.get("expired", 0)
    out.counts = {badge.code: badge.count for badge in read_badges(compiled, cells) if badge.count is not None}
    out.badges = {badge.code for badge in read_badges(compiled, cells) if badge.earned}
    out.badges |= {key.removeprefix("badge/") for key in cells if key.startswith("badge/")}
    for state in read_challenges(compiled, cells, now=0):
        if state.completions is not None and state.longest_streak is not None:
            out.rounds[state.code] = (state.completions, state.longest_streak)
            # At that moment, long ago, nothing has happened.
            out.objectives.update({(state.code, each.code): each.value for each in state.objectives})
            continue
        rule = compiled.rules[f"challenge/{state.code}"]
        assert isinstance(rule, QuestRule)
        progress = rule.open(cells.get(rule.cell)).progress
        for part, objective in enumerate(state.objectives):
            value: Any = rule.quest.measures[part].shown(progress.values[part])
            out.objectives[state.code, objective.code] = "met" if objective.completed else Fraction(str(value))
        if state.completed_at is not None:
            out.completed.add(state.code)
        out.milestones |= {(state.code, each.at) for each in state.milestones if each.reached}
    for streak in read_streaks(compiled, cells, now=0):
        rule = compiled.rules[f"streak/{streak.code}"]
        assert isinstance(rule, StreakRule)
        runs = rule.runs(cells[f"streak/{streak.code}"])
        out.streaks[streak.code] = (runs.current, streak.longest_count)
    for key, cell in cells.items():
        place = board_score(compiled, who, key, cell) if key.startswith("score/") else None
        if place is not None and place.board != "leaderboard/pts":
            code = place.board.removeprefix("leaderboard/")
            reached_at = None if place.reached_at == NEVER_REACHED else place.reached_at
            out.scores[code, place.window, place.period] = (Fraction(str(place.score)), reached_at)
    for (board, window, period), team, told in team_scores(compiled, cells):
        code = board.removeprefix("teams/")
        reached_at = None if told.reached_at == NEVER_REACHED else told.reached_at
        if code != "pts":
            out.scores[code, window, f"{period}/{team}"] = (Fraction(str(told.score)), reached_at)
    for key, cell in cells.items():
        kind, _, code = key.partition("/")
        place = board_score(compiled, "p0", key, cell) if kind in ("contest", "placed") else None
        if place is not None and kind == "contest":
            reached_at = None if place.reached_at == NEVER_REACHED else place.reached_at
            out.contests[code] = (Fraction(str(place.score)), reached_at)
        elif place is not None and place.score is not None:
            out.placed[code] = -int(place.score)
    return out
