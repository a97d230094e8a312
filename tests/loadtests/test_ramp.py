"""Runs whose load changes: the timeline, the ramp and its verdict, the picture, and one tiny real ramp."""

import json
import math
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtests.judgement import LoadLimits, LoadOutcome
from loadtests.pictures import picture
from loadtests.plot import Chart, Line
from loadtests.ramp import Ramp, Step, judge_ramp, told
from loadtests.timeline import Timeline, TimelineWindow

ROOT = Path(__file__).parents[2]

notes = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 500).map(float), st.booleans()))


def timeline(*noted: tuple[float, float, bool]) -> Timeline:
    found = Timeline()
    for moment, latency, failed in noted:
        found.note(moment, latency, failed=failed)
    return found


def window(answered: int, p99: float, failed: int = 0) -> TimelineWindow:
    return TimelineWindow(100, 10, answered, failed, p99 / 2, p99 / 1.5, p99)


def test_a_window_holds_what_was_answered_in_its_seconds() -> None:
    seen = timeline((9.99, 1, False), (10.0, 5, False), (11.5, 7, True), (12.0, 100, False))
    found = seen.window(10, 12)
    assert (found.answered, found.failed, found.rate, found.p50, found.p99) == (2, 1, 1.0, 5.0, 7.0)
    empty = seen.window(50, 60)
    assert (empty.answered, empty.rate) == (0, 0.0)
    assert math.isnan(empty.p99)


@given(notes, notes)
def test_the_timelines_of_two_generators_add_up_and_survive_json(
    one: list[tuple[float, float, bool]], two: list[tuple[float, float, bool]]
) -> None:
    together, left = timeline(*one, *two), timeline(*one)
    left.add(Timeline.from_dict(json.loads(json.dumps(timeline(*two).as_dict()))))
    assert left == together


@given(notes, st.integers(1, 60))
def test_windows_are_of_one_length_and_no_more_than_asked_for(
    noted: list[tuple[float, float, bool]], parts: int
) -> None:
    found = timeline(*noted).windows(parts)
    assert len(found) <= parts + 1
    assert len({each.seconds for each in found}) <= 1
    assert [each.start for each in found] == sorted({each.start for each in found})


def ramp(**changes: float) -> Ramp:
    given = {"rate_per_user": 1.0, "step_users": 10, "step_seconds": 5, "most_users": 30, "share": 1.0} | changes
    return Ramp(**given, limits=LoadLimits())  # type: ignore[arg-type]


def drive(ramp: Ramp, latency: float, answered_per_user: int = 1) -> list[int]:
    """Let the ramp go second by second; the users of each second until it ends."""
    seen = Timeline()
    users: list[int] = []
    for second in range(100, 400):
        now = ramp.users(second + 0.5, seen)
        if now is None:
            return users
        users.append(now)
        for _ in range(now * answered_per_user):
            # In the second that comes next: a step counts from its first whole second.
            seen.note(second + 1, latency, failed=False)
    raise AssertionError("the ramp didn't end")


def test_a_ramp_adds_users_until_there_are_no_more() -> None:
    going = ramp()
    assert sorted(set(drive(going, 5.0))) == [10, 20, 30]
    assert [step.requested for step in going.steps] == [10, 20, 30]
    assert all(step.window.seconds == 5 for step in going.steps)
    verdict = judge_ramp(going.steps, LoadLimits(), 0)
    assert verdict.outcome is LoadOutcome.PASSED
    assert verdict.reasons == ["kept up to 30 requests/s with p99 5.0 ms", "the knee was not reached"]


def test_a_ramp_ends_at_the_first_step_that_breaks_the_promise() -> None:
    going = ramp()
    assert set(drive(going, 51.0)) == {10}
    verdict = judge_ramp(going.steps, LoadLimits(), 0)
    assert verdict.outcome is LoadOutcome.FAILED
    assert verdict.reasons == ["already at 10 requests/s p99 is 51.0 ms"]


def test_a_ramp_starts_anew_when_it_begins_again() -> None:
    going = ramp()
    drive(going, 5.0)
    going.begin()
    assert going.users(1000.0, Timeline()) == 10
    assert going.steps == []


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (Step(20, window(100, 5.0)), "at 20 requests/s 10 of 20 requests/s were answered"),
        (Step(20, window(200, 60.0)), "at 20 requests/s p99 is 60.0 ms"),
        (Step(20, window(200, 5.0, failed=3)), "at 20 requests/s 3 requests failed"),
    ],
)
def test_the_knee_is_the_last_step_that_held_and_why_the_next_did_not(last: Step, reason: str) -> None:
    verdict = judge_ramp([Step(10, window(100, 5.0)), last], LoadLimits(), 0)
    assert verdict.outcome is LoadOutcome.PASSED
    assert verdict.reasons == ["kept up to 10 requests/s with p99 5.0 ms", reason]


def test_a_ramp_without_a_step_or_with_errors_of_its_own_says_nothing() -> None:
    assert judge_ramp([], LoadLimits(), 0).outcome is LoadOutcome.INVALID
    assert judge_ramp([Step(10, window(100, 5.0))], LoadLimits(), 1).outcome is LoadOutcome.INVALID


def test_each_step_has_a_line() -> None:
    assert told([Step(10, window(95, 6.0))]).splitlines()[1].split() == ["10.0", "9.5", "0", "3.0", "4.0", "6.0"]


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(svg).findall(".//{*}text")]  # noqa: S314 - written by ourselves


def test_a_ramp_is_drawn_against_the_rate_and_other_runs_against_time() -> None:
    steps = [
        Step(10, window(100, 5.0)),
        Step(20, window(190, 80.0)),
        Step(30, TimelineWindow(1, 10, 0, 0, *[math.nan] * 3)),
    ]
    drawn = picture(steps, Timeline(), LoadLimits())
    assert drawn is not None
    assert {"Latency against rate", "promise: 50 ms", "p50", "p95", "p99"} <= set(texts(drawn))
    seen = timeline(*((second, 5.0, False) for second in range(20)))
    over_time = picture([], seen, LoadLimits())
    assert over_time is not None
    assert "Latency over time" in texts(over_time)
    assert picture([], Timeline(), LoadLimits()) is None


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.floats(1e-3, 1e6)), min_size=1, max_size=20),
    st.sampled_from([None, 0.5, 50.0]),
)
@example([(5e-324, 1.0)], None)
def test_every_point_lies_within_the_picture(points: list[tuple[float, float]], limit: float | None) -> None:
    drawn = ET.fromstring(Chart("t", "s", "x", "y", [Line("a", sorted(points))], limit).svg())  # noqa: S314 - written by ourselves
    for circle in drawn.findall(".//{*}circle"):
        assert 76 <= float(circle.attrib["cx"]) <= 860 - 150 + 0.1
        assert 64 - 0.1 <= float(circle.attrib["cy"]) <= 480 - 60 + 0.1


def test_names_are_escaped_and_nothing_to_draw_is_an_error() -> None:
    assert "<b>" not in Chart("a <b> & c", "", "", "", [Line("x", [(1, 1)])]).svg()
    with pytest.raises(ValueError, match="nothing to draw"):
        Chart("", "", "", "", [Line("x", [(1, math.nan), (2, 0)])]).svg()


def test_a_tiny_real_ramp_writes_its_reports(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loadtests.run", "--shape", "ramp", "--rate", "100", "--no-pin"]
    small = ["--users=2", "--ramp-users=1", "--ramp-seconds=1", "--rate-per-user=20", "--p99-limit=10000"]
    flags = ["--out", str(tmp_path), "--report", str(tmp_path / "report.json")]
    done = subprocess.run(
        [*command, *flags, "--", *small], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    told = done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    # How many requests fall into a second is chance: a step may count as not reached, and the ramp as failed.
    assert done.returncode == {"PASSED": 0, "FAILED": 1, "INVALID": 3}[report["outcome"]], told
    assert "requested/s" in done.stdout, told
    assert "LEDGER balanced" in done.stdout, told
    assert "Latency against rate" in texts((tmp_path / "load-ramp.svg").read_text("utf-8"))
    assert "<html" in (tmp_path / "load-ramp.html").read_text("utf-8").lower()
