"""`python -m loadtests.workers`: how fast one worker and several drain the same backlog, in turns."""

import argparse
import tempfile
from pathlib import Path
from statistics import median

from harness.private_postgres import PrivatePostgres
from loadtests.markdown import number, table
from loadtests.workers.site import Load, Speed, by_port, work_site
from loadtests.workers.slow_link import slow_link

Way = tuple[float, int, bool]
"""Milliseconds more to PostgreSQL, workers, and whether batches are divided by participants."""

SETTINGS = {"listen_addresses": "", "max_connections": "60", "fsync": "on", "shared_buffers": "128MB"}
"""Those that a new cluster of PostgreSQL has, but for who reaches it."""


def main() -> None:
    """Measure, and print a table."""
    options = _options()
    ways = [(milliseconds, workers, True) for milliseconds in options.milliseconds for workers in options.workers]
    if options.control:
        ways.append((options.milliseconds[0], max(options.workers), False))
    found: dict[Way, list[Speed]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory(prefix="bq-workers-") as place:
        for turn in range(options.rounds):
            for number, way in enumerate(ways):
                drained = _measured(Path(place) / f"{turn}-{number}", options, way)
                found[way].append(drained)
                print(f"{_named(way)}: {drained.a_second:,.0f} events/s, {drained.waited:.1%} waited for", flush=True)
    print()
    print(_report(found))


def _measured(directory: Path, options: argparse.Namespace, way: Way) -> Speed:
    milliseconds, workers, divided = way
    module = "bq_server" if divided else "loadtests.workers.undivided"
    postgres = PrivatePostgres()
    postgres.settings = SETTINGS
    with postgres:
        url = postgres.database()
        load = Load(options.events, options.participants, options.definitions)
        with work_site(directory, url, postgres.pid) as site:
            if not milliseconds:
                return site.measure(load, workers, url, module)
            with slow_link(postgres.directory / ".s.PGSQL.5432", milliseconds) as port:
                return site.measure(load, workers, by_port(url, port), module)


def _named(way: Way) -> str:
    milliseconds, workers, divided = way
    return f"{milliseconds:g} ms more, {workers}" + ("" if divided else ", not divided by participants")


def _report(found: dict[Way, list[Speed]]) -> str:
    head = ["Way to PostgreSQL, workers", "events/s", "least", "most", "times one worker"]
    rows = [[*head, "processor us of workers", "of PostgreSQL", "waited for locks"]]
    for way, drained in found.items():
        speeds = [each.a_second for each in drained]
        alone = found.get((way[0], 1, True))
        ratios = [] if alone is None else [each / one.a_second for each, one in zip(speeds, alone, strict=True)]
        rows.append(
            [
                _named(way),
                number(median(speeds)),
                number(min(speeds)),
                number(max(speeds)),
                number(median(ratios)) if ratios else "",
                number(median(each.workers_micros for each in drained)),
                number(median(each.store_micros for each in drained)),
                f"{median(each.waited for each in drained):.1%}",
            ]
        )
    return table(rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loadtests.workers", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="in the backlog")
    parser.add_argument("--participants", type=int, default=5_000, help="few of whom send most")
    parser.add_argument("--definitions", type=int, default=20, help="in the game")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--milliseconds", type=float, nargs="+", default=[0.0, 1.0], help="more to PostgreSQL")
    parser.add_argument("--control", action="store_true", help="also with batches that aren't divided by participants")
    return parser.parse_args()


if __name__ == "__main__":
    main()
