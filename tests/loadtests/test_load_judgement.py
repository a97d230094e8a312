"""Pass, fail or invalid, from figures; and the table."""

from dataclasses import replace

import pytest

from loadtests.judgement import Judgement, LoadFailure, LoadLimits, LoadOutcome, RouteFigures, RunFigures, judge, report

ASYNC = RouteFigures("/async", requests=900, failures=0, events=900, p50=2.0, p95=9.0, p99=20.0, slowest=80.0)
BATCH = RouteFigures("/batch", requests=100, failures=0, events=1000, p50=4.0, p95=20.0, p99=300.0, slowest=400.0)
GOOD = RunFigures(
    seconds=10.0,
    users=25,
    rate_per_user=4.0,
    all_users_started=True,
    due=1000,
    answered=1000,
    late=0,
    promised="/async",
    routes=[ASYNC, BATCH],
)
LIMITS = LoadLimits()


def judged(run: RunFigures) -> Judgement:
    return judge(run, LIMITS)


def test_a_run_within_its_limits_passes_whatever_the_other_routes_took() -> None:
    judgement = judged(GOOD)
    assert judgement.outcome is LoadOutcome.PASSED
    assert judgement.exit_code == 0
    assert judgement.reasons == ["p99 of /async is 20.0 ms (limit 50 ms), no request failed"]


@pytest.mark.parametrize(("p99", "outcome"), [(50.0, LoadOutcome.PASSED), (50.1, LoadOutcome.FAILED)])
def test_p99_of_the_promised_route_may_reach_its_limit_and_not_pass_it(p99: float, outcome: LoadOutcome) -> None:
    judgement = judged(replace(GOOD, routes=[replace(ASYNC, p99=p99), BATCH]))
    assert judgement.outcome is outcome
    assert judgement.exit_code == (1 if outcome is LoadOutcome.FAILED else 0)


def test_the_p99_limit_can_be_another() -> None:
    judgement = judge(GOOD, replace(LIMITS, p99_ms=19.9))
    assert judgement.reasons == ["p99 of /async is 20.0 ms, over the limit of 19.9 ms"]


def test_one_failed_request_on_any_route_fails_the_run_and_is_named() -> None:
    run = replace(
        GOOD, routes=[ASYNC, replace(BATCH, failures=1)], failures=[LoadFailure("503 overloaded on /batch", 1)]
    )
    judgement = judged(run)
    assert judgement.outcome is LoadOutcome.FAILED
    assert judgement.reasons == ["1 of 1000 requests failed: 1 x 503 overloaded on /batch"]


def test_the_commonest_failures_come_first_and_the_rare_ones_are_left_out() -> None:
    failures = [LoadFailure(f"kind {times}", times) for times in range(1, 8)]
    (reason,) = judged(replace(GOOD, routes=[replace(ASYNC, failures=28)], failures=failures)).reasons
    assert reason == "28 of 900 requests failed: " + "; ".join(f"{times} x kind {times}" for times in (7, 6, 5, 4, 3))


@pytest.mark.parametrize(("answered", "outcome"), [(900, LoadOutcome.PASSED), (899, LoadOutcome.INVALID)])
def test_a_run_that_achieves_less_than_nine_tenths_is_invalid(answered: int, outcome: LoadOutcome) -> None:
    assert judged(replace(GOOD, answered=answered)).outcome is outcome


def test_the_reason_tells_both_rates() -> None:
    judgement = judged(replace(GOOD, answered=500))
    assert judgement.exit_code == 3
    assert judgement.reasons[0].startswith("achieved 50.0 of 100.0 requests/s, 50.0 %, below 90%")


@pytest.mark.parametrize(("late", "outcome"), [(10, LoadOutcome.PASSED), (11, LoadOutcome.INVALID)])
def test_a_run_with_more_than_a_hundredth_sent_late_is_invalid(late: int, outcome: LoadOutcome) -> None:
    assert judged(replace(GOOD, late=late)).outcome is outcome


def test_a_run_is_invalid_without_a_request_on_the_promised_route() -> None:
    for routes in ([BATCH], [replace(ASYNC, requests=0, p99=0.0), BATCH]):
        judgement = judged(replace(GOOD, routes=routes))
        assert judgement.outcome is LoadOutcome.INVALID
        assert judgement.reasons == ["/async got no request, so its p99 is not known"]


def test_a_run_is_invalid_without_any_request() -> None:
    judgement = judged(replace(GOOD, routes=[]))
    assert judgement.outcome is LoadOutcome.INVALID
    assert judgement.reasons == ["no request was made"]


def test_a_mix_without_the_promised_route_is_judged_by_its_failures() -> None:
    run = replace(GOOD, promised=None, routes=[BATCH])
    assert judged(run).reasons == ["p99 not judged, no request failed"]
    assert judged(replace(run, routes=[replace(BATCH, failures=1)])).outcome is LoadOutcome.FAILED


def test_a_run_is_invalid_when_users_were_still_starting() -> None:
    assert judged(replace(GOOD, all_users_started=False)).outcome is LoadOutcome.INVALID


def test_a_run_is_invalid_when_the_generator_raised() -> None:
    judgement = judged(replace(GOOD, generator_errors=2))
    assert judgement.outcome is LoadOutcome.INVALID
    assert "2 errors" in judgement.reasons[0]


def test_invalid_outweighs_failed_and_both_reasons_are_told() -> None:
    judgement = judged(replace(GOOD, answered=1, routes=[replace(ASYNC, p99=900.0)]))
    assert judgement.outcome is LoadOutcome.INVALID
    assert [reason.split()[0] for reason in judgement.reasons] == ["achieved", "p99"]


def test_the_table_has_a_line_for_each_route_and_both_rates() -> None:
    run = replace(GOOD, answered=950, late=3)
    lines = report(run, judged(run), LIMITS).splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["route", "requests", "failed", "events", "p50", "ms", "p95", "ms", "p99", "ms", "max", "ms"],
        ["/async", "900", "0", "900", "2.0", "9.0", "20.0", "80.0"],
        ["/batch", "100", "0", "1000", "4.0", "20.0", "300.0", "400.0"],
    ]
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[4:7] == [
        "  requested  100.0 requests/s over 10.0 s (25 users x 4/s = 100/s on average)",
        "  achieved   95.0 requests/s (95.0 %), 190.0 events/s",
        "  sent late  0.3 % more than 50 ms after they were due",
    ]
    assert lines[-1].startswith("PASSED: p99 of /async")


def test_a_run_of_nothing_has_a_report_too() -> None:
    run = replace(GOOD, seconds=0.0, due=0, answered=0, routes=[])
    text = report(run, judged(run), LIMITS)
    assert "requested  0.0 requests/s" in text
    assert text.splitlines()[-1].startswith("INVALID: ")


def test_further_reasons_follow_below_the_first() -> None:
    run = replace(GOOD, answered=1, all_users_started=False)
    *_, first, second = report(run, judged(run), LIMITS).splitlines()
    assert first.startswith("INVALID: the run ended before")
    assert second.startswith("  and achieved")
