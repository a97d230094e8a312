"""What is measured: each case starts its own server, warms it up, measures, and ends it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from random import Random

from loadtests import subjects
from loadtests.bench import limits
from loadtests.bench.closed_loop import ClosedLoop, post
from loadtests.open_loop.figures import Figures
from loadtests.open_loop.generator import generate
from loadtests.open_loop.schedule import at_once, poisson
from loadtests.purchases import BATCH, EVENTS, SYNC, batch_body, batch_requests, single_body, single_requests
from loadtests.server_api import api_client, count_facts
from loadtests.subjects import Subject
from loadtests.usage import TreeUsage

Measured = Mapping[str, float]
"""Figures by name: `events` a second; `p50`, `p95`, `p99`, `p999`, `max` in ms; `cpu` and `stream_cpu`, microseconds of
processor time an event, of the server and of Valkey; `rss` and `stream_rss` in MB; `refused` and `broken` requests,
and the share of requests `accepted`, 0 to 1."""

PARTICIPANTS = 10_000
BATCH_EVENTS = 100
SINGLE_BODIES = 5000
BATCH_BODIES = 200
IN_FLIGHT = 32
CONNECTIONS = 64
GAME = 20
"""Definitions of the game, of which ten listen to the event."""

WARM_UP_SECONDS = 1
GRACE_SECONDS = 10.0
"""How long to wait for outstanding responses after an open-loop measurement."""

MB = 1_000_000

Start = Callable[[], AbstractContextManager[Subject]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each measurement takes, in seconds, and how much is queued before the consumer is measured."""

    closed: int
    open: float
    limit: float
    backlog: int


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the report."""

    name: str
    section: str
    label: str
    measure: Callable[[Pace], Measured]
    quick: bool = False
    """Whether the quick form has it."""
    rate: float | None = None
    """Arrivals a second, of an open-loop case."""


def closed_loop(start: Start, path: str, in_flight: int, batch: int, pace: Pace) -> Measured:
    """Throughput with a number of requests in flight."""
    random = Random(1)
    bodies = (
        [batch_body(random, PARTICIPANTS, batch) for _ in range(BATCH_BODIES)]
        if batch
        else [single_body(random, PARTICIPANTS) for _ in range(SINGLE_BODIES)]
    )
    with start() as subject:
        url = f"{subject.url}{path}"
        post(url, subject.key, bodies, in_flight=in_flight, seconds=WARM_UP_SECONDS)
        before = subject.usage()
        found = post(url, subject.key, bodies, in_flight=in_flight, seconds=pace.closed)
        events = (found.answered - found.refused) * (batch or 1)
        return _figures(found, batch or 1) | _cost(before, subject.usage(), events)


def open_loop(start: Start, rate: float, pace: Pace) -> Measured:
    """Latencies under Poisson arrivals of single events."""
    random = Random(f"{rate} {pace.open}")
    with start() as subject:
        made = single_requests(subject.url, subject.key, random, PARTICIPANTS)
        _poisson(subject, made, rate / 2, WARM_UP_SECONDS, random)
        before = subject.usage()
        found = _poisson(subject, made, rate, pace.open, random)
        accepted = found.outcomes.get("ok", 0)
        return {
            "events": accepted / pace.open,
            "accepted": accepted / max(1, sum(found.outcomes.values())),
            "share": found.achieved / found.requested,
            "p50": found.latency.p50,
            "p95": found.latency.p95,
            "p99": found.latency.p99,
            "p999": found.latency.p999,
            "max": found.latency.largest,
            "refused": sum(found.outcomes.values()) - accepted,
        } | _cost(before, subject.usage(), max(1, accepted))


def saturated(start: Start, pace: Pace) -> Measured:
    """Throughput of ingest and of the consumer while the consumer is busy; and the consumer's alone, right after."""
    random = Random(1)
    bodies = [single_body(random, PARTICIPANTS) for _ in range(SINGLE_BODIES)]
    with start() as subject, api_client(subject.url, subject.key) as client:
        batches = pace.backlog // BATCH_EVENTS
        made = batch_requests(subject.url, subject.key, random, PARTICIPANTS, BATCH_EVENTS)
        generate(subject.url, made, at_once(batches), 0.0, connections=8)
        facts, began = count_facts(client), time.perf_counter()
        found = post(f"{subject.url}{EVENTS}", subject.key, bodies, in_flight=IN_FLIGHT, seconds=pace.closed)
        between, halfway = count_facts(client), time.perf_counter()
        time.sleep(pace.closed)
        after, ended = count_facts(client), time.perf_counter()
        queued = batches * BATCH_EVENTS + found.answered - found.refused
        alone = (after - between) / (ended - halfway)
        return _figures(found, 1) | {
            "consumer": (between - facts) / (halfway - began),
            "consumer_alone": alone,
            "left": float(queued - after),
        }


def _poisson(subject: Subject, made: Iterator[bytes], rate: float, seconds: float, random: Random) -> Figures:
    schedule = poisson(rate, seconds, random)
    recording = generate(subject.url, made, schedule, seconds, connections=CONNECTIONS, grace=GRACE_SECONDS)
    return Figures.of(recording, seconds)


def _figures(found: ClosedLoop, events: int) -> dict[str, float]:
    return {
        "events": found.accepted * events,
        "accepted": 1 - found.refused / found.answered,
        "p50": found.p50,
        "p95": found.p95,
        "p99": found.p99,
        "p999": found.p999,
        "max": found.largest,
        "refused": found.refused,
        "broken": found.broken,
    }


def _cost(before: TreeUsage | None, after: TreeUsage | None, events: int) -> dict[str, float]:
    if before is None or after is None:
        return {}
    server = after.server.processor_seconds - before.server.processor_seconds
    stream = after.stream.processor_seconds - before.stream.processor_seconds
    return {
        "cpu": server * 1e6 / events,
        "stream_cpu": stream * 1e6 / events,
        "rss": after.server.resident_bytes / MB,
        "stream_rss": after.stream.resident_bytes / MB,
    }


LIMITS, CLOSED, OPEN, SATURATED = "limits", "closed", "open", "saturated"


def every_case(environment: Mapping[str, str]) -> list[Case]:
    """All cases, with those that are compared next to each other; `environment` is for our own server."""
    plain: Start = partial(subjects.ours, 0, environment)
    game: Start = partial(subjects.ours, GAME, environment)
    return [
        *_limits(environment),
        *_closed("fastapi", "FastAPI + Uvicorn + redis-py", subjects.fastapi, quick={32, BATCH}, flights=(32,)),
        *_closed("fastify", "Fastify + ioredis", subjects.fastify, quick={32, BATCH}, flights=(32, 128)),
        *_closed("none", "bq-server, no game", plain, quick={32, 128, BATCH}, sync=True),
        *_closed("game", f"bq-server, {GAME} definitions", game, quick={32}, sync=True),
        Case(
            "saturated", SATURATED, f"{GAME} definitions, {IN_FLIGHT} in flight", partial(saturated, game), quick=True
        ),
        *_open("none", "no game", plain, quick={1000, 2000}),
        *_open("game", f"{GAME} definitions", game, quick={500}),
    ]


def _limits(environment: Mapping[str, str]) -> list[Case]:
    protocol: Start = partial(subjects.constant, "constant_protocol")
    hypercorn: Start = partial(subjects.constant, "constant_hypercorn")
    intake: Start = partial(subjects.ours, 0, environment, "loadtests.bench.constant_intake")

    def limit(name: str, label: str, measure: Callable[[Pace], Measured], *, quick: bool = True) -> Case:
        return Case(f"limit.{name}", LIMITS, label, measure, quick)

    return [
        limit(
            "protocol",
            "asyncio.Protocol + httptools, a constant answer",
            partial(closed_loop, protocol, EVENTS, IN_FLIGHT, 0),
        ),
        limit("hypercorn", "Hypercorn, a constant answer", partial(closed_loop, hypercorn, EVENTS, IN_FLIGHT, 0)),
        limit(
            "intake",
            "bq-server without its stream: the lane, or Hypercorn where there is none, and validation",
            partial(closed_loop, intake, EVENTS, IN_FLIGHT, 0),
        ),
        limit(
            "pipeline",
            f"XADD through redis-py, pipelines of {limits.GROUP}",
            lambda pace: limits.appending(limits.by_pipeline, pace.limit),
        ),
        limit(
            "script",
            f"XADD by a script, calls of {limits.GROUP}",
            lambda pace: limits.appending(limits.by_script, pace.limit),
        ),
        limit("single", "parse and validate single events", lambda pace: limits.validating(0, pace.limit)),
        limit(
            "batch",
            f"parse and validate batches of {BATCH_EVENTS}",
            lambda pace: limits.validating(BATCH_EVENTS, pace.limit),
        ),
    ]


def _closed(
    name: str,
    label: str,
    start: Start,
    *,
    quick: set[int | str],
    flights: tuple[int, ...] = (1, 8, 32, 64, 128),
    sync: bool = False,
) -> list[Case]:
    found = [
        Case(
            f"{name}.single.{each}",
            CLOSED,
            f"{label}: single events, {each} in flight",
            partial(closed_loop, start, EVENTS, each, 0),
            each in quick,
        )
        for each in flights
    ]
    found.append(
        Case(
            f"{name}.batch",
            CLOSED,
            f"{label}: batches of {BATCH_EVENTS}, {IN_FLIGHT} in flight",
            partial(closed_loop, start, BATCH, IN_FLIGHT, BATCH_EVENTS),
            BATCH in quick,
        )
    )
    if sync:
        measure = partial(closed_loop, start, SYNC, IN_FLIGHT, 0)
        found.append(Case(f"{name}.sync", CLOSED, f"{label}: sync, {IN_FLIGHT} in flight", measure))
    return found


def _open(name: str, label: str, start: Start, *, quick: set[int]) -> list[Case]:
    return [
        Case(
            f"{name}.open.{rate}",
            OPEN,
            f"{label}: {rate:,}/s",
            partial(open_loop, start, float(rate)),
            rate in quick,
            float(rate),
        )
        for rate in (200, 500, 1000, 2000)
    ]
