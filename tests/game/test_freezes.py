"""Freezes: what covers missed periods, when, and how late facts change it."""

from datetime import date
from random import Random
from typing import Any

import pytest

from bq_server.game.freeze_offers import FreezeUnavailable, period_to_freeze, price_of_freeze
from bq_server.game.mechanics import runs
from bq_server.game.mechanics.freezes import FreezeRules, FrozenRuns, Stock
from bq_server.game.mechanics.streak_calendar import StreakCalendar
from tests.game.support import Story, at


def game(grace: int = 0, **freezes: Any) -> str:
    fields = ", ".join(f"{name}: {str(value).lower()}" for name, value in freezes.items())
    return (
        f"streaks: [{{code: s, on: e, grace_period_hours: {grace}, timezone: UTC, freezes: {{{fields}}}, "
        "milestones: [{at: 3, rewards: [{points: 30}]}]}]"
    )


def records(story: Story, *days: str) -> None:
    for day in days:
        story.send("e", f"2026-{day}T12:00:00")


def standing(story: Story, day: str) -> tuple[int, int, bool]:
    """The length, the freezes at hand, and whether it is at risk, at noon."""
    state = story.streak(f"2026-{day}T12:00:00")
    assert state.freezes is not None
    return state.current_count, state.freezes.available, state.is_at_risk


def buy(story: Story, when: str) -> None:
    story.send("system.streak_freeze_bought", when, {"streak_code": "s", "price": 0})


def use(story: Story, when: str, day: str) -> None:
    story.send("system.streak_freeze_used", when, {"streak_code": "s", "starts_at": at(day)})


def test_a_missed_day_takes_a_freeze_and_is_not_counted() -> None:
    story = Story(game(monthly=2, max=5))
    records(story, "04-01", "04-02")
    assert standing(story, "04-02") == (2, 2, False)
    assert standing(story, "04-04") == (2, 1, False)
    assert standing(story, "04-05") == (2, 0, True)
    assert story.streak("2026-04-05T12:00:00").expires_at == at("2026-04-06")
    assert standing(story, "04-06") == (0, 0, False)
    records(story, "04-05")
    assert standing(story, "04-05") == (3, 0, False)
    assert story.points() == 30
    assert story.differences() == []


def test_each_month_brings_some_up_to_the_most() -> None:
    story = Story(game(monthly=2, max=3))
    records(story, "04-30")
    assert standing(story, "04-30") == (1, 2, False)
    assert standing(story, "05-01") == (1, 3, False)
    assert standing(story, "05-02") == (1, 2, False)  # the 1st took one of three
    assert standing(story, "05-04") == (1, 0, True)
    assert story.differences() == []


def test_a_streak_that_freezes_keep_alive_for_ever_ends_far_away() -> None:
    story = Story(game(monthly=31, max=31))
    records(story, "04-01")
    assert standing(story, "04-20") == (1, 13, False)
    expires = story.streak("2026-04-20T12:00:00").expires_at
    assert expires is not None
    assert expires > at("2028-01-01")
    assert story.differences() == []


def test_a_gap_that_is_too_long_uses_up_what_there_is() -> None:
    story = Story(game(monthly=1, max=5))
    records(story, "04-01", "04-05")
    assert standing(story, "04-05") == (1, 0, False)
    assert story.differences() == []


def test_with_grace_a_freeze_is_taken_for_what_grace_does_not_forgive() -> None:
    story = Story(game(grace=24, monthly=1, max=1))
    records(story, "04-01", "04-04")
    assert standing(story, "04-04") == (2, 0, False)
    records(story, "04-07")
    assert standing(story, "04-07") == (1, 0, False)
    assert story.differences() == []


def test_one_that_was_bought_covers_what_is_missed_from_then_on() -> None:
    for moment, current in (("2026-04-03T23:59:59", 3), ("2026-04-04", 1)):
        story = Story(game(max=1, price=1))
        records(story, "04-01", "04-02")
        buy(story, moment)
        records(story, "04-04")
        assert story.streak("2026-04-04T13:00:00").current_count == current
        assert story.differences() == []


def test_buying_takes_points() -> None:
    story = Story(game(max=1, price=20))
    story.send("system.points_awarded", "2026-04-01", {"amount": 50})
    story.send("system.streak_freeze_bought", "2026-04-01", {"streak_code": "s", "price": 20})
    assert story.points() == 30
    assert story.differences() == []


def test_a_void_takes_a_freeze_back_and_gives_its_points_back() -> None:
    story = Story(game(max=1, price=20))
    story.send("system.points_awarded", "2026-04-01", {"amount": 50})
    records(story, "04-01")
    story.send("system.streak_freeze_bought", "2026-04-01T13:00:00", {"streak_code": "s", "price": 20})
    records(story, "04-03")
    assert (standing(story, "04-03")[0], story.points()) == (2, 30)
    story.send("system.fact_voided", "2026-04-03T13:00:00", {"fact_id": "f3"})
    assert (standing(story, "04-03")[0], story.points()) == (1, 50)
    assert story.differences() == []


def test_a_late_record_leaves_the_freeze_for_another_day() -> None:
    story = Story(game(monthly=1, max=1))
    records(story, "04-01", "04-03", "04-05")
    assert standing(story, "04-05") == (1, 0, False)
    records(story, "04-02")
    assert standing(story, "04-05") == (4, 0, False)
    assert story.differences() == []


def test_a_late_record_may_take_the_freeze_from_another_day_but_awards_stay() -> None:
    story = Story(game(monthly=1, max=1))
    records(story, "04-03", "04-05", "04-06")
    assert story.points() == 30
    records(story, "04-01")
    assert standing(story, "04-06") == (2, 0, False)
    assert story.streak("2026-04-06T12:00:00").longest_count == 2
    assert story.points() == 30
    assert story.differences() == []
    assert sorted(story.kept()) == ["ledger/streak:s/3", "streak/s@3"]


def test_by_hand_only_what_is_named_is_covered() -> None:
    story = Story(game(grace=24, monthly=2, max=2, automatic=False))
    records(story, "04-01")
    use(story, "2026-04-03T12:00:00", "2026-04-02")
    records(story, "04-04")
    assert standing(story, "04-04") == (2, 1, False)
    records(story, "04-07")
    assert standing(story, "04-07") == (1, 1, False)
    assert story.differences() == []


def test_a_use_that_comes_too_late_covers_nothing() -> None:
    story = Story(game(monthly=1, max=1, automatic=False))
    records(story, "04-01")
    use(story, "2026-04-03T00:00:00", "2026-04-02")
    records(story, "04-03")
    assert standing(story, "04-03") == (1, 1, False)
    assert story.differences() == []


@pytest.mark.parametrize("order", range(6))
def test_old_periods_are_recalled_for_a_late_fact(monkeypatch: pytest.MonkeyPatch, order: int) -> None:
    monkeypatch.setattr(runs, "KEPT_PERIODS", 3)
    story = Story(game(monthly=2, max=3))
    days = [f"04-{day:02}" for day in (1, 2, 4, 5, 9, 10, 12, 14, 20, 21)]
    records(story, *days[order:], *days[:order])
    buy(story, "2026-04-03")
    cells = story.memory.cells("ada")["streak/s"]
    assert "f" in cells
    assert story.differences() == []
    assert story.memory.requests <= order + 2


def test_what_is_offered_and_when_it_is_not() -> None:
    story = Story(game(grace=24, monthly=1, max=2, automatic=False, price=20))
    compiled = story.memory.game

    def offered(now: str) -> int:
        return period_to_freeze(compiled, "s", story.memory.cells("ada"), at(now))

    with pytest.raises(FreezeUnavailable, match="no streak is running"):
        offered("2026-04-01")
    records(story, "04-01")
    with pytest.raises(FreezeUnavailable, match="nothing was missed"):
        offered("2026-04-01T13:00:00")
    assert offered("2026-04-02T13:00:00") == at("2026-04-02")
    assert offered("2026-04-03T13:00:00") == at("2026-04-02")
    use(story, "2026-04-03T13:00:00", "2026-04-02")
    with pytest.raises(FreezeUnavailable, match="none is left"):
        offered("2026-04-03T14:00:00")
    assert price_of_freeze(compiled, "s", story.memory.cells("ada"), at("2026-04-03T14:00:00")) == 20
    with pytest.raises(KeyError):
        price_of_freeze(compiled, "t", {}, 0)


def covered_one_by_one(
    rules: FreezeRules, stock: Stock, bought: list[int], first: int, reach: int
) -> tuple[Stock, int]:
    """The stock after a gap, and how much of it was covered: the meaning, said as plainly as possible."""
    for period in range(first, reach + 1):
        stock = rules.refilled(stock, period, bought)
        if not stock.have:
            return stock, period - first
        stock = stock._replace(have=stock.have - 1)
    return stock, max(reach + 1 - first, 0)


CALENDARS = [
    StreakCalendar(None, 0),
    StreakCalendar("daily", 0),
    StreakCalendar("daily", 0, weekdays=(1, 4)),
    StreakCalendar("weekly", 0),
    StreakCalendar("monthly", 0),
]


@pytest.mark.parametrize("calendar", CALENDARS)
def test_a_gap_is_covered_as_if_each_period_were_looked_at(calendar: StreakCalendar) -> None:
    dice = Random(str(calendar))
    unbroken = 0
    for _ in range(400):
        rules = FreezeRules(dice.choice([0, 1, 2, 5, 9, 31]), dice.randint(1, 40), True, None, calendar)
        first = calendar.number_of(date.fromordinal(dice.randint(600_000, 700_000)))
        gap = dice.randint(1, 400)
        bought = sorted(dice.choices(range(first - 5, first + gap + 5), k=dice.randint(0, 4)))
        runs_of_it = FrozenRuns(rules=rules, bought=bought)
        runs_of_it.add(first, first - 1)
        stand = runs_of_it.stand(first + gap, first + gap)
        assert stand is not None
        stock, covered = covered_one_by_one(rules, rules.first(first), bought, first + 1, first + gap)
        assert (stand.stock, stand.covered) == (stock, range(first + 1, first + 1 + covered))
        unbroken += covered == gap
    assert (calendar.period is None) or unbroken > 4


@pytest.mark.parametrize(
    ("calendar", "monthly", "most"),
    [
        pytest.param(CALENDARS[2], 9, 100, marks=pytest.mark.slow),
        pytest.param(CALENDARS[2], 9, 10, marks=pytest.mark.slow),
        (CALENDARS[3], 5, 7),
        (CALENDARS[4], 1, 3),
        (CALENDARS[4], 2, 3),
    ],
)
def test_the_calendar_repeats_itself(calendar: StreakCalendar, monthly: int, most: int) -> None:
    rules = FreezeRules(monthly, most, True, None, calendar)
    first = calendar.number_of(date(900, 5, 17))
    for end in (date(2026, 3, 1), date(2026, 3, 30), date(1701, 1, 1)):
        bought = [first + 700, first + 900]
        runs_of_it = FrozenRuns(rules=rules, bought=bought)
        runs_of_it.add(first, first - 1)
        reach = calendar.number_of(end)
        stand = runs_of_it.stand(reach, reach)
        assert stand is not None
        stock, covered = covered_one_by_one(rules, rules.first(first), bought, first + 1, reach)
        assert (stand.stock, len(stand.covered)) == (stock, covered)


@pytest.mark.parametrize(
    ("fields", "monthly"),
    [
        ("period: daily", 31),
        ("period: daily", 30),
        ("period: weekly", 5),
        ("period: monthly", 1),
        ("on_days: [mon, thu]", 10),
        ("on_days: [mon, wed, thu]", 14),
    ],
)
def test_a_gap_of_eight_millennia_takes_few_steps(monkeypatch: pytest.MonkeyPatch, fields: str, monthly: int) -> None:
    asked = 0

    def month_of(self: StreakCalendar, number: int, plain: Any = StreakCalendar.month_of) -> int:
        nonlocal asked
        asked += 1
        return int(plain(self, number))

    monkeypatch.setattr(StreakCalendar, "month_of", month_of)
    story = Story(game(monthly=monthly, max=100).replace("on: e", f"on: e, {fields}"))
    story.send("e", "0001-02-01T12:00:00")
    story.send("e", "8990-12-16T12:00:00")
    assert story.streak("8999-06-15T12:00:00").current_count == (1 if monthly == 30 else 2)
    assert asked < 300_000


def test_the_end_of_the_calendar_is_no_mistake() -> None:
    story = Story(game(monthly=31, max=100))
    story.send("e", "9999-12-30T12:00:00")
    assert story.streak("9999-12-31T12:00:00").current_count == 1
