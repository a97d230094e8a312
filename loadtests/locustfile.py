"""Load on the three ingest routes, with Poisson arrivals, a verdict as exit code, and a picture.

    BQ_API_KEY=bq_test_... locust -f loadtests/locustfile.py --headless --users 50 --run-time 30s --host http://127.0.0.1:8080

Exit code 0: passed. 1: a request failed, or p99 of the async route passed its limit. 3: the run is invalid, because
the load that was asked for didn't arrive. 2: wrong usage.

`--shape ramp` adds users step by step until the async route's promise breaks, and tells the knee.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import gevent
import locust.stats
from locust import FastHttpUser, LoadTestShape, events, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import WorkerRunner

from loadtests.answers import LoadReply, read_answer
from loadtests.arrivals import PoissonArrivals
from loadtests.judgement import Judgement, LoadFailure, LoadLimits, RouteFigures, RunFigures, judge, report
from loadtests.options import add_options
from loadtests.pictures import picture
from loadtests.ramp import Ramp, judge_ramp, told
from loadtests.shapes import RAMP
from loadtests.tally import Tally
from loadtests.timeline import Timeline
from loadtests.workload import LoadRoute, Mix, Planned, Workload

ANSWER_TIMEOUT_SECONDS = 10.0
STOP_TIMEOUT_SECONDS = ANSWER_TIMEOUT_SECONDS + 2
"""Requests under way at the end may finish, so that what was accepted is known to the last event."""

METHOD = "POST"
TALLY, TIMELINE = "bq_tally", "bq_timeline"


@dataclass(slots=True)
class Run:
    """What this process knows about the run. Moments are seconds of the monotonic clock."""

    tally: Tally = field(default_factory=Tally)
    timeline: Timeline = field(default_factory=Timeline)
    ramp: Ramp | None = None
    started: float | None = None
    stopped: float | None = None
    users: int = 0
    all_users_started: bool = False
    summary: str = ""

    def end(self) -> float:
        """The moment after which nothing is asked for any more."""
        return time.monotonic() if self.stopped is None else self.stopped


current = Run()


class EventSender(FastHttpUser):
    """Sends events at random moments, however long the responses take."""

    host = "http://127.0.0.1:8080"
    network_timeout = ANSWER_TIMEOUT_SECONDS
    connection_timeout = ANSWER_TIMEOUT_SECONDS

    def on_start(self) -> None:
        """Draw the first arrival and wait for it: else all users would begin with a request at once."""
        options = self.environment.parsed_options
        self._random = Random()
        self._arrivals = PoissonArrivals(options.rate_per_user, time.monotonic(), self._random)
        self._workload = Workload(self._random, lambda: datetime.now(UTC))
        self._key: str = options.api_key
        self._mix = Mix.parse(options.mix)
        self._batch_events: int = options.batch_events
        self.wait()  # type: ignore[no-untyped-call]

    def on_stop(self) -> None:
        """Count what should have been sent and was not."""
        current.tally.due += self._arrivals.take_overdue(current.end())

    def wait_time(self) -> float:
        """Seconds until the next request is due."""
        return self._arrivals.wait(time.monotonic())

    @task
    def send(self) -> None:
        """Send one request and note what came of it."""
        if current.stopped is not None:
            # Locust ends waiting users one after the other; one that wakes meanwhile would be cut off in its request.
            raise StopUser
        route = self._mix.draw(self._random)
        planned = self._workload.plan(route, self._batch_events if route is LoadRoute.BATCH else 1)
        current.tally.due += 1
        sent = time.monotonic()
        late = self._arrivals.take(sent)
        current.tally.late += late * 1000 > LoadLimits().late_ms
        current.tally.unknown += len(planned)
        answer = self._post(route, planned)
        if route is LoadRoute.ASYNC:
            latency = (late + time.monotonic() - sent) * 1000
            current.timeline.note(time.time(), latency, failed=answer.problem is not None)
        current.tally.answered += 1
        if answer.known:
            current.tally.unknown -= len(planned)
        if answer.ids:
            self._note_taken(route, planned, answer)

    def _post(self, route: LoadRoute, planned: list[Planned]) -> LoadReply:
        body, headers = self._workload.request(route, planned)
        headers["X-API-Key"] = self._key
        with self.client.post(route.value, json=body, headers=headers, catch_response=True) as response:
            replayed = response.headers is not None and response.headers.get("Idempotent-Replayed") == "true"
            answer = read_answer(route, planned, response.status_code, response.content, replayed=replayed)
            if answer.problem is not None:
                error = "" if response.status_code else f": {getattr(response, 'error', '')!r}"
                response.failure(answer.problem + error)
        return answer

    def _note_taken(self, route: LoadRoute, planned: list[Planned], answer: LoadReply) -> None:
        repeated = sum(event.first_id is not None for event in planned)
        current.tally.accepted += len(planned) - repeated
        current.tally.repeated += repeated
        current.tally.events[route.value] += len(planned)
        for event, answered_id in zip(planned, answer.ids, strict=True):
            self._workload.remember(route, event, answered_id)


class RampShape(LoadTestShape):
    """Adds users step by step, as `--shape ramp` asks; abstract, so that Locust doesn't take it unasked."""

    abstract = True

    def __init__(self, ramp: Ramp, spawn_rate: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ramp = ramp
        self._spawn_rate = spawn_rate

    def reset_time(self) -> None:
        """Start over, as a second run from the web page does."""
        super().reset_time()  # type: ignore[no-untyped-call]
        self._ramp.begin()

    def tick(self) -> tuple[int, float] | None:
        """How many users there should be now; Locust asks every second."""
        current.ramp = self._ramp
        users = self._ramp.users(time.time(), current.timeline)
        return None if users is None else (users, self._spawn_rate)


def prepare(environment: Environment, **_: Any) -> None:
    """Set the defaults that make the plain command work."""
    # Where starting took long, gevent's idea of now is as old as the start, and timers set next would go off early: a
    # short run would be over before it began.
    gevent.get_hub().loop.update_now()  # type: ignore[no-untyped-call]
    options = environment.parsed_options
    if options is None:
        return
    if not options.api_key:
        print("locustfile: no key: set BQ_API_KEY or pass --api-key", file=sys.stderr)
        sys.exit(2)
    # Locust starts one user a second unless told otherwise: in 30 s it would never have 50.
    if options.spawn_rate is None:
        options.spawn_rate = options.num_users
    if not environment.stop_timeout:
        environment.stop_timeout = STOP_TIMEOUT_SECONDS
    if options.shape == RAMP and not isinstance(environment.runner, WorkerRunner):
        mix = Mix.parse(options.mix)
        if LoadRoute.ASYNC not in mix:
            print("locustfile: a ramp judges the async route, but --mix gives it no requests", file=sys.stderr)
            sys.exit(2)
        ramp = Ramp(
            rate_per_user=options.rate_per_user,
            step_users=options.ramp_users,
            step_seconds=options.ramp_seconds,
            most_users=options.num_users or options.ramp_users,
            share=mix.share(LoadRoute.ASYNC),
            limits=LoadLimits(p99_ms=options.p99_limit),
        )
        environment.shape_class = RampShape(ramp, options.ramp_users)
        environment.shape_class.runner = environment.runner


def begin(**_: Any) -> None:
    """Start measuring; a second run from the web page starts over."""
    global current
    current = Run(started=time.monotonic())


def all_users_started(user_count: int, **_: Any) -> None:
    """Note that the load is up."""
    current.users, current.all_users_started = user_count, True


def stop(**_: Any) -> None:
    """Stop measuring; requests in flight finish after this."""
    current.stopped = time.monotonic()


def hand_over(data: dict[str, Any], **_: Any) -> None:
    """In a worker process: give the master the counts since the last time."""
    data[TALLY], data[TIMELINE] = current.tally.as_dict(), current.timeline.as_dict()
    current.tally, current.timeline = Tally(), Timeline()


def take_over(data: dict[str, Any], **_: Any) -> None:
    """In the master process: add the counts of a worker."""
    if TALLY in data:
        current.tally.add(Tally.from_dict(data[TALLY]))
        current.timeline.add(Timeline.from_dict(data[TIMELINE]))


def conclude(environment: Environment, **_: Any) -> None:
    """Judge the run and set the exit code."""
    runner, options = environment.runner, environment.parsed_options
    if runner is None or options is None or isinstance(runner, WorkerRunner) or current.started is None:
        return
    runner.stop()  # on Ctrl-C the users still run
    limits = LoadLimits(p99_ms=options.p99_limit)
    figures = figures_of(environment)
    steps = () if current.ramp is None else current.ramp.steps
    ramped = current.ramp is not None
    judgement = judge_ramp(steps, limits, figures.generator_errors) if ramped else judge(figures, limits)
    environment.process_exit_code = judgement.exit_code
    current.summary = report(figures, judgement, limits)
    if steps:
        current.summary = f"{told(steps)}\n\n{current.summary}"
    drawn = picture(steps, current.timeline, limits) if options.plot is not None else None
    if drawn is not None:
        Path(options.plot).write_text(drawn, encoding="utf-8")
    if options.report is not None:
        Path(options.report).write_text(json.dumps(as_json(figures, judgement), indent=2), encoding="utf-8")


def figures_of(environment: Environment) -> RunFigures:
    """The figures of the run that just ended."""
    assert environment.runner is not None
    assert environment.parsed_options is not None
    found = environment.stats.entries
    routes = []
    for route in LoadRoute:
        entry = found.get((route.value, METHOD))
        p50, p95, p99 = (entry.get_response_time_percentile(share) if entry else 0 for share in (0.5, 0.95, 0.99))
        routes.append(
            RouteFigures(
                name=route.value,
                requests=entry.num_requests if entry else 0,
                failures=entry.num_failures if entry else 0,
                events=current.tally.events[route.value],
                p50=p50,
                p95=p95,
                p99=p99,
                slowest=entry.max_response_time if entry else 0,
            )
        )
    return RunFigures(
        seconds=current.end() - (current.started or 0),
        users=current.users,
        rate_per_user=environment.parsed_options.rate_per_user,
        all_users_started=current.all_users_started,
        due=current.tally.due,
        answered=current.tally.answered,
        late=current.tally.late,
        promised=LoadRoute.ASYNC.value if LoadRoute.ASYNC in Mix.parse(environment.parsed_options.mix) else None,
        routes=routes,
        failures=[LoadFailure(f"{error.error} on {error.name}", error.occurrences) for error in _errors(environment)],
        generator_errors=sum(each["count"] for each in environment.runner.exceptions.values()),
    )


def as_json(figures: RunFigures, judgement: Judgement) -> dict[str, Any]:
    """The report file."""
    return {
        "outcome": judgement.outcome,
        "reasons": judgement.reasons,
        "counts": current.tally.as_dict(),
        "figures": asdict(figures),
    }


def show(**_: Any) -> None:
    """Print the verdict last, below Locust's own tables."""
    if current.summary:
        print(f"\n{current.summary}", flush=True)


def _errors(environment: Environment) -> list[locust.stats.StatsError]:
    return list(environment.stats.errors.values())


def _tenths_of_ms(response_time: float) -> float:
    """Finer than Locust's own rounding, by which 50.4 ms would pass for 50, and 104 for 100."""
    return round(response_time, 1)


def _listen() -> None:
    locust.stats.bucket_response_time = _tenths_of_ms  # type: ignore[assignment]
    listeners = (
        (events.init_command_line_parser, add_options),
        (events.init, prepare),
        (events.test_start, begin),
        (events.spawning_complete, all_users_started),
        (events.test_stopping, stop),
        (events.report_to_master, hand_over),
        (events.worker_report, take_over),
        (events.quitting, conclude),
        (events.quit, show),
    )
    for event, listener in listeners:
        event.add_listener(listener)  # type: ignore[no-untyped-call]


_listen()
