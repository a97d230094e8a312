"""Streaks: periods, zones, daylight saving, grace."""

import pytest

from bq_server.game.mechanics import runs
from tests.game.support import Story, at


def streak(zone: str = "participant", period: str = "daily", grace: int = 0, milestones: str = "[]") -> str:
    return (
        f"streaks: [{{code: s, on: e, period: {period}, timezone: {zone}, grace_period_hours: {grace},"
        f" milestones: {milestones}}}]"
    )


def told(document: str, *moments: str) -> Story:
    story = Story(document)
    for moment in moments:
        story.send("e", moment)
    assert story.differences() == []
    return story


@pytest.mark.parametrize(
    ("moments", "current"),
    [
        (["2026-04-01T00:00:00", "2026-04-01T23:59:59", "2026-04-02T00:00:00"], 2),
        (["2026-04-01T23:59:59.999999", "2026-04-02T00:00:00", "2026-04-03T23:59:59"], 3),
        (["2026-04-01", "2026-04-03"], 1),
        (["2024-02-28", "2024-02-29", "2024-03-01"], 3),
        (["2026-02-28", "2026-03-01"], 2),
        (["2026-12-31", "2027-01-01"], 2),
    ],
)
def test_days_in_a_row(moments: list[str], current: int) -> None:
    assert told(streak("UTC"), *moments).streak(moments[-1]).current_count == current


@pytest.mark.parametrize(
    ("period", "moments", "current"),
    [
        ("weekly", ["2026-04-05T23:59:59", "2026-04-06T00:00:00"], 2),
        ("weekly", ["2026-04-06T00:00:00", "2026-04-12T23:59:59"], 1),
        ("weekly", ["2026-12-31", "2027-01-04"], 2),
        ("monthly", ["2026-01-31", "2026-02-01", "2026-03-31"], 3),
        ("monthly", ["2025-12-31", "2026-01-31"], 2),
        ("monthly", ["2026-01-31", "2026-03-01"], 1),
    ],
)
def test_weeks_start_on_monday_and_months_on_their_first(period: str, moments: list[str], current: int) -> None:
    assert told(streak("UTC", period), *moments).streak(moments[-1]).current_count == current


def test_both_daylight_saving_changes_are_one_day_each() -> None:
    spring = [f"2026-03-{day}T23:30:00{offset}" for day, offset in ((28, "+01:00"), (29, "+02:00"), (30, "+02:00"))]
    assert told(streak("Europe/Paris"), *spring).streak(spring[-1]).current_count == 3
    autumn = [f"2026-10-{day}T00:30:00{offset}" for day, offset in ((24, "+02:00"), (25, "+02:00"), (26, "+01:00"))]
    assert told(streak("Europe/Paris"), *autumn).streak(autumn[-1]).current_count == 3


def test_the_twenty_five_hours_of_a_day_are_all_of_that_day() -> None:
    story = told(streak("Europe/Paris"), "2026-10-25T00:00:00+02:00", "2026-10-25T23:59:59+01:00")
    state = story.streak("2026-10-25T23:59:59+01:00")
    assert state.current_count == 1
    assert state.expires_at == at("2026-10-27T00:00:00+01:00")


def test_a_day_without_midnight_still_starts_somewhere() -> None:
    # Beirut's clocks went from 00:00 to 01:00.
    story = told(streak("Asia/Beirut"), "2024-03-30T12:00:00+02:00", "2024-03-31T01:00:00+03:00")
    assert story.streak("2024-03-31T12:00:00+03:00").current_count == 2


def test_a_zone_far_from_utc_has_its_own_days() -> None:
    moments = ["2026-04-01T00:30:00+09:00", "2026-04-02T23:30:00+09:00"]
    assert told(streak("Asia/Tokyo"), *moments).streak("2026-04-02T23:30:00+09:00").current_count == 2
    assert told(streak("UTC"), *moments).streak("2026-04-02T23:30:00+09:00").current_count == 1


def test_the_participants_own_zone_applies_from_its_event_time_on() -> None:
    story = Story(streak())
    story.send("e", "2026-04-01T20:00:00")
    story.send("system.timezone_changed", "2026-04-01T21:00:00", {"timezone": "Asia/Tokyo"})
    story.send("e", "2026-04-01T22:00:00")
    # One moment in UTC's April 1st, one in Tokyo's April 2nd; the first stays where it was.
    assert story.streak("2026-04-01T23:00:00").current_count == 2
    assert story.streak("2026-04-01T23:00:00").timezone == "Asia/Tokyo"
    assert story.differences() == []


def test_a_late_zone_change_moves_the_periods_after_it_and_none_before() -> None:
    story = Story(streak())
    for moment in ("2026-04-01T16:00:00", "2026-04-02T14:00:00", "2026-04-02T16:00:00"):
        story.send("e", moment)
    assert story.streak("2026-04-02T17:00:00").current_count == 2
    story.send("system.timezone_changed", "2026-04-02T15:00:00", {"timezone": "Asia/Tokyo"})
    assert story.streak("2026-04-02T17:00:00").current_count == 3
    assert story.differences() == []


# The last two are files of some hosts, which an earlier release took.
@pytest.mark.parametrize("name", ["../etc/passwd", "localtime", "posix/Europe/Berlin"])
def test_an_unknown_zone_changes_nothing(name: str) -> None:
    story = Story(streak())
    result = story.send("system.timezone_changed", "2026-04-01", {"timezone": name})
    assert [each.definition for each in result.warnings] == ["system.timezone_changed"]
    assert result.cells == {}


@pytest.mark.parametrize(
    ("grace", "moment", "current"),
    [
        (0, "2026-04-03T00:00:00", 1),
        (6, "2026-04-03T05:59:59.999999", 2),
        (6, "2026-04-03T06:00:00", 1),
        (24, "2026-04-03T23:59:59.999999", 2),
        (24, "2026-04-04T00:00:00", 1),
        (48, "2026-04-04T23:59:59.999999", 2),
    ],
)
def test_grace_forgives_a_missed_day_until_it_ends(grace: int, moment: str, current: int) -> None:
    assert told(streak("UTC", grace=grace), "2026-04-01T12:00:00", moment).streak(moment).current_count == current


def test_a_late_fact_joins_two_runs() -> None:
    story = told(streak("UTC"), "2026-04-01", "2026-04-02", "2026-04-04")
    result = story.send("e", "2026-04-03")
    assert story.streak("2026-04-04").current_count == 4
    assert [(each.type, getattr(each, "longest", None)) for each in result.effects] == [("streak", 4)]


@pytest.mark.parametrize(
    ("now", "current", "risk"),
    [
        ("2026-04-02T23:59:59", 2, False),
        ("2026-04-03T00:00:00", 2, False),
        ("2026-04-04T00:00:00", 2, True),
        ("2026-04-04T23:59:59", 2, True),
        ("2026-04-05T00:00:00", 0, False),
    ],
)
def test_a_streak_is_at_risk_in_its_last_period_and_then_lost(now: str, current: int, risk: bool) -> None:
    state = told(streak("UTC", grace=24), "2026-04-01", "2026-04-02").streak(now)
    assert (state.current_count, state.longest_count, state.is_at_risk) == (current, 2, risk)


def test_milestones_pay_once_for_ever() -> None:
    story = told(
        streak("UTC", milestones="[{at: 2, rewards: [{points: 10}]}]"),
        *("2026-04-01", "2026-04-02", "2026-04-10", "2026-04-11"),
    )
    assert story.points() == 10
    assert [entry.cause for entry in story.memory.ledger("ada")] == ["streak:s/2"]


def test_memory_stays_short_and_a_very_late_record_still_counts() -> None:
    story = Story(streak("UTC"))
    for month in range(1, 13):
        for day in (1, 3, 5, 7):
            story.send("e", f"2025-{month:02}-{day:02}")
    assert len(str(story.memory.cells("ada")["streak/s"])) < 45 * runs.KEPT_PERIODS / 2
    assert story.memory.requests == 0
    for day in (2, 4, 6):
        story.send("e", f"2025-02-{day:02}")
    assert story.memory.requests == 3
    assert story.streak("2025-12-07").longest_count == 7
    assert story.differences() == []


def test_the_ends_of_the_calendar_are_no_error() -> None:
    for period in ("daily", "weekly", "monthly"):
        for zone in ("Pacific/Kiritimati", "America/Adak"):
            story = told(streak(zone, period, grace=24), "0001-01-01", "9999-12-31T23:59:59")
            assert story.streak("9999-12-31T23:59:59").longest_count == 1
