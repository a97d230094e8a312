"""`make bench`: limits, peers and bq-server, interleaved in one run, as a Markdown report."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from loadtests.bench.cases import Pace, every_case
from loadtests.bench.machine import describe, load
from loadtests.bench.report import picture, render
from loadtests.bench.rounds import run

REPORTS = Path(__file__).parents[1] / "report"

FULL = Pace(closed=3, open=5.0, limit=1.5, backlog=20_000)
QUICK = Pace(closed=2, open=4.0, limit=1.0, backlog=10_000)
FULL_ROUNDS, QUICK_ROUNDS = 5, 1

EPILOG = """\
The full form takes some 20 minutes, the quick one under 3. Everything runs on this machine in turns:
compare figures within one report, and trust the medians of the full form only if the machine was otherwise idle."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m loadtests.bench",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("--quick", action="store_true", help="the cases that matter most, once")
    add("--rounds", type=int, metavar="N", help=f"rounds (default {FULL_ROUNDS}, quick {QUICK_ROUNDS})")
    add(
        "--only",
        metavar="TEXT,...",
        help="only cases whose names start with these prefixes, such as none.single,fastify; see --list",
    )
    add("--list", action="store_true", help="print the names of the cases and exit")
    add("--seconds", type=int, metavar="S", help="length of a closed-loop measurement (default 3, quick 2)")
    add(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="environment variables for our own server, such as BQ_HTTP_LANE=off",
    )  # fmt: skip
    add("--out", type=Path, default=REPORTS, metavar="DIR", help="directory of the report (default loadtests/report)")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit code: 0 if every round measured something, 1 if a case failed."""
    options = parser().parse_args(arguments)
    cases = [
        case for case in every_case(dict(each.split("=", 1) for each in options.set)) if _wanted(case.name, options)
    ]
    if not options.only:
        cases = [case for case in cases if case.quick or not options.quick]
    if options.list or not cases:
        print("\n".join(f"{case.name:<20} {case.label}" for case in cases) or "no case has a name like that")
        return 0 if cases else 2
    pace = QUICK if options.quick else FULL
    if options.seconds:
        pace = Pace(options.seconds, float(options.seconds), pace.limit, pace.backlog)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else FULL_ROUNDS)
    about = describe()
    began = time.monotonic()
    results = run(cases, rounds, pace, lambda line: print(line, file=sys.stderr, flush=True))
    about |= {
        "load after": load(),
        "rounds": f"{rounds}, {len(cases)} cases, {time.monotonic() - began:.0f} s",
    }
    if options.set:
        about["settings"] = ", ".join(options.set)
    text = render(cases, results, about)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    stem = options.out / f"bench-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    if (drawn := picture(cases, results)) is not None:
        stem.with_suffix(".svg").write_text(drawn, encoding="utf-8")
    figures = {"about": about, "rounds": results.rounds, "missing": results.missing, "failures": results.failures}
    stem.with_suffix(".json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(f"written: {stem}.md, .json and .svg", file=sys.stderr)
    return 1 if results.failures else 0


def _wanted(name: str, options: argparse.Namespace) -> bool:
    return not options.only or name.startswith(tuple(options.only.split(",")))


if __name__ == "__main__":
    sys.exit(main())
