"""`python -m loadtests.workers`: how fast one worker and several drain the same backlog, in turns."""

import argparse
import tempfile
from pathlib import Path
from statistics import median

from harness.private_postgres import PrivatePostgres
from loadtests.markdown import number, table
from loadtests.workers.site import Load, Speed, by_port, work_site
from loadtests.workers.slow_link import slow_link

SETTINGS = {"listen_addresses": "", "max_connections": "60", "fsync": "on", "shared_buffers": "128MB"}
"""Those that a new cluster of PostgreSQL has, but for who reaches it."""


def main() -> None:
    """Measure, and print a table."""
    options = _options()
    found: dict[tuple[float, int], list[Speed]] = {}
    with tempfile.TemporaryDirectory(prefix="bq-workers-") as place:
        for turn in range(options.rounds):
            for milliseconds in options.milliseconds:
                for workers in options.workers:
                    directory = Path(place) / f"{turn}-{milliseconds:g}-{workers}"
                    speed = _measured(directory, options, milliseconds, workers)
                    found.setdefault((milliseconds, workers), []).append(speed)
                    print(f"{workers} workers, {milliseconds:g} ms: {speed.a_second:,.0f} events/s", flush=True)
    print()
    print(_report(found))


def _measured(directory: Path, options: argparse.Namespace, milliseconds: float, workers: int) -> Speed:
    postgres = PrivatePostgres()
    postgres.settings = SETTINGS
    with postgres:
        url = postgres.database()
        load = Load(options.events, options.participants, options.definitions)
        with work_site(directory, url, postgres.pid) as site:
            if not milliseconds:
                return site.measure(load, workers, url)
            with slow_link(postgres.directory / ".s.PGSQL.5432", milliseconds) as port:
                return site.measure(load, workers, by_port(url, port))


def _report(found: dict[tuple[float, int], list[Speed]]) -> str:
    head = ["Way to PostgreSQL, workers", "events/s", "least", "most", "times one worker"]
    rows = [[*head, "processor us of workers", "of PostgreSQL"]]
    for (milliseconds, workers), turns in sorted(found.items()):
        speeds, one = [each.a_second for each in turns], found.get((milliseconds, 1), [])
        ratios = [each / alone.a_second for each, alone in zip(speeds, one, strict=False)]
        rows.append(
            [
                f"{milliseconds:g} ms more, {workers}",
                number(median(speeds)),
                number(min(speeds)),
                number(max(speeds)),
                number(median(ratios)) if ratios else "",
                number(median(each.workers_micros for each in turns)),
                number(median(each.store_micros for each in turns)),
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
    return parser.parse_args()


if __name__ == "__main__":
    main()
