"""Courses with long histories: late facts replay from a checkpoint, and come to what one fold comes to."""

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bq_server.game.facts import Fact, Moment
from bq_server.game.in_memory import InMemoryGame, fold
from bq_server.game.mechanics import checkpoints, ordered_quest, part_order
from bq_server.game.mechanics.quest_rule import QuestRule
from bq_server.game.step import HistoryRequest, Past
from bq_server.game.verification import verify
from tests.game.definition_strategies import HOUR
from tests.game.fact_strategies import ARRIVALS, dense_histories, histories, long_history
from tests.game.strategies import Rules, chained_games, ordered_games
from tests.game.support import Story, at

LONG = """
challenges:
  - code: c
    name: C
    enrolment: {enrolment}
    duration: {type: perpetual}
    objectives:
      - {code: visit, on: visit, aggregate: count, target: 3}
      - {code: buy, on: buy, aggregate: sum, of: properties.amount, target: 100000, prerequisites: [visit]}
    milestones: [{at: 0.5, rewards: [{points: 5}]}, {at: 0.55, rewards: [{points: 5}]}]
"""


@pytest.fixture
def _short_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        _shorten(patch)
        yield


def _shorten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ordered_quest, "TAIL", 2)
    patch.setattr(ordered_quest, "MAX_TAIL", 3)
    patch.setattr(ordered_quest, "LATENESS", HOUR)
    patch.setattr(ordered_quest, "MAX_MEMBERS", 2)
    patch.setattr(ordered_quest, "KEPT_ENTRIES", 3)
    patch.setattr(ordered_quest, "MAX_STRETCHES", 3)
    patch.setattr(part_order, "KEPT_ENTRIES", 3)
    patch.setattr(checkpoints, "SPACING", 2)
    patch.setattr(checkpoints, "KEPT", 3)


class Asked:
    """What a game in memory asks of the past."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[HistoryRequest] = []
        self.facts: list[int] = []
        past = InMemoryGame._past

        def counting(memory: InMemoryGame, request: HistoryRequest) -> Past:
            found = past(memory, request)
            self.requests.append(request)
            self.facts.append(len(found.facts))
            return found

        monkeypatch.setattr(InMemoryGame, "_past", counting)


def long_story(length: int, enrolment: str = "automatic") -> tuple[Story, list[Fact]]:
    story = Story(LONG.replace("{enrolment}", enrolment))
    facts = []
    for number in range(length):
        fact = story.fact("visit" if number % 50 == 0 else "buy", "2026-04-01", {"amount": 1})
        facts.append(replace(fact, occurred_at=fact.occurred_at + number * 60_000_000))
    return story, facts


def assert_equals_fold(memory: InMemoryGame, who: str = "ada") -> None:
    found = verify(memory.game, memory.facts(who), memory.cells(who), memory.ledger(who))
    assert found.differences == []


@pytest.mark.parametrize(("minutes", "most"), [(100, 200), (500, 1000), (1000, 1800)])
def test_a_late_fact_asks_for_little_more_than_what_came_after_it(
    monkeypatch: pytest.MonkeyPatch, minutes: int, most: int
) -> None:
    story, facts = long_story(2000)
    for start in range(0, 2000, 25):
        story.memory.process(facts[start : start + 25])
    asked = Asked(monkeypatch)
    # It reaches a milestone, and only the past knows when.
    late = story.fact("buy", "2026-04-01", {"amount": 9000})
    late = replace(late, occurred_at=facts[-1].occurred_at - minutes * 60_000_000 - 1)
    story.memory.process([late])
    assert minutes <= asked.facts[0] <= most
    assert len(asked.facts) == 1
    assert asked.requests[0].prefixes == ()
    assert_equals_fold(story.memory)
    assert story.objectives("c")["buy"] == fold_value(story, "buy")


def fold_value(story: Story, objective: str) -> Any:
    cells = fold(story.memory.game, story.memory.facts("ada")).cells["ada"]
    rule = story.memory.game.rules["challenge/c"]
    assert isinstance(rule, QuestRule)
    progress = rule.open(cells["challenge/c"]).progress
    return progress.shown(rule.quest, {"visit": 0, "buy": 1}[objective])


def test_a_second_late_fact_finds_the_checkpoints_that_the_first_one_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    story, facts = long_story(2000)
    story.memory.process(facts)
    asked = Asked(monkeypatch)
    # A milestone, the end, back from there, the end again.
    for minutes, amount in ((1500, 9000), (200, 90_000), (1000, -50_000), (200, 50_000)):
        late = story.fact("buy", "2026-04-01", {"amount": amount})
        story.memory.process([replace(late, occurred_at=facts[-1].occurred_at - minutes * 60_000_000 - 1)])
    assert asked.facts[1] < 450
    assert asked.facts[3] < 450
    assert len(asked.facts) == 4
    assert_equals_fold(story.memory)


def test_an_enrolment_moved_earlier_counts_from_there() -> None:
    story, facts = long_story(600, "explicit")
    for number, minute in ((1, 500), (2, 100)):
        enrolled = story.fact("system.challenge_enrolled", "2026-04-01", {"challenge_code": "c"})
        facts.append(replace(enrolled, fact_id=f"e{number}", occurred_at=facts[0].occurred_at + minute * 60_000_000))
    story.memory.process([facts[600]])
    for fact in facts[:600]:
        story.memory.process([fact])
    before = story.objectives("c")["buy"]
    story.memory.process([facts[601]])
    assert story.objectives("c")["buy"] == fold_value(story, "buy") > before
    assert_equals_fold(story.memory)


@pytest.mark.usefixtures("_short_memory")
def test_facts_of_the_checkpoints_own_time_count_once() -> None:
    story, facts = long_story(40)
    facts = [replace(fact, occurred_at=at("2026-04-01") + (fact.seq // 8) * HOUR) for fact in facts]
    visits = [replace(fact, fact_type="custom.visit", fact_id=f"v{n}", seq=100 + n) for n, fact in enumerate(facts[:3])]
    for fact in [*visits, *facts]:
        story.memory.process([fact])
    for number, fact in enumerate(facts[10:30]):
        story.memory.process([replace(fact, fact_id=f"l{number}", seq=200 + number)])
    assert story.objectives("c")["buy"] == fold_value(story, "buy")
    assert_equals_fold(story.memory)


def test_sets_too_large_are_not_kept_several_times() -> None:
    document = LONG.replace("{enrolment}", "automatic").replace("sum", "distinct").replace("100000", "1000")
    story = Story(document)
    for number in range(400):
        story.send("visit" if number < 3 else "buy", "2026-04-01", {"amount": number})
    rule = story.memory.game.rules["challenge/c"]
    assert isinstance(rule, QuestRule)
    course = rule.open(story.memory.cells("ada")["challenge/c"]).course
    assert course is not None
    assert len(course.checkpoints.rows) < 2
    assert_equals_fold(story.memory)


def test_a_broken_cell_is_not_opened() -> None:
    story, facts = long_story(200)
    story.memory.process(facts)
    rule = story.memory.game.rules["challenge/c"]
    assert isinstance(rule, QuestRule)
    breaks = [("t", [[1]]), ("c", [200, [[1, 2, 3, {}]]]), ("t", [[1, 2, [[9, 1]]]]), ("w", [[0, None, {}, []]])]
    for name, broken in breaks:
        with pytest.raises((TypeError, ValueError, LookupError)):
            rule.open(story.memory.cells("ada")["challenge/c"] | {name: broken})


def test_checkpoints_thin_out_with_age() -> None:
    kept = checkpoints.Checkpoints()
    for number in range(10_000):
        if kept.due():
            kept.keep(Moment(number, number), {})
    places = [0, *(row[0] for row in kept.rows)]
    assert len(places) == checkpoints.KEPT + 1
    for earlier, later in itertools.pairwise(places):
        assert 10_000 - earlier <= 4 * (10_000 - later + checkpoints.SPACING)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(game=chained_games(), seed=st.integers(0, 2**32), order=st.sampled_from(list(ARRIVALS)))
def test_long_courses_in_any_order_of_arrival_equal_one_fold(game: Rules, seed: int, order: str) -> None:
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        _shorten(patch)
        arrivals = ARRIVALS[order](long_history(chance), chance)
        memory = InMemoryGame(game.compile())
        while arrivals:
            size = chance.choice([1, 1, 1, 2, 4])
            memory.process(arrivals[:size])
            del arrivals[:size]
            if not arrivals or chance.random() < 0.1:
                assert_equals_fold(memory, "p0")


late_orders = st.sampled_from(["shuffled", "nearly in order"])


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    game=ordered_games(),
    facts=st.one_of(dense_histories(), histories(participants=1, size=40)),
    seed=st.integers(0, 2**32),
    order=late_orders,
)
def test_any_order_of_arrival_equals_one_fold(game: Rules, facts: list[Fact], seed: int, order: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        _shorten(patch)
        memory = arrive(game, facts, seed, shuffled=order == "shuffled")
        for who in memory.participants:
            assert_equals_fold(memory, who)


def arrive(game: Rules, facts: Sequence[Fact], seed: int, *, shuffled: bool) -> InMemoryGame:
    """Process facts in an order in which one in four comes late, or none comes when it should; some twice."""
    chance = random.Random(seed)
    arrivals = sorted(facts, key=lambda fact: fact.moment)
    late = arrivals if shuffled else chance.sample(arrivals, len(arrivals) // 4)
    order = {
        fact.fact_id: place + (chance.randint(0, 40) if fact in late else 0) for place, fact in enumerate(arrivals)
    }
    arrivals = sorted(arrivals + chance.sample(arrivals, len(arrivals) // 3), key=lambda fact: order[fact.fact_id])
    memory = InMemoryGame(game.compile())
    while arrivals:
        size = chance.choice([1, 1, 1, 2, 4])
        memory.process(arrivals[:size])
        del arrivals[:size]
    return memory


def test_a_course_that_begins_earlier_asks_for_nothing_from_after_its_new_end(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    story = Story(
        "challenges: [{code: c, name: C, duration: {type: rolling, days: 2}, "
        "objectives: [{code: buys, on: buy, aggregate: count, target: 100}]}]"
    )
    for moment in ("2026-04-02", "2026-04-02T12:00:00", "2026-04-03T12:00:00", "2026-04-01"):
        story.memory.process([story.fact("buy", moment)])
    (request,) = asked.requests
    assert request.until == story.fact("buy", "2026-04-03").occurred_at
    assert asked.facts == [2]
    assert_equals_fold(story.memory)
