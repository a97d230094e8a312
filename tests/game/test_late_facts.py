"""What late facts cost: stored facts are read by how late a fact is, and seldom at all."""

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bq_server.game.facts import Fact
from bq_server.game.in_memory import InMemoryGame
from bq_server.game.mechanics import checkpoints, ordered_quest, part_order, runs
from bq_server.game.mechanics.measures import Hit, PartReading
from bq_server.game.mechanics.quest_rule import QuestRule
from loadtests.late_facts import GAMES, LATENESS, MINUTE, START, CountedGame, fact, history, minute
from tests.game.definition_strategies import HOUR
from tests.game.fact_strategies import long_history
from tests.game.strategies import Rules, chained_games
from tests.game.support import Story
from tests.game.test_courses import Asked, assert_equals_fold

DAY = 24 * HOUR


@pytest.mark.parametrize("late", LATENESS)
@pytest.mark.parametrize("name", [name for name in GAMES if name != "prerequisite met late"])
def test_a_late_fact_reads_no_stored_ones_where_it_only_adds(name: str, late: str) -> None:
    game = CountedGame(GAMES[name])
    for each in history(name, 600):
        game.process([each])
    chance = random.Random(7)
    read = []
    for number in range(40):
        game.facts_read = 0
        at = START + minute(late, chance, 600, number) * MINUTE + 1 + number
        game.process([fact(1000 + number, at, {"x": number % 7})])
        read.append(game.facts_read)
    assert read == [0] * 40
    assert_equals_fold(game, "p")


@pytest.mark.parametrize("late", ["old ones in order", "old ones in reverse"])
def test_old_facts_that_meet_a_prerequisite_earlier_replay_once_in_many(late: str) -> None:
    game = CountedGame(GAMES["prerequisite met late"].replace("target: 5000", "target: 150"))
    for each in history("prerequisite", 400):
        game.process([each])
    for number in range(100):
        at = START + minute(late, random.Random(), 400, number) * MINUTE + 1 + number
        game.process([fact(1000 + number, at, {"x": 1})])
    assert game.facts_read <= (100 // part_order.KEPT_ENTRIES + 2) * 500
    assert_equals_fold(game, "p")


@pytest.mark.parametrize("length", [100, 1000, pytest.param(4000, marks=pytest.mark.slow)])
def test_how_late_a_fact_is_decides_and_not_how_many_came_before(length: int) -> None:
    """The fact reaches a milestone, and so the past must be looked at."""
    document = GAMES["prerequisite"] + "    milestones: [{at: 0.9, rewards: [{points: 5}]}]\n"
    game = CountedGame(document)
    for each in history("prerequisite", length):
        game.process([each])
    game.process([fact(length + 10, START + (length - 80) * MINUTE + 1, {"x": 900_000})])
    assert 0 < game.facts_read <= 80 + 2 * checkpoints.SPACING
    assert_equals_fold(game, "p")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(game=chained_games(), seed=st.integers(0, 2**32))
@pytest.mark.slow
def test_a_replay_reads_by_how_late_the_fact_is(game: Rules, seed: int) -> None:
    chance = random.Random(seed)
    story = long_history(chance, 300)
    late = chance.sample(story, 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered_quest, "TAIL", 4)
        patch.setattr(ordered_quest, "LATENESS", HOUR)
        patch.setattr(checkpoints, "SPACING", 4)
        asked = Asked(patch)
        memory = InMemoryGame(game.compile())
        for each in story:
            if each not in late:
                memory.process([each])
        for each in late:
            asked.facts.clear()
            # The first fall that comes late may have to be counted from nothing: until then there was no order to keep.
            free = "e" not in memory.cells("p0").get("challenge/c0", {"e": None})
            memory.process([each])
            after = sum(other.moment > each.moment for other in memory.facts("p0"))
            # Facts of the same hour as the checkpoint's are read with those after it.
            together = max(sum(one.occurred_at == two.occurred_at for one in story) for two in story)
            assert free or sum(asked.facts) <= 2 * after + 4 * checkpoints.SPACING + together
        assert_equals_fold(memory, "p0")


@pytest.mark.slow
def test_a_state_has_a_bounded_size() -> None:
    objectives = "".join(
        f"{{code: o{number}, on: a, aggregate: sum, of: properties.x, target: {10**number * 50},"
        f" prerequisites: [{f'o{number - 1}' if number else ''}]}}, "
        for number in range(4)
    )
    game = CountedGame(f"challenges: [{{code: c, name: C, objectives: [{objectives}]}}]")
    sizes = []
    for each in history("chain", 8000):
        game.process([each])
        if each.seq % 500 == 0:
            sizes.append(len(json.dumps(game.cells("p")["challenge/c"])))
    assert max(sizes) < 10_000
    assert sizes[-1] < 1.2 * sizes[4]


def test_the_first_refund_reads_nothing_and_is_no_end_of_that() -> None:
    story = Story(GAMES["falling sum"])
    for day in range(1, 29):
        story.send("a", f"2026-04-{day:02}", {"x": 10})
    story.send("a", "2026-04-29", {"x": -5})
    story.send("a", "2026-04-10T12:00", {"x": -5})
    story.send("a", "2026-04-11T12:00", {"x": 5})
    assert story.memory.requests == 0
    assert story.differences() == []
    assert story.memory.cells("ada")["criteria/b"]["p"]["v"] == [275_000_000]


def test_a_refund_after_its_sum_was_met_leaves_the_order_free() -> None:
    story = Story(GAMES["falling sum"].replace("1000000", "10"))
    story.send("a", "2026-04-02", {"x": 10})
    story.send("a", "2026-04-03", {"x": -5})
    assert "e" not in story.memory.cells("ada")["criteria/b"]
    story.send("a", "2026-04-01", {"x": -5})
    assert story.memory.cells("ada")["criteria/b"]["p"]["d"] == [None]
    assert story.differences() == []


def test_a_refund_beside_a_set_asks_for_the_set_and_no_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story("""
        challenges:
          - code: c
            name: C
            objectives:
              - {code: spend, on: a, aggregate: sum, of: properties.x, target: 1000}
              - {code: kinds, on: a, aggregate: distinct, of: properties.s, target: 10}
              - {code: days, on: a, aggregate: days, target: 10}
        """)
    for day in (1, 2, 4):
        story.send("a", f"2026-04-0{day}", {"x": 10, "s": f"s{day}"})
    asked = Asked(monkeypatch)
    story.send("a", "2026-04-05", {"x": -5, "s": "s1"})
    assert [(request.fact_types, request.prefixes) for request in asked.requests] == [
        (frozenset(), ("seen/challenge/c/",))
    ]
    story.send("a", "2026-04-03", {"x": 1, "s": "s2"})
    story.send("a", "2026-04-02T12:00", {"x": 1, "s": "s3"})
    assert story.objectives("c") == {"spend": 27, "kinds": 4, "days": 5}
    assert len(asked.requests) == 1
    assert story.differences() == []


def test_a_fall_before_a_sum_was_met_counts_from_nothing() -> None:
    """Sums start at 0, and that is their height where the first amount is below."""
    story = Story("""
        challenges:
          - code: c
            name: C
            objectives:
              - {code: spend, on: c, aggregate: sum, of: properties.x, target: 1}
              - {code: other, on: a, target: 1}
        """)
    story.send("c", "2026-04-02", {"x": -1})
    story.send("c", "2026-04-01", {"x": 1})
    assert story.objectives("c") == {"spend": 1, "other": 0}
    assert story.differences() == []


def chain(second: str, target: int = 2) -> CountedGame:
    """Objective `o1` counts `v`, `o2` waits for it, and `o3` is never met."""
    return CountedGame(
        f"challenges: [{{code: c, name: C, objectives: [{{code: o1, on: v, target: {target}}},"
        f" {{code: o2, on: b, prerequisites: [o1], {second}}}, {{code: o3, on: z, target: 1000}}]}}]"
    )


def send(game: CountedGame, name: str, at: int, x: int = 0) -> None:
    seq = len(game.facts("p")) + 1
    game.process([fact(seq, at, {"x": x}, f"custom.{name}")])


def test_a_fall_that_is_let_in_may_leave_unmet_what_was_met_after_it() -> None:
    """What came after `o2` was met is not kept, so that only stored facts know what meets it now."""
    game = chain("aggregate: sum, of: properties.x, target: 5", target=3)
    story = [("v", 0, 0), *(("b", number, 0) for number in range(1, 45)), ("v", 45, 0)]
    story += [("b", 46, -3), ("v", 47, 0), ("b", 48, 5), ("b", 49, 4), *(("z", number, 0) for number in range(50, 70))]
    for name, number, x in story:
        send(game, name, START + number * MINUTE, x)
    assert game.cells("p")["challenge/c"]["w"] == []
    assert game.cells("p")["challenge/c"]["k"] is not None
    send(game, "v", START + 1)
    assert game.facts_read > 0
    assert game.cells("p")["challenge/c"]["p"]["v"][1] == 6_000_000
    assert_equals_fold(game, "p")


def test_a_late_fall_takes_a_milestone_out_of_the_story() -> None:
    game = CountedGame(
        "challenges: [{code: c, name: C, milestones: [{at: 0.5, rewards: [{points: 5}]}],"
        " objectives: [{code: o, on: a, aggregate: sum, of: properties.x, target: 100}]}]"
    )
    for number in range(300):
        send(game, "a", START + number * MINUTE, -1 if number == 3 else 1 if number < 70 else 0)
    send(game, "a", START + 10 * MINUTE + 1, -5)
    assert game.facts_read == 0
    assert_equals_fold(game, "p")
    send(game, "a", START + 11 * MINUTE + 1, -20)
    assert game.facts_read > 0
    assert game.cells("p")["challenge/c"]["p"].get("m", {}) == {}
    assert_equals_fold(game, "p")


def test_facts_before_a_turn_do_not_swell_it() -> None:
    game = chain("target: 1000")
    send(game, "v", START)
    send(game, "v", START + DAY)
    for number in range(200):
        send(game, "b", START + 2 * DAY + number)
    size = len(json.dumps(game.cells("p")["challenge/c"]))
    for number in range(300):
        send(game, "b", START + HOUR + number)
    assert len(json.dumps(game.cells("p")["challenge/c"])) < size + 2000
    send(game, "v", START + 1)
    assert game.cells("p")["challenge/c"]["p"]["v"][1] == 500
    assert_equals_fold(game, "p")


def test_two_facts_of_one_day_that_are_let_in_count_one_day() -> None:
    game = chain("aggregate: days, target: 1000")
    send(game, "v", START)
    for hour in (10, 11):
        send(game, "b", START + hour * HOUR)
    send(game, "v", START + 12 * HOUR)
    for day in range(2, 100):
        send(game, "b", START + day * DAY)
    send(game, "v", START + HOUR)
    assert game.facts_read == 0
    assert game.cells("p")["challenge/c"]["p"]["v"][1] == 99
    assert_equals_fold(game, "p")


ROLLING = """
challenges:
  - code: c
    name: C
    duration: {type: rolling, days: 7}
    objectives: [{code: o, on: e, target: 100}]
"""


def test_a_rolling_course_that_begins_earlier_asks_for_what_falls_within_it(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(ROLLING)
    for day in range(20, 30):
        story.send("e", f"2026-04-{day}")
    asked = Asked(monkeypatch)
    story.send("e", "2026-04-01")
    assert (asked.requests, story.objectives("c")) == ([], {"o": 1})
    story.send("e", "2026-03-31")
    assert (asked.requests, story.objectives("c")) == ([], {"o": 2})
    story.send("e", "2026-03-25T12:00")
    assert (asked.requests, story.objectives("c")) == ([], {"o": 3})
    story.send("e", "2026-03-24T12:00")
    assert [len(asked.requests), story.objectives("c")["o"]] == [1, 3]
    assert story.differences() == []
    rule = story.memory.game.rules["challenge/c"]
    assert isinstance(rule, QuestRule)
    late = story.fact("e", "2026-03-23T12:30")
    replay = rule.late([Hit(late, (PartReading(0, "matched", 1),))], story.memory.cells("ada"))
    assert replay is not None
    assert (replay.since, replay.until) == (late.occurred_at, late.occurred_at + 7 * DAY)


def test_a_late_record_of_a_streak_asks_for_its_old_periods_and_no_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story("streaks: [{code: s, on: e, period: daily, timezone: UTC, grace_period_hours: 0}]")
    facts = [replace(story.fact("e", "2025-01-01"), occurred_at=START + day * DAY) for day in range(0, 800, 2)]
    for each in facts:
        story.memory.process([each])
    asked = Asked(monkeypatch)
    for day in (1, 3, 401, 5):
        story.memory.process([replace(story.fact("e", "2025-01-01"), occurred_at=START + day * DAY)])
    assert asked.facts == [0] * 4
    assert {request.fact_types for request in asked.requests} == {frozenset()}
    assert story.streak("2030-01-01").longest_count == 7
    story.memory.process([replace(story.fact("e", "2025-01-01"), occurred_at=START + day * DAY) for day in (7, 11)])
    assert story.streak("2030-01-01").longest_count == 9
    assert story.differences() == []


def test_a_streak_of_an_earlier_release_replays_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT_PERIODS", 5)
    story = Story("streaks: [{code: s, on: e, period: daily, timezone: UTC, grace_period_hours: 0}]")
    for day in range(1, 29, 2):
        story.send("e", f"2026-04-{day:02}")
    older = {key: json.dumps(cell) for key, cell in story.memory.cells("ada").items() if not key.startswith("seen/")}
    older["streak/s"] = json.dumps({k: v for k, v in json.loads(older["streak/s"]).items() if k != "w"})
    story.memory._participants["ada"].cells = older
    assert story.differences() == []
    asked = Asked(monkeypatch)
    story.send("e", "2026-04-29")
    story.send("e", "2026-04-02")
    story.send("e", "2026-04-04")
    assert [bool(count) for count in asked.facts] == [True, False]
    assert story.streak("2026-04-29").longest_count == 5
    assert story.differences() == []


def as_first_release(cell: dict[str, Any]) -> dict[str, Any]:
    """What the first release kept of a course."""
    old = {name: value for name, value in cell.items() if name not in ("w", "y")}
    return old | {"b": {name: value for name, value in cell["b"].items() if name != "h"}}


def test_a_course_of_an_earlier_release_replays_once(monkeypatch: pytest.MonkeyPatch) -> None:
    game = CountedGame(GAMES["prerequisite"])
    for each in history("prerequisite", 500):
        game.process([each])
    cells = game._participants["p"].cells
    cells["challenge/c"] = json.dumps(as_first_release(json.loads(cells["challenge/c"])))
    assert_equals_fold(game, "p")
    game.process([fact(900, START + 600 * MINUTE, {"x": 1})])
    game.process([fact(901, START + 600 * MINUTE - 1, {"x": 1})])
    assert game.facts_read == 0
    for number, expected in ((902, 500), (903, 0)):
        game.facts_read = 0
        game.process([fact(number, START + 100 * MINUTE + number, {"x": 1})])
        assert game.facts_read >= expected
        assert bool(game.facts_read) == bool(expected)
    assert_equals_fold(game, "p")


def test_a_course_of_which_all_is_at_hand_has_no_past_to_ask_for() -> None:
    """Whoever wrote the cell: an earlier release, or what takes facts on time without this."""
    game = CountedGame(GAMES["prerequisite"])
    for each in history("prerequisite", 60):
        game.process([each])
    cells = game._participants["p"].cells
    cells["challenge/c"] = json.dumps(as_first_release(json.loads(cells["challenge/c"])))
    for number in range(60, 200):
        game.process([fact(number + 2, START + number * MINUTE, {"x": 1})])
    game.process([fact(900, START + 10 * MINUTE + 1, {"x": 1})])
    assert game.facts_read == 0
    assert_equals_fold(game, "p")


def test_a_late_appearance_asks_for_its_set_and_no_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(
        "leaderboards: [{code: l, name: L, window: [all_time, monthly],"
        " metric: {on: e, aggregate: distinct, of: properties.x}}]"
    )
    asked = Asked(monkeypatch)
    for day in range(28, 0, -1):
        story.send("e", f"2026-04-{day:02}", {"x": day % 3})
    assert story.memory.cells("ada")["score/l/all_time/all_time"]["score"] == 3
    assert asked.requests
    assert set(asked.facts) == {0}
    assert story.differences() == []


def test_one_request_for_two_rules_gives_each_what_it_asked_for() -> None:
    """A board that asks for a set sees facts as well, where a challenge asks for those."""
    story = Story(GAMES["prerequisite"].replace("1000000", "50") + GAMES["distinct board"])
    facts: list[Fact] = [fact(number, START + number * MINUTE, {"x": 1}) for number in range(2, 302, 2)]
    for each in facts:
        story.memory.process([replace(each, participant_id="ada")])
    story.memory.process([replace(fact(900, START, {"x": 1}), participant_id="ada")])
    story.memory.process([replace(fact(901, START - 1, {"x": -200}), participant_id="ada")])
    story.memory.process([replace(fact(902, START - 2, {"x": 1}), participant_id="ada")])
    assert story.differences() == []


def test_who_never_has_to_enrol_is_not_shown_as_enrolled() -> None:
    story = Story(GAMES["prerequisite"])
    story.send("a", "2026-04-01", {"x": 1})
    assert story.challenge("c").enrolled_at is None
