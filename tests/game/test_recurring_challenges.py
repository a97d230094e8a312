"""Recurring challenges: each round for itself, completions and streaks of them, whatever the order."""

from itertools import permutations
from typing import Any

import pytest

from bq_server.game import Fact
from bq_server.game.mechanics.recurring_challenges import merged, missing, streaks_at
from bq_server.game.rebuild import AwardHistory, rebuild, sound
from tests.game.support import Story, at
from tests.game.test_checking import mistakes

WEEKLY = """
challenges:
  - code: weekly
    name: Weekly
    duration: {type: recurring, every: week}
    objectives: [{code: runs, on: run, target: 2}]
    milestones: [{at: 0.5, rewards: [{points: 1}]}]
    rewards: [{points: 10}]
"""


def runs(story: Story, *moments: str) -> list[Fact]:
    return [story.fact("run", moment) for moment in moments]


def paid(story: Story) -> list[tuple[str, int]]:
    return sorted((entry.cause, entry.amount) for entry in story.memory.ledger("ada"))


def rounds(story: Story, now: str) -> tuple[Any, ...]:
    state = story.challenge("weekly", now)
    return state.progress, state.completions, state.current_streak, state.longest_streak


@pytest.mark.parametrize("order", list(permutations(range(4)))[::3])
def test_each_round_is_a_challenge_of_its_own_whatever_the_order(order: tuple[int, ...]) -> None:
    story = Story(WEEKLY)
    facts = runs(story, "2026-04-05T23:59:59", "2026-04-06", "2026-04-12T23:59:59", "2026-04-13")
    for place in order:
        story.memory.process([facts[place]])
        assert story.differences() == []
    assert paid(story) == [
        ("challenge:weekly/2026-W14/0.5", 1),
        ("challenge:weekly/2026-W15", 10),
        ("challenge:weekly/2026-W15/0.5", 1),
        ("challenge:weekly/2026-W16/0.5", 1),
    ]
    assert rounds(story, "2026-04-12T23:59:59") == (1.0, 1, 1, 1)
    assert rounds(story, "2026-04-13") == (0.5, 1, 1, 1)
    assert rounds(story, "2026-04-20") == (0.0, 1, 0, 1)
    assert story.kept() == []


def test_a_late_fact_joins_two_streaks() -> None:
    story = Story(WEEKLY)
    for week in ("2026-04-06", "2026-04-20"):
        story.memory.process(runs(story, week, week))
    assert rounds(story, "2026-04-21")[1:] == (2, 1, 1)
    story.memory.process(runs(story, "2026-04-13", "2026-04-14"))
    assert rounds(story, "2026-04-21")[1:] == (3, 3, 3)
    assert rounds(story, "2026-04-14")[1:] == (3, 2, 3)
    assert story.differences() == []


def test_a_round_shows_its_dates_and_its_status() -> None:
    story = Story(WEEKLY.replace("every: week", "every: month, timezone: Asia/Tokyo"))
    story.memory.process(runs(story, "2026-03-31T15:00:00"))
    state = story.challenge("weekly", "2026-04-15")
    assert (state.period, state.status, state.progress) == ("2026-04", "active", 0.5)
    assert (state.starts_at, state.expires_at) == (at("2026-03-31T15:00:00"), at("2026-04-30T15:00:00"))
    story.memory.process(runs(story, "2026-04-30T14:59:59"))
    assert story.challenge("weekly", "2026-04-15").status == "completed"
    assert story.challenge("weekly", "2026-04-30T15:00:00").status == "active"


def test_the_effects_and_the_ranking_are_of_the_round() -> None:
    story = Story(WEEKLY)
    result = story.send("run", "2026-04-08")
    told = {effect.type: getattr(effect, "period", None) for effect in result.effects}
    assert told == {"objective": "2026-W15", "challenge": "2026-W15", "milestone": "2026-W15", "points": None}
    (place,) = result.board_scores
    assert (place.board, place.window, place.period, place.score) == ("challenge/weekly", "weekly", "2026-W15", 0.5)


def test_a_changed_challenge_counts_anew_and_pays_nothing_twice() -> None:
    story = Story(WEEKLY)
    story.memory.process(runs(story, "2026-04-06", "2026-04-07", "2026-04-13"))
    before = paid(story)
    story.change(WEEKLY.replace("target: 2", "target: 4"))
    story.memory.refold(["challenge/weekly"])
    assert paid(story) == before
    assert rounds(story, "2026-04-08")[:2] == (0.5, 1), "what was completed stays"
    assert story.differences() == []
    assert "challenge/weekly@" in "".join(story.kept())
    story.change(WEEKLY.replace("every: week", "every: day"))
    story.memory.refold(["challenge/weekly"])
    assert story.challenge("weekly", "2026-04-06").completions == 0
    assert story.differences() == []


def test_what_is_lost_of_a_round_is_found_and_rebuilt() -> None:
    story = Story(WEEKLY)
    story.memory.process(runs(story, "2026-04-06", "2026-04-07", "2026-04-13"))
    memory, cells = story.memory, story.memory.cells("ada")
    broken = {key: cell for key, cell in cells.items() if not key.startswith("past/")} | {
        "challenge/weekly": {**cells["challenge/weekly"], "s": []}
    }
    facts, ledger = memory.facts("ada"), memory.ledger("ada")
    rebuilt = rebuild(memory.game, facts, sound(memory.game, AwardHistory.of(facts), broken), ledger)
    assert rebuilt.cells == cells
    assert rebuilt.missing == []


def test_rounds_as_sets() -> None:
    assert streaks_at([], 5) == (0, 0)
    assert streaks_at([[1, 3], [5, 5]], 4) == (3, 3)
    assert streaks_at([[1, 3], [5, 5]], 2) == (2, 3)
    assert streaks_at([[1, 3], [5, 5]], 7) == (0, 3)
    assert missing([[1, 2]], [[2, 4]]) == [3, 4]
    assert merged([[1, 2]], [[2, 4], [6, 6]]) == [[1, 4], [6, 6]]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            ("every: week", "every: year"),
            "5:40: error: challenges[0].duration.every: should be 'day', 'week' or 'month'",
        ),
        (
            ("every: week", "every: week, timezone: Mars/Base"),
            "5:56: error: challenges[0].duration.timezone: must be an IANA time zone such as Europe/Paris",
        ),
        (
            ("name: Weekly", "enrolment: explicit\n    name: Weekly"),
            "4:16: error: challenges[0].enrolment: must be automatic: everyone takes part in a recurring challenge",
        ),
        (("type: recurring, ", ""), "5:15: error: challenges[0].duration: needs type: fixed, rolling, recurring or"),
    ],
)
def test_a_mistake_in_a_recurring_challenge_has_its_place(changed: tuple[str, str], expected: str) -> None:
    assert mistakes(WEEKLY.replace(*changed))[0].startswith(expected)
