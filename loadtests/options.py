"""The load test's options in addition to Locust's own."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

from locust.argument_parser import LocustArgumentParser

from loadtests.judgement import LoadLimits
from loadtests.shapes import RAMP, RAMP_SECONDS, RAMP_USERS, RATE_PER_USER, STEADY
from loadtests.workload import Mix

BATCH_EVENTS = 10


def add_options(parser: LocustArgumentParser, **_: Any) -> None:
    """Add them to Locust's command line.

    Their values are plain numbers and text: Locust sends them to its workers.
    """
    group = parser.add_argument_group("bq-server load test")

    def option(flag: str, **details: Any) -> None:
        # Not in the web form: it would hand the values back as text.
        group.add_argument(flag, **details).include_in_web_ui = False

    option("--api-key", env_var="BQ_API_KEY", metavar="KEY", help="Key with the scope ingest. Prefer BQ_API_KEY.")
    option(
        "--rate-per-user",
        type=_above_zero(float),
        default=RATE_PER_USER,
        metavar="R",
        env_var="BQ_LOAD_RATE_PER_USER",
        help="Requests a second of each user, on average: N users ask for N * R a second.",
    )
    option(
        "--mix",
        type=_mix,
        default=str(Mix()),
        metavar="A:B:S",
        env_var="BQ_LOAD_MIX",
        help="Weights of async, batch and sync requests (default 85:10:5).",
    )
    option(
        "--batch-events",
        type=_above_zero(int),
        default=BATCH_EVENTS,
        metavar="N",
        env_var="BQ_LOAD_BATCH_EVENTS",
        help="Events in a batch.",
    )
    option(
        "--p99-limit",
        type=_above_zero(float),
        default=LoadLimits().p99_ms,
        metavar="MS",
        env_var="BQ_LOAD_P99_LIMIT",
        help="Limit of the async route's p99, in milliseconds.",
    )
    option(
        "--shape",
        choices=(STEADY, RAMP),
        default=STEADY,
        env_var="BQ_LOAD_SHAPE",
        help="All --users from the start, or steps of more users, up to --users, until the promise breaks.",
    )
    option("--ramp-users", type=_above_zero(int), default=RAMP_USERS, metavar="N", help="Users added by each step.")
    option("--ramp-seconds", type=_above_zero(int), default=RAMP_SECONDS, metavar="S", help="Length of each step.")
    option("--plot", metavar="FILE", help="Plot latency against rate (ramp) or time to FILE, as SVG.")
    option("--report", metavar="FILE", help="Write the figures, counts and verdict to FILE, as JSON.")


def _above_zero(kind: type[int] | type[float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(0)
        if not 0 < value < float("inf"):
            raise ArgumentTypeError(f"{text!r} is not {'a whole' if kind is int else 'a'} number above 0")
        return value

    return number


def _mix(text: str) -> str:
    try:
        return str(Mix.parse(text))
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
