"""One command: a private server, load on it, a verdict, and the balance of accepted events and facts.

The server and the generator are processes of their own; this one imports neither.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import httpx

from harness.private_server import PrivateServer, ServerFailed, end
from loadtests.cores import on_cores, split_cores
from loadtests.ledger import wait_for_facts
from loadtests.server_api import api_client
from loadtests.shapes import RAMP, RAMP_SECONDS, RAMP_USERS, RATE_PER_USER, SHAPES, SOAK, STEADY
from loadtests.tally import Tally
from loadtests.watch import Watch, told

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
REPORTS = Path(__file__).with_name("report")

STEADY_SECONDS, SOAK_SECONDS = 20.0, 1800.0
LONG_SECONDS = 120.0
"""The memory and files of a run this long are watched every `WATCH_SECONDS`."""

WATCH_SECONDS = 60.0
GENERATOR_GRACE_SECONDS = 60.0
"""Time for Locust to start, to let requests in flight finish, and to sum up."""

DESCRIPTION = """\
Start a private bq-server in a temporary directory, put load on its three ingest routes with Locust, judge the answers,
wait until every accepted event is a fact, and compare the two. Nothing but the reports in --out is left behind."""

EPILOG = """\
exit codes:
  0  passed
  1  failed: a request failed, p99 of the async route passed its limit, or accepted events and facts differ
  2  wrong usage, or the server didn't start
  3  invalid: the load that was asked for didn't arrive, so the response times say nothing

examples:
  python -m loadtests.run
  python -m loadtests.run --users 100 --rate 400 --run-time 60s
  python -m loadtests.run --mix 0:1:0 --rate 50        only batches
  python -m loadtests.run --shape ramp --rate 2000     100/s more every 10 s, up to 2,000/s: where is the knee?
  python -m loadtests.run --shape soak --rate 1000     30 minutes: does it grow?
  python -m loadtests.run -- --csv load                what follows -- goes to Locust

Generator and server share this machine: compare runs with each other, and don't read them as the server's limit."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the test; returns the exit code."""
    options = parser().parse_args(arguments)
    _complete(options)
    signal.signal(signal.SIGTERM, _exit_on_signal)
    server_cores, generator_cores = split_cores() if options.pin else (set[int](), set[int]())
    with tempfile.TemporaryDirectory(prefix="bq-load-") as name:
        directory = Path(name)
        try:
            with ExitStack() as stack:
                with on_cores(server_cores):
                    server = stack.enter_context(PrivateServer(directory))
                _introduce(server, options, server_cores, generator_cores)
                return _measure(server, options, directory, generator_cores)
        except ServerFailed as error:
            print(f"loadtests: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 128 + signal.SIGINT


def _complete(options: argparse.Namespace) -> None:
    """Fill in what depends on the shape. A ramp's users are as many as its highest rate needs."""
    if options.shape == RAMP:
        options.users = max(RAMP_USERS, round(options.rate / RATE_PER_USER / RAMP_USERS) * RAMP_USERS)
        options.run_time = options.users / RAMP_USERS * (RAMP_SECONDS + 3) + RAMP_SECONDS
    elif options.run_time is None:
        options.run_time = SOAK_SECONDS if options.shape == SOAK else STEADY_SECONDS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m loadtests.run",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument(
        "--users", type=_whole, default=50, metavar="N", help="users, each with its own connection (default 50)"
    )
    found.add_argument(
        "--rate", type=_positive, default=200.0, metavar="R", help="requests/s of all users together (default 200)"
    )
    found.add_argument(
        "--shape",
        choices=SHAPES,
        default=STEADY,
        help="all users for a while (default); a ramp up to --rate that ends where the promise breaks; or for long",
    )
    found.add_argument(
        "--run-time",
        type=_duration,
        metavar="T",
        help="such as 20, 20s or 2m (default 20s, soak 30m; a ramp ends by itself)",
    )
    found.add_argument("--mix", metavar="A:B:S", help="weights of async, batch and sync requests (default 85:10:5)")
    found.add_argument("--batch-events", type=_whole, metavar="N", help="events in a batch (default 10)")
    found.add_argument(
        "--p99-limit", type=_positive, metavar="MS", help="limit of the async route's p99, in milliseconds (50)"
    )
    found.add_argument(
        "--settle", type=_positive, default=30.0, metavar="S", help="seconds for events to become facts (default 30)"
    )
    found.add_argument(
        "--pin",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="give the generator its own core if the system can (default: yes)",
    )
    found.add_argument("--report", type=Path, metavar="FILE", help="write figures, counts and verdict to FILE, as JSON")
    found.add_argument(
        "--out",
        type=Path,
        default=REPORTS,
        metavar="DIR",
        help="directory of Locust's HTML report and the plot (default loadtests/report)",
    )
    found.add_argument("locust", nargs="*", metavar="-- LOCUST OPTIONS", help="passed to Locust unchanged")
    return found


def _introduce(server: PrivateServer, options: argparse.Namespace, cores: set[int], generator: set[int]) -> None:
    places = f"server on core {_listed(cores)}, generator on core {_listed(generator)}" if cores else "no core pinned"
    load = f"{options.rate:g} requests/s of {options.users} users for {options.run_time:g} s"
    if options.shape == RAMP:
        load = f"up to {options.rate:g} requests/s of {options.users} users, in steps"
    print(f"{load} at {server.url} ({places})", flush=True)


def _measure(server: PrivateServer, options: argparse.Namespace, directory: Path, cores: Collection[int]) -> int:
    report_file = (options.report or directory / "report.json").resolve()
    report_file.unlink(missing_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    period = WATCH_SECONDS if options.run_time >= LONG_SECONDS else options.run_time
    with Watch(server.pid, server.data_dir, period) as watch:
        code = _generate(server, options, report_file, cores)
    if options.run_time >= LONG_SECONDS:
        print(told(watch.seen), flush=True)
    if not report_file.is_file():
        print("loadtests: Locust gave no figures (see above)", file=sys.stderr)
        return code or 1
    report = json.loads(report_file.read_text(encoding="utf-8"))
    asked = time.monotonic()
    try:
        with api_client(server.url, server.key) as client:
            ledger = wait_for_facts(client, Tally.from_dict(report["counts"]), options.settle)
    except httpx.HTTPError as error:
        print(f"LEDGER: the facts can't be read: {error!r}", flush=True)
        return code or 1
    verdict = "balanced" if ledger.balanced else "NOT BALANCED"
    print(f"LEDGER {verdict}: {ledger} (after {time.monotonic() - asked:.1f} s)", flush=True)
    return code or int(not ledger.balanced)


def _generate(server: PrivateServer, options: argparse.Namespace, report_file: Path, cores: Collection[int]) -> int:
    given: dict[str, Any] = {
        "--host": server.url,
        "--users": options.users,
        "--rate-per-user": options.rate / options.users,
        "--run-time": f"{max(1, round(options.run_time))}s",
        "--shape": RAMP if options.shape == RAMP else STEADY,
        "--html": options.out / f"load-{options.shape}.html",
        "--plot": options.out / f"load-{options.shape}.svg",
        "--report": report_file,
        "--mix": options.mix,
        "--batch-events": options.batch_events,
        "--p99-limit": options.p99_limit,
    }
    print(f"reports    {given['--html']} and {given['--plot'].name}", flush=True)
    flags = [f"{flag}={value}" for flag, value in given.items() if value is not None]
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
    root = LOCUSTFILE.parent.parent
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    with on_cores(cores):
        process = subprocess.Popen(  # noqa: S603
            [*command, *flags, *options.locust],
            env={**os.environ, "BQ_API_KEY": server.key, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
        )
    try:
        return _wait(process, options.run_time + GENERATOR_GRACE_SECONDS)
    finally:
        end(process, signal.SIGTERM, GENERATOR_GRACE_SECONDS)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while True:
        try:
            code = process.wait(max(0.0, deadline - time.monotonic()))
        except KeyboardInterrupt:
            # The terminal told Locust too: it stops early and sums up, and the facts are still compared.
            deadline = min(deadline, time.monotonic() + GENERATOR_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"loadtests: Locust wasn't done after {seconds:g} s", file=sys.stderr)
            return 1
        else:
            return code if code >= 0 else 1


def _exit_on_signal(number: int, _: object) -> NoReturn:
    # As an exception, so that everything that was started is ended.
    sys.exit(128 + number)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _whole(text: str) -> int:
    value = _positive(text)
    if not value.is_integer():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(value)


def _duration(text: str) -> float:
    factors = {"s": 1, "m": 60, "h": 3600}
    return _positive(text[:-1]) * factors[text[-1]] if text[-1:] in factors else _positive(text)


def _listed(cores: set[int]) -> str:
    return ",".join(map(str, sorted(cores)))


if __name__ == "__main__":
    sys.exit(main())
