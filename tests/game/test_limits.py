"""Limits and cooldowns: what counts, what a late fact changes, and that any order of arrival pays as often."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from bq_server.game import Fact, check
from bq_server.game.in_memory import InMemoryGame, fold
from bq_server.game.mechanics import limits, ordered_quest
from bq_server.game.verification import verify
from tests.game import oracle
from tests.game.fact_strategies import histories
from tests.game.on_time_game import OnTimeGame
from tests.game.strategies import Rules, limited_games
from tests.game.support import Story
from tests.game.test_oracle import seen
from tests.game.test_property import assert_equals_fold, play, play_changed, seeds

thorough = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))

READER = "points: [{code: read, on: read, award: 10, limit: {times: 3, per: day}}]"
BY_ARTICLE = "points: [{code: read, on: read, award: 10, limit: {times: 1, per: ever, by: properties.article}}]"
PAUSE = "points: [{code: tap, on: tap, award: 1, cooldown: PT10M}]"


def verdicts(result: Any) -> list[tuple[str, str | None]]:
    return [(each.verdict, each.message) for each in result.explanations]


def paid(story: Story) -> list[str]:
    return [entry.cause.rpartition(":")[2] for entry in story.memory.ledger("ada")]


# Points


def test_at_most_so_many_a_day_are_paid_and_the_next_is_told_why_not() -> None:
    story = Story(READER)
    for hour in (9, 10):
        assert verdicts(story.send("read", f"2026-04-01T{hour:02}:00:00")) == [("matched", None)]
    (third,) = story.send("read", "2026-04-01T11:00:00").explanations
    assert (third.verdict, third.value, third.target) == ("matched", 3, 3)
    (fourth,) = story.send("read", "2026-04-01T23:59:59").explanations
    assert (fourth.verdict, fourth.message) == ("limit_reached", "limit reached, 3 of 3 today")
    assert (fourth.value, fourth.target) == (3, 3)
    assert story.points() == 30
    story.send("read", "2026-04-02T00:00:00")
    assert story.points() == 40
    assert story.differences() == []


@pytest.mark.parametrize(
    ("per", "moments", "count"),
    [
        ("day", ["2026-04-05T23:59:59", "2026-04-06", "2026-04-06T12:00:00"], 2),
        ("week", ["2026-04-05T23:59:59", "2026-04-06", "2026-04-12T23:59:59"], 2),
        ("month", ["2026-03-31T23:59:59", "2026-04-01", "2026-04-30T23:59:59"], 2),
        ("ever", ["2026-03-31", "2026-04-01", "2030-01-01"], 1),
    ],
)
def test_periods_are_those_of_the_calendar(per: str, moments: list[str], count: int) -> None:
    story = Story(f"points: [{{code: p, on: e, award: 1, limit: {{times: 1, per: {per}}}}}]")
    for moment in moments:
        story.send("e", moment)
    assert story.points() == count
    assert story.differences() == []


def test_a_day_is_that_of_the_participant_or_of_a_named_zone() -> None:
    for zone, expected in (("participant", 2), ("UTC", 1), ("Asia/Tokyo", 2)):
        story = Story(f"points: [{{code: p, on: e, award: 1, limit: {{times: 1, per: day, timezone: {zone}}}}}]")
        story.send("system.timezone_changed", "2026-03-01", {"timezone": "Asia/Tokyo"})
        story.send("e", "2026-04-01T14:59:59")
        story.send("e", "2026-04-01T15:00:00")  # midnight in Tokyo
        assert story.points() == expected, zone
        assert story.differences() == []


@pytest.mark.parametrize("by", ["", ", by: properties.article"])
def test_a_zone_told_late_moves_days_and_pays_where_there_is_room_now(by: str) -> None:
    story = Story(f"points: [{{code: p, on: e, award: 1, limit: {{times: 1, per: day{by}}}}}]")
    story.send("e", "2026-04-01T14:59:59", {"article": 1})
    story.send("e", "2026-04-01T15:00:00", {"article": 1})
    assert story.points() == 1
    story.send("system.timezone_changed", "2026-03-01", {"timezone": "Asia/Tokyo"})
    assert story.points() == 2
    assert story.differences() == []
    assert story.kept() == []


def test_each_object_has_a_limit_of_its_own() -> None:
    story = Story(BY_ARTICLE)
    for article in (1, 2, 1.0, "1", 1, None):
        story.send("read", "2026-04-01", {"article": article})
    assert story.points() == 40  # 1, 2, "1" and null
    (again,) = story.send("read", "2026-04-02", {"article": 2}).explanations
    assert again.message == "limit reached, 1 of 1 for this properties.article"
    (without,) = story.send("read", "2026-04-02", {}).explanations
    assert without.verdict == "expression_error"
    assert story.points() == 40
    assert story.differences() == []


def test_a_cooldown_lets_nothing_count_until_it_is_over() -> None:
    story = Story(PAUSE)
    told = [
        verdicts(story.send("tap", f"2026-04-01T09:{minute}"))[0]
        for minute in ("00:00", "05:00", "09:59.999999", "10:00", "19:00", "20:00")
    ]
    cooling = ("cooling_down", "cooldown of 0:10:00")
    assert told == [("matched", None), cooling, cooling, ("matched", None), cooling, ("matched", None)]
    assert story.points() == 3
    assert story.differences() == []


def test_what_is_worth_nothing_uses_nothing_up() -> None:
    story = Story("points: [{code: p, on: e, award: properties.x, limit: {times: 1, per: day}}]")
    for amount in (0, 0.5, -1, "many", 7, 8):
        story.send("e", "2026-04-01", {"x": amount})
    assert story.points() == 7


def test_a_late_fact_that_takes_a_place_is_not_paid_again() -> None:
    story = Story(READER.replace("10", "properties.x"))
    for hour in (10, 11, 12, 13):
        story.send("read", f"2026-04-01T{hour}:00:00", {"x": hour})
    assert paid(story) == ["f1", "f2", "f3"]
    (late,) = story.send("read", "2026-04-01T09:00:00", {"x": 9}).explanations
    assert late.verdict == "limit_reached"
    assert story.points() == 10 + 11 + 12
    assert story.differences() == []
    assert story.kept() == ["ledger/points:read:f3"]


def test_a_late_fact_within_a_cooldown_changes_which_count_but_pays_only_if_more_do() -> None:
    story = Story(PAUSE)
    story.send("tap", "2026-04-01T09:05:00")
    story.send("tap", "2026-04-01T09:00:00")  # takes the place of the one before
    assert story.points() == 1
    story.send("tap", "2026-04-01T09:10:00")  # counts after 09:00, though not after 09:05
    assert story.points() == 2
    assert story.differences() == []
    assert story.kept() == ["ledger/points:tap:f1"]


def test_a_payment_that_is_missing_is_a_difference_and_is_restored() -> None:
    story = Story(READER)
    for hour in (10, 11):
        story.send("read", f"2026-04-01T{hour}:00:00")
    memory = story.memory
    ledger = memory.ledger("ada")[:1]
    found = verify(memory.game, memory.facts("ada"), memory.cells("ada"), ledger)
    assert "ledger/points:read:f2" in [each.key for each in found.differences]


def test_a_day_that_is_kept_no_longer_asks_for_the_facts_of_that_day() -> None:
    story = Story(READER)
    for day in range(1, 11):
        story.send("read", f"2026-04-{day:02}T12:00:00")
    asked = story.memory.requests
    for hour, points in ((9, 110), (10, 120), (11, 120)):
        story.send("read", f"2026-04-02T{hour:02}:00:00")
        assert story.points() == points
    assert story.memory.requests == asked + 3
    assert story.differences() == []


def test_a_late_fact_of_a_day_that_is_kept_asks_for_nothing() -> None:
    story = Story(READER)
    for day in range(1, 11):
        story.send("read", f"2026-04-{day:02}T12:00:00")
    story.send("read", "2026-04-08T09:00:00")
    assert (story.memory.requests, story.points()) == (0, 110)


def test_a_wider_limit_pays_what_finds_room_now_and_a_narrower_one_takes_nothing_back() -> None:
    story = Story(READER)
    for hour in range(10, 18):
        story.send("read", f"2026-04-01T{hour}:00:00")
    story.change(READER.replace("times: 3", "times: 5"))
    story.memory.refold(["points/read"])
    assert story.points() == 50
    story.change(READER.replace("times: 3", "times: 2"))
    story.memory.refold(["points/read"])
    story.send("read", "2026-04-01T18:00:00")
    assert story.points() == 50
    assert story.differences() == []
    story.change("points: [{code: read, on: read, award: 10}]")
    story.memory.refold(["points/read"])
    assert story.points() == 90
    assert story.differences() == []


@pytest.mark.parametrize("rule", [READER, READER.replace("times: 3", "times: 3, by: properties.article")])
def test_a_void_makes_room_for_one_that_found_none(rule: str) -> None:
    story = Story(rule)
    for hour in (9, 10, 11, 12, 13):
        story.send("read", f"2026-04-01T{hour:02}:00:00", {"article": 1})
    story.send("system.fact_voided", "2026-04-02", {"fact_id": "f2"})
    assert story.points() == 30
    entries = [(entry.cause, entry.amount) for entry in story.memory.ledger("ada")][3:]
    assert sorted(entries) == [("points:read:f4", 10), ("void:points:read:f2:f6", -10)]
    story.send("read", "2026-04-01T14:00:00", {"article": 1})
    assert story.points() == 30
    assert story.differences() == []


# Badges and objectives


def test_a_badge_counts_the_first_of_each_day() -> None:
    story = Story("badges: [{code: b, name: B, criteria: {on: read, target: 3, limit: {times: 1, per: day}}}]")
    for hour in (9, 10, 11):
        result = story.send("read", f"2026-04-01T{hour:02}:00:00")
    assert [(each.verdict, each.message, each.value) for each in result.explanations] == [
        ("limit_reached", "limit reached, 1 of 1 today", 1)
    ]
    story.send("read", "2026-04-02")
    assert story.badges() == []
    story.send("read", "2026-04-03")
    assert story.badges() == ["b"]
    assert story.differences() == []


SUM = (
    "badges: [{code: b, name: B, criteria: {on: e, aggregate: sum, of: properties.x, target: 10, "
    "limit: {times: 1, per: day}}}]"
)


def test_a_late_fact_takes_the_place_of_one_that_brought_more_but_the_badge_stays() -> None:
    story = Story(SUM)
    story.send("e", "2026-04-01T12:00:00", {"x": 10})
    assert story.badges() == ["b"]
    story.send("e", "2026-04-01T09:00:00", {"x": 4})
    assert story.badges() == ["b"]
    assert story.differences() == []
    assert story.kept() == ["badge/b"]


def test_the_first_of_each_day_are_summed_in_any_order() -> None:
    story = Story(SUM)
    for moment, amount in (("02T12", 4), ("01T12", 5), ("01T09", 3), ("02T09", 6)):
        story.send("e", f"2026-04-{moment}:00:00", {"x": amount})
    (badge,) = [cell for key, cell in story.memory.cells("ada").items() if key == "criteria/b"]
    assert badge["p"]["v"] == [9_000_000]
    assert story.differences() == []


def test_what_does_not_count_for_another_reason_uses_nothing_up() -> None:
    story = Story(
        "challenges: [{code: c, name: C, objectives: [{code: visit, on: visit, target: 1}, "
        "{code: buy, on: buy, target: 2, prerequisites: [visit], limit: {times: 1, per: day}}]}]"
    )
    story.send("buy", "2026-04-01T09:00:00")
    story.send("visit", "2026-04-01T10:00:00")
    story.send("buy", "2026-04-01T11:00:00")
    assert story.objectives("c") == {"visit": 1, "buy": 1}
    told = story.send("buy", "2026-04-01T12:00:00").explanations
    assert [(each.part, each.verdict) for each in told] == [("buy", "limit_reached")]
    assert story.differences() == []


# The document


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("limit: {times: 0, per: day}", "points[0].limit.times: should be greater than or equal to 1"),
        ("limit: {times: 1}", "points[0].limit: needs per"),
        ("limit: {times: 1, per: year}", "points[0].limit.per: should be 'day', 'week', 'month' or 'ever'"),
        ("limit: {times: 1, per: day, by: properties.}", "points[0].limit.by: CEL: "),
        ("limit: {times: 1, per: day, timezone: Mars}", "points[0].limit.timezone: must be an IANA time zone"),
        ("limit: {times: 1, per: day, of: x}", "points[0].limit.of: unknown key of"),
        ("cooldown: 10", "points[0].cooldown: must be an ISO 8601 duration of weeks"),
        ("cooldown: P1M", "points[0].cooldown: must be an ISO 8601 duration of weeks"),
        ("cooldown: PT0S", "points[0].cooldown: must be longer than nothing, and at most P366D"),
    ],
)
def test_every_mistake_is_found_where_it_is(rule: str, expected: str) -> None:
    text = f"points:\n  - code: p\n    on: e\n    award: 1\n    {rule}\n"
    (mistake,) = check(text).errors
    assert (mistake.line, str(mistake).partition("error: ")[2][: len(expected)]) == (5, expected)


def test_many_objects_want_a_small_target() -> None:
    criteria = "criteria: {on: e, target: 1001, limit: {times: 1, per: day, by: properties.x}}"
    (mistake,) = check(f"badges: [{{code: b, name: B, {criteria}}}]").errors
    assert mistake.message == "can be at most 1000 where the limit is by something"


# Any order


@pytest.fixture
def _short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered_quest, "TAIL", 3)
    monkeypatch.setattr(ordered_quest, "LATENESS", -1)


@pytest.mark.usefixtures("_short_memory")
@pytest.mark.parametrize("part", range(3))
@thorough
@given(game=limited_games(), facts=histories(participants=1, size=30), seed=seeds)
def test_any_order_equals_one_fold_and_is_paid_as_often(part: int, game: Rules, facts: list[Fact], seed: int) -> None:
    memory = play(game, facts, seed + part)
    assert_equals_fold(memory)
    at_once = InMemoryGame(game.compile())
    at_once.process(facts)
    assert payments(memory) >= payments(at_once)
    if not any(fact.fact_type == "system.timezone_changed" for fact in facts):
        assert payments(memory) == payments(at_once)


def payments(memory: InMemoryGame) -> int:
    return sum(entry.cause.startswith("points:") for entry in memory.ledger("p0"))


@pytest.mark.usefixtures("_short_memory")
@pytest.mark.parametrize("part", range(2))
@thorough
@given(game=limited_games(), facts=histories(participants=1, size=30))
def test_the_fold_means_what_the_document_says(part: int, game: Rules, facts: list[Fact]) -> None:
    memory = InMemoryGame(game.compile())
    story = sorted(facts, key=lambda fact: fact.moment)
    for fact in story[: len(story) * part]:
        memory.process([fact])
    memory.process(story[len(story) * part :])
    assert seen(memory) == oracle.play(game.document, game.applied_seq, facts)


@pytest.mark.parametrize("part", range(2))
@thorough
@given(game=limited_games(), facts=histories(participants=1, size=30))
def test_on_time_every_fact_changes_and_causes_the_same(part: int, game: Rules, facts: list[Fact]) -> None:
    step, quick = InMemoryGame(game.compile()), OnTimeGame(game.compile())
    for fact in facts if part else sorted(facts, key=lambda fact: fact.moment):
        assert quick.take([fact]) == step.process([fact]).effects
        assert quick.cells("p0") == step.cells("p0")
        assert quick.ledger("p0") == step.ledger("p0")


@pytest.mark.usefixtures("_short_memory")
@thorough
@given(game=limited_games(), facts=histories(participants=1, size=30), seed=seeds)
def test_refolding_changes_nothing(game: Rules, facts: list[Fact], seed: int) -> None:
    memory = play(game, facts, seed)
    before = memory.ledger("p0")
    assert memory.refold(memory.game.rules).effects == []
    assert memory.ledger("p0") == before
    assert_equals_fold(memory)


@pytest.mark.usefixtures("_short_memory")
@thorough
@given(old=limited_games(), new=limited_games(), facts=histories(participants=1, size=20), seed=seeds)
def test_a_changed_limit_counts_as_if_it_had_always_been(old: Rules, new: Rules, facts: list[Fact], seed: int) -> None:
    assert_equals_fold(play_changed(old, new, facts, seed))


def test_on_time_facts_of_a_limited_rule_are_on_time() -> None:
    story = Story(
        "points: [{code: p, on: e, award: 1, limit: {times: 2, per: day, by: properties.x}, cooldown: PT1M}]\n"
        "badges: [{code: b, name: B, criteria: {on: e, target: 9, limit: {times: 1, per: day}}}]"
    )
    quick = OnTimeGame(story.memory.game)
    for day in range(1, 9):
        for minute in range(5):
            quick.take([story.fact("e", f"2026-04-{day:02}T09:{minute:02}:00", {"x": minute % 2})])
    assert (quick.on_time, quick.late) == (40, 0)
    assert len(quick.ledger("ada")) == 8 * 4
    assert fold(quick.game, quick.facts("ada")).cells["ada"] == quick.cells("ada")


def test_objects_of_no_use_any_more_are_forgotten() -> None:
    story = Story(
        "badges: [{code: b, name: B, criteria: {on: e, aggregate: sum, of: properties.w, target: 1000, "
        "limit: {times: 1, per: day, by: properties.x}}}]"
    )
    for day in range(1, 29):
        for number in range(4):
            story.send("e", f"2026-04-{day:02}T09:{number:02}:00", {"x": day * 10 + number, "w": 1})
    tallies = story.memory.cells("ada")["criteria/b"]["p"]["q"]["0"]
    assert len(tallies) <= limits._MANY + 4
    assert story.differences() == []
