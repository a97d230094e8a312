"""What days, clocks and long numbers do to a game: each case once came out wrong."""

import zoneinfo
from datetime import timedelta
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bq_server.game import check, read_streaks
from bq_server.game.facts import timezone as zone_named
from bq_server.game.mechanics.periods import moment_after, period_before, period_of, period_start
from bq_server.game.streak_states import StreakState
from bq_server.moments import format_timestamp, parse_timestamp
from tests.game.support import Story, at

STREAK = "streaks: [{{code: s, name: S, on: a, period: {}, timezone: {}, grace_period_hours: {}}}]"
HOUR = 3_600_000_000


def streak(story: Story, now: str) -> StreakState:
    (found,) = read_streaks(story.memory.game, story.memory.cells("ada"), at(now))
    return found


def recorded(zone: str, grace: int, *moments: str, period: str = "daily") -> Story:
    story = Story(STREAK.format(period, zone, grace))
    for moment in moments:
        story.send("a", moment)
    return story


@pytest.mark.parametrize(
    ("zone", "first", "last_in_time", "too_late"),
    [
        ("America/New_York", "2026-10-30T12:00-04:00", "2026-11-01T23:59:59-05:00", "2026-11-02T00:00-05:00"),
        ("America/New_York", "2026-03-06T12:00-05:00", "2026-03-08T23:59:59-04:00", "2026-03-09T00:00-04:00"),
        ("UTC", "2026-04-01T12:00Z", "2026-04-03T23:59:59Z", "2026-04-04T00:00Z"),
    ],
)
def test_24_hours_of_grace_are_one_whole_local_day(zone: str, first: str, last_in_time: str, too_late: str) -> None:
    assert streak(recorded(zone, 24, first, last_in_time), last_in_time).current_count == 2
    late = streak(recorded(zone, 24, first, too_late), too_late)
    assert (late.current_count, late.longest_count) == (1, 1)
    assert streak(recorded(zone, 24, first), first).expires_at == at(too_late)


def test_a_few_hours_of_grace_end_at_that_hour_on_the_wall() -> None:
    moments = "2026-10-30T12:00-04:00", "2026-11-01T05:59:59-05:00"
    assert streak(recorded("America/New_York", 6, *moments), moments[1]).current_count == 2
    assert streak(recorded("America/New_York", 6, moments[0]), moments[0]).expires_at == at("2026-11-01T06:00-05:00")


def test_a_day_that_a_zone_left_out_breaks_no_streak() -> None:
    story = recorded("Pacific/Apia", 0, "2011-12-29T12:00-10:00")
    assert streak(story, "2011-12-29T13:00-10:00").expires_at == at("2012-01-01T00:00+14:00")
    story.send("a", "2011-12-31T12:00+14:00")
    assert streak(story, "2011-12-31T13:00+14:00").current_count == 2


def test_a_record_of_the_future_changes_nothing_before_its_time() -> None:
    story = recorded("UTC", 0, "2026-04-09T08:00Z", "2026-04-10T08:00Z", "2099-01-01T08:00Z")
    now = streak(story, "2026-04-10T12:00Z")
    assert (now.current_count, now.expires_at) == (2, at("2026-04-12T00:00Z"))
    assert streak(story, "2026-04-19T12:00Z").current_count == 0
    assert streak(story, "2099-01-01T12:00Z").current_count == 1
    story.send("a", "2026-04-11T08:00Z")
    assert streak(story, "2026-04-11T12:00Z").current_count == 3


def test_a_run_that_reaches_into_the_future_counts_up_to_now() -> None:
    story = recorded("UTC", 0, *(f"2026-04-{day:02}T08:00Z" for day in range(8, 15)))
    assert streak(story, "2026-04-10T12:00Z").current_count == 3


def test_the_progress_of_a_completed_challenge_follows_the_facts() -> None:
    objective = "{code: o, on: a, aggregate: sum, of: properties.x, target: 10}"
    story = Story(f"challenges: [{{code: c, name: C, objectives: [{objective}]}}]")
    story.send("a", "2026-04-02", {"x": 10})
    story.send("a", "2026-04-01", {"x": -8})
    challenge = story.challenge("c")
    assert (challenge.status, challenge.progress, challenge.objectives[0].progress) == ("completed", 0.2, 0.2)


def test_a_clock_that_was_never_set_ends_no_rolling_challenge() -> None:
    duration = "duration: {type: rolling, days: 7}"
    story = Story(f"challenges: [{{code: c, name: C, {duration}, objectives: [{{code: o, on: a, target: 3}}]}}]")
    for moment in ("2026-04-09", "1970-01-01", "2000-01-01", "2026-04-10", "2026-04-11"):
        story.send("a", moment)
    assert story.challenge("c", "2026-04-12").status == "completed"


@pytest.mark.parametrize("long", [2**53 + 1, 1106953532234489857, -(2**53) - 1, 10**400])
def test_a_whole_number_that_no_double_says_is_never_taken_for_another(long: int) -> None:
    criteria = f"{{on: a, when: properties.g == {long % 2**62}, target: 1}}"
    objective = "{code: o, on: a, aggregate: distinct, of: properties.g, target: 9}"
    listed = "{code: l, on: a, when: 'properties.l.exists(g, g > 0.0)', target: 9}"
    story = Story(
        f"badges: [{{code: b, name: B, criteria: {criteria}}}]\n"
        f"challenges: [{{code: c, name: C, objectives: [{objective}, {listed}]}}]"
    )
    result = story.send("a", "2026-04-01", {"g": long, "l": [1, long]})
    assert (story.badges(), story.objectives("c")) == ([], {"o": 0, "l": 0})
    assert {warning.definition for warning in result.warnings} == {"badge/b", "challenge/c"}
    assert all("send it as text" in warning.message for warning in result.warnings)
    story.send("a", "2026-04-01", {"g": str(long), "l": [2**53]})
    assert story.objectives("c") == {"o": 1, "l": 1}


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("2026-04-10T24:00:00Z", "2026-04-11T00:00:00Z"),
        ("2026-04-10T24:00+02:00", "2026-04-10T22:00:00Z"),
        ("20260410T240000Z", "2026-04-11T00:00:00Z"),
        ("2026-04-10t10:00:00z", "2026-04-10T10:00:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2016-12-31T23:59:60.25Z", "2017-01-01T00:00:00.250Z"),
        ("2017-01-01T05:29:60+05:30", "2017-01-01T00:00:00Z"),
        ("2026-04-10T10:00:00.1234569Z", "2026-04-10T10:00:00.123456Z"),
    ],
)
def test_timestamps_that_the_standards_allow(sent: str, meant: str) -> None:
    assert format_timestamp(parse_timestamp(sent)) == meant


@pytest.mark.parametrize(
    "sent", ["2026-04-10T24:00:01Z", "2026-04-10T10:10:60Z", "2026-04-10T24:01Z", "9999-12-31T24:00:00Z", "24:00"]
)
def test_timestamps_that_none_allows(sent: str) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_timestamp(sent)


ZONES = st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"])
MOMENTS = st.integers(at("2011-12-20"), at("2027-01-01"))


@given(MOMENTS, st.integers(0, 72), ZONES, st.sampled_from(["daily", "weekly", "monthly"]))
def test_before_the_end_of_the_grace_and_after_it(moment: int, hours: int, name: str, period: str) -> None:
    """A record a moment before `moment_after` the start of a period is, with that grace, of the period before."""
    zone = zone_named(name)
    number = period_of(moment, period, zone)  # type: ignore[arg-type]
    start = period_start(number, period, zone)  # type: ignore[arg-type]
    end = moment_after(start, hours * HOUR, zone)
    assert period_before(end, hours * HOUR, period, zone) >= number  # type: ignore[arg-type]
    if start > period_start(number - 1, period, zone):  # type: ignore[arg-type]
        assert period_before(end - 1, hours * HOUR, period, zone) < number  # type: ignore[arg-type]
    assert abs(end - start - hours * HOUR) <= timedelta(hours=24) // timedelta(microseconds=1)


@pytest.mark.parametrize("name", ["localtime", "posix/Europe/Berlin", "right/Europe/Berlin", "posixrules", "Factory/x"])
def test_a_zone_that_only_some_hosts_know_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="must be an IANA time zone"):
        zone_named(name)
    assert not check(STREAK.format("daily", name, 0)).game, "neither in a game"


def test_every_zone_of_the_package_is_one_and_none_is_read_from_the_host() -> None:
    for name in (files("tzdata") / "zones").read_text().split():
        assert zone_named(name).key == name
    assert zoneinfo.TZPATH == ()
