"""Poisson arrivals at a rate, latencies from the moments they were due: `python -m loadtests.open_loop`."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx

from harness.private_server import PrivateServer, ServerFailed
from loadtests.cores import on_cores, split_cores
from loadtests.games import GAMES, document
from loadtests.open_loop.connection import NotHTTP
from loadtests.open_loop.figures import Figures
from loadtests.open_loop.generator import Probe, Recording, generate
from loadtests.open_loop.schedule import at_once, poisson
from loadtests.percentiles import Percentiles
from loadtests.purchases import EVENTS, SYNC, batch_requests, get, single_requests
from loadtests.server_api import api_client, apply_game, count_facts, newest_lags
from loadtests.watch import Watch, told

DESCRIPTION = """\
Send single events that arrive as a Poisson process, to a private server unless --url is given, and
report how long each response took from the moment its request was due: a server that stalls can't make the generator
wait with it."""

EPILOG = """\
exit codes: 0 the figures are valid; 2 wrong usage, or no server; 3 invalid, the rate was not reached

examples:
  python -m loadtests.open_loop --rate 1000 --game twenty
  python -m loadtests.open_loop --rate 300 --game twenty --backlog 200000
  python -m loadtests.open_loop --rate 1000 --seconds 1800 --watch 60      does it grow?"""

FILL_CONNECTIONS = 8
FILL_BATCH = 100
FILL_SECONDS = 600.0
POLL_SECONDS = 0.2
PATHS = {"async": EVENTS, "sync": SYNC}


@dataclass(frozen=True, slots=True)
class OpenLoopTarget:
    """A server to measure; `private` when it is ours."""

    url: str
    key: str
    private: PrivateServer | None = None


def fill(target: OpenLoopTarget, random: Random, participants: int, events: int) -> None:
    """Queue events in batches, as fast as they are taken; those that were too many at once are sent again.

    Raises `RuntimeError` when one is refused for another reason, or none is taken.
    """
    batches = -(-events // FILL_BATCH)
    made = batch_requests(target.url, target.key, random, participants, FILL_BATCH)
    while batches:
        recording = generate(target.url, made, at_once(batches), 0.0, connections=FILL_CONNECTIONS, grace=FILL_SECONDS)
        taken, busy = recording.outcomes["ok"], recording.outcomes["503 overloaded"]
        if not taken or taken + busy < batches:
            raise RuntimeError(f"the queue could not be filled: {dict(recording.outcomes)}")
        batches -= taken


def measure(target: OpenLoopTarget, options: argparse.Namespace) -> Recording:
    """One run at the rate that was asked for."""
    random = Random(options.seed)
    made = single_requests(target.url, target.key, random, options.participants, PATHS[options.route])
    period = options.probe_ms / 1000
    return generate(
        target.url,
        made,
        poisson(options.rate, options.seconds, random),
        options.seconds,
        connections=options.connections,
        probe=Probe(get(target.url, "/livez"), period) if period else None,
    )


def run(target: OpenLoopTarget, options: argparse.Namespace) -> Figures:
    """Fill, warm up, measure, wait for the facts, and print."""
    with api_client(target.url, target.key) as client, ExitStack() as stack:
        if definitions := GAMES[options.game]:
            apply_game(client, document(definitions))
        before = count_facts(client)
        warmed = _warm_up(target, options)
        if options.backlog:
            began = time.perf_counter()
            fill(target, Random(f"{options.seed} backlog"), options.participants, options.backlog)
            queued = before + warmed + options.backlog - count_facts(client)
            print(
                f"backlog    {queued} of {options.backlog} events wait, queued in {time.perf_counter() - began:.1f} s"
            )
        watch = None
        if options.watch and target.private is not None:
            watch = stack.enter_context(Watch(target.private.pid, target.private.data_dir, options.watch))
        facts, began = count_facts(client), time.perf_counter()
        recording = measure(target, options)
        rate = (count_facts(client) - facts) / (time.perf_counter() - began)
        accepted = recording.outcomes["ok"]
        left = before + warmed + options.backlog + accepted - count_facts(client)
        print(f"facts      {rate:.0f}/s while measured; {max(0, left)} events waited at the end")
        if options.backlog and left <= 0:
            print("backlog    it was gone before the run ended: the figures include time without it", flush=True)
        lags = _lags(client, options, accepted, before + warmed + options.backlog + accepted)
    if watch is not None:
        print(told(watch.seen))
    return Figures.of(recording, options.seconds, lags)


def _warm_up(target: OpenLoopTarget, options: argparse.Namespace) -> int:
    """A moment of the same at half the rate; returns how many events were accepted."""
    if not options.warm_up:
        return 0
    random = Random(f"{options.seed} warm-up")
    made = single_requests(target.url, target.key, random, options.participants)
    schedule = poisson(options.rate / 2, options.warm_up, random)
    done = generate(target.url, made, schedule, options.warm_up, connections=options.connections)
    return done.outcomes["ok"]


def _lags(client: httpx.Client, options: argparse.Namespace, accepted: int, expected: int) -> Percentiles | None:
    if not options.lag or not accepted:
        return None
    deadline = time.monotonic() + options.settle
    while count_facts(client) < expected:
        if time.monotonic() > deadline:
            print(f"lag        unknown: the facts aren't complete after {options.settle:g} s")
            return None
        time.sleep(POLL_SECONDS)
    # Only this run sends, and the queue keeps its order: its facts are the newest.
    return Percentiles.of(newest_lags(client, accepted))


@contextmanager
def _target(options: argparse.Namespace) -> Iterator[OpenLoopTarget]:
    if options.url:
        yield OpenLoopTarget(options.url.rstrip("/"), options.key)
        return
    server_cores, generator_cores = split_cores() if options.pin else (set[int](), set[int]())
    with ExitStack() as stack:
        with on_cores(server_cores):
            server = stack.enter_context(PrivateServer(environment=dict(options.set)))
        stack.enter_context(on_cores(generator_cores))
        yield OpenLoopTarget(server.url, server.key, server)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m loadtests.open_loop",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("--rate", type=float, metavar="R", help="single events a second (default 1000; with --backlog 300)")
    add("--seconds", type=float, default=20.0, metavar="S", help="how long (default 20)")
    add(
        "--game",
        choices=list(GAMES),
        default="none",
        help="the game: how many definitions, ten of which listen (default none)",
    )
    add(
        "--participants",
        type=int,
        default=10_000,
        metavar="N",
        help="number of participants to draw from (default 10000)",
    )
    add(
        "--backlog", type=int, default=0, metavar="N", help="queue this many events first, and measure while they drain"
    )
    add("--route", choices=list(PATHS), default="async", help="which route to measure (default async)")
    add("--connections", type=int, default=64, metavar="N", help="kept-alive connections (default 64)")
    add(
        "--probe-ms",
        type=float,
        default=5.0,
        metavar="MS",
        help="milliseconds between probes of /livez; 0 for none (default 5)",
    )
    add(
        "--lag", action=argparse.BooleanOptionalAction, help="read when facts were created (default: without --backlog)"
    )
    add("--settle", type=float, default=60.0, metavar="S", help="seconds to wait for the facts (default 60)")
    add(
        "--warm-up",
        type=float,
        default=2.0,
        metavar="S",
        help="seconds of unmeasured sending before the run (default 2)",
    )
    add("--watch", type=float, metavar="S", help="of a private server: memory and file sizes every S seconds")
    add("--seed", type=int, default=1, metavar="N", help="seed of arrivals and events (default 1)")
    add("--report", type=Path, metavar="FILE", help="write the figures to FILE, as JSON")
    add("--pin", action="store_true", help="give the generator of a private server a core of its own")
    add(
        "--set", type=_setting, action="append", default=[], metavar="NAME=VALUE",
        help="environment variable of the private server, such as BQ_LOG_LEVEL=error",
    )  # fmt: skip
    add(
        "--url",
        metavar="URL",
        help="measure this server; --key must belong to a test environment that nobody else uses",
    )
    add("--key", metavar="KEY", help="its key, with the scopes ingest and read, and admin for --game")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit code."""
    options = parser().parse_args(arguments)
    if bool(options.url) != bool(options.key):
        parser().error("--url and --key go together")
    if options.rate is None:
        options.rate = 300.0 if options.backlog else 1000.0
    if min(options.rate, options.seconds, options.participants, options.connections) <= 0:
        parser().error("rate, seconds, participants and connections must be above 0")
    if options.lag is None:
        options.lag = not options.backlog
    try:
        with _target(options) as target:
            figures = run(target, options)
    except (ServerFailed, OSError, NotHTTP, RuntimeError, httpx.HTTPError) as error:
        print(f"open_loop: {error}", file=sys.stderr)
        return 2
    print(figures, flush=True)
    if options.report is not None:
        options.report.write_text(json.dumps(figures.as_json(), indent=2), encoding="utf-8")
    return 0 if figures.valid else 3


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
