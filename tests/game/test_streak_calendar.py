"""Streaks whose day begins late, that take several facts, rest on some days or count hours; and their calendar."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bq_server.game import check, read_calendar
from bq_server.game.mechanics import runs
from bq_server.game.mechanics.streak_calendar import StreakCalendar
from tests.game.support import Story, at


def streak(**more: Any) -> str:
    fields = {"code": "s", "on": "e", "grace_period_hours": 0, "timezone": "UTC", **more}
    return f"streaks: [{{{', '.join(f'{name}: {value}' for name, value in fields.items())}}}]"


def calendar(story: Story, now: str, start: str | None = None, end: str | None = None) -> list[tuple[str, str, int]]:
    cells = story.memory.cells("ada")
    older = {key: cell for key, cell in cells.items() if key.startswith("seen/streak/s/")}
    dates = tuple(None if each is None else date.fromisoformat(each) for each in (start, end))
    found = read_calendar(story.memory.game, "s", cells, older, (dates[0], dates[1]), at(now))
    return [(each.date, each.status, each.times) for each in found.periods]


def test_a_period_takes_several_facts_and_says_how_many_it_has() -> None:
    story = Story(streak(required=3))
    for hour in (9, 10):
        result = story.send("e", f"2026-04-01T{hour:02}:00:00")
    assert [each.message for each in result.explanations] == ["2 of 3 in this period"]
    state = story.streak("2026-04-01T11:00:00")
    assert (state.current_count, state.times, state.required) == (0, 2, 3)
    story.send("e", "2026-04-01T12:00:00")
    state = story.streak("2026-04-01T13:00:00")
    assert (state.current_count, state.times, state.required) == (1, 3, 3)
    story.send("e", "2026-04-01T14:00:00")
    assert story.streak("2026-04-01T15:00:00").times == 3
    assert story.differences() == []


def test_with_grace_the_fact_that_completes_a_period_must_come_in_time() -> None:
    for last, current in (("05:59:59", 2), ("06:00:00", 1)):
        story = Story(streak(required=2, grace_period_hours=6))
        for moment in ("01T09:00:00", "01T10:00:00", "03T01:00:00", f"03T{last}"):
            story.send("e", f"2026-04-{moment}")
        assert story.streak("2026-04-03T07:00:00").current_count == current
        story.send("e", "2026-04-03T02:00:00")  # late: now the second of that day came in time
        assert story.streak("2026-04-03T07:00:00").current_count == 2
        assert story.differences() == []


def test_a_fact_of_a_period_that_is_counted_no_longer_asks_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT_PERIODS", 3)
    story = Story(streak(required=2))
    story.send("e", "2026-04-01T09:00:00")
    for day in range(2, 12):
        story.send("e", f"2026-04-{day:02}T09:00:00")
        story.send("e", f"2026-04-{day:02}T10:00:00")
    assert story.memory.requests == 0
    story.send("e", "2026-04-01T10:00:00")
    assert story.memory.requests == 1
    assert story.streak("2026-04-11T12:00:00").longest_count == 11
    assert story.differences() == []


def test_days_of_rest_neither_count_nor_break() -> None:
    story = Story(streak(on_days="[mon, wed, fri]"))
    for day in ("03-30", "04-01", "04-02", "04-03"):  # Monday, Wednesday, Thursday, Friday
        result = story.send("e", f"2026-{day}T12:00:00")
        expected = "rest_day" if day == "04-02" else "matched"
        assert [each.verdict for each in result.explanations] == [expected]
    saturday = story.streak("2026-04-04T12:00:00")
    assert (saturday.current_count, saturday.is_at_risk, saturday.times) == (3, False, 0)
    assert saturday.expires_at == at("2026-04-07")
    assert saturday.last_recorded_at == at("2026-04-03T12:00:00")
    assert story.streak("2026-04-06T12:00:00").is_at_risk
    assert story.streak("2026-04-07").current_count == 0
    assert story.differences() == []


def test_a_fact_of_a_day_of_rest_is_not_the_last_recorded() -> None:
    story = Story(streak(on_days="[mon]"))
    story.send("e", "2026-03-30T12:00:00")
    story.send("e", "2026-03-31T12:00:00")
    assert story.streak("2026-03-31T13:00:00").last_recorded_at == at("2026-03-30T12:00:00")


def test_a_calendar_shows_what_each_day_was() -> None:
    story = Story(streak(grace_period_hours=24))
    for day in (2, 4, 8):
        story.send("e", f"2026-04-{day:02}T12:00:00")
    assert calendar(story, "2026-04-10T12:00:00", "2026-04-01", "2026-04-11") == [
        ("2026-04-01", "none", 0),
        ("2026-04-02", "recorded", 1),
        ("2026-04-03", "forgiven", 0),
        ("2026-04-04", "recorded", 1),
        ("2026-04-05", "missed", 0),
        ("2026-04-06", "missed", 0),
        ("2026-04-07", "missed", 0),
        ("2026-04-08", "recorded", 1),
        ("2026-04-09", "forgiven", 0),
        ("2026-04-10", "open", 0),
        ("2026-04-11", "upcoming", 0),
    ]


def test_a_calendar_shows_days_of_rest_and_periods_on_the_way() -> None:
    story = Story(streak(on_days="[mon, tue]", required=2))
    for moment in ("03-30T09", "03-30T10", "03-31T09"):
        story.send("e", f"2026-{moment}:00:00")
    assert calendar(story, "2026-03-31T12:00:00", "2026-03-30", "2026-04-06") == [
        ("2026-03-30", "recorded", 2),
        ("2026-03-31", "open", 1),
        *((f"2026-04-{day:02}", "rest", 0) for day in range(1, 6)),
        ("2026-04-06", "upcoming", 0),
    ]


def test_a_calendar_recalls_what_a_streak_keeps_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT_PERIODS", 3)
    story = Story(streak())
    for day in (1, 2, 10, 20):
        story.send("e", f"2026-04-{day:02}T12:00:00")
    shown = {day: status for day, status, _ in calendar(story, "2026-04-20T13:00:00")}
    recorded = [day for day, status in shown.items() if status == "recorded"]
    assert recorded == ["2026-04-01", "2026-04-02", "2026-04-10", "2026-04-20"]
    assert list(shown)[-1] == "2026-04-30"


@pytest.mark.parametrize(
    ("period", "first", "last", "count"),
    [
        ("hourly", "2026-04-15", "2026-04-15", 24),
        ("weekly", "2025-12-29", "2026-12-28", 53),
        ("monthly", "2026-01-01", "2026-12-01", 12),
    ],
)
def test_by_default_a_calendar_shows_a_day_or_a_year(period: str, first: str, last: str, count: int) -> None:
    story = Story(streak(period=period))
    story.send("e", "2026-04-15T12:00:00")
    shown = calendar(story, "2026-04-15T12:30:00")
    assert (shown[0][0], shown[-1][0], len(shown)) == (first, last, count)
    assert [status for _, status, _ in shown].count("recorded") == 1


def test_a_calendar_has_an_end() -> None:
    with pytest.raises(ValueError, match="at most 400 periods"):
        calendar(Story(streak()), "2026-04-01", "2026-01-01", "2027-02-05")


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("day_starts_at: '4:00'", "streaks[0].day_starts_at: String should match pattern"),
        ("day_starts_at: '24:00'", "streaks[0].day_starts_at: String should match pattern"),
        ("required: 0", "streaks[0].required: should be greater than or equal to 1"),
        ("on_days: []", "streaks[0].on_days: List should have at least 1 item"),
        ("on_days: [sunday]", "streaks[0].on_days[0]: should be 'mon', 'tue'"),
        ("on_days: [mon, mon]", "streaks[0]: on_days names a day twice"),
        ("on_days: [mon], period: weekly", "streaks[0]: on_days needs period: daily"),
        ("period: hourly", "streaks[0]: an hourly streak needs grace_period_hours of at most 23, such as 0"),
        ("period: hourly, grace_period_hours: 0, day_starts_at: '04:00'", "streaks[0]: an hourly streak has no day"),
    ],
)
def test_every_mistake_is_found(field: str, message: str) -> None:
    (mistake,) = check(f"streaks:\n  - {{code: s, on: e, {field}}}").errors
    assert mistake.line == 2
    assert str(mistake).partition("error: ")[2].startswith(message)


@given(
    st.sampled_from([(), (0,), (0, 1, 2, 3, 4), (2, 6), tuple(range(7))]),
    st.integers(date(1990, 1, 1).toordinal(), date(2090, 1, 1).toordinal()),
)
def test_days_that_count_are_numbered_in_a_row(weekdays: tuple[int, ...], ordinal: int) -> None:
    counted = StreakCalendar("daily", 0, 0, weekdays)
    day = date.fromordinal(ordinal)
    number = counted.number_of(day)
    if not counted.rests_on(day):
        assert counted.first_day(number) == day
    else:
        assert counted.first_day(number) > day
    following = next(
        later for later in (date.fromordinal(ordinal + each) for each in range(1, 9)) if not counted.rests_on(later)
    )
    assert counted.number_of(following) == number + (not counted.rests_on(day))


def test_a_streak_without_the_new_fields_is_what_it_was() -> None:
    """Its revision is that of earlier releases, and so its cells are read on."""
    checked = check(streak(timezone="participant", grace_period_hours=24))
    assert checked.game is not None
    told = checked.game.streaks[0].model_dump_json()
    assert not {"day_starts_at", "required", "on_days"} & set(told.replace('"', " ").split())
