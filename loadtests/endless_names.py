"""What a server holds in memory when nothing comes twice: each event a new participant, event name and property.

    python -m loadtests.endless_names --events 1000000

Memory, the catalogue's pages and the metrics must not follow the number of names. The database grows: it keeps them.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from harness.private_server import PrivateServer
from loadtests.markdown import table
from loadtests.usage import tree_usage

BATCH = 1_000
TRIES = 5
LAG = 20_000
"""Events that may wait for the consumer before more are sent."""

PAGES = ("/events/catalog", "/facts", "/gamify/participants", "/events/catalog/endless_0")


@dataclass(frozen=True, slots=True)
class Found:
    """What there was after so many events."""

    events: int
    server_bytes: int
    stream_bytes: int
    database_bytes: int
    metrics_bytes: int
    page_milliseconds: float
    """The slowest of the pages, each at its fastest of a few tries."""
    names: int
    """In the catalogue."""
    facts_a_second: float
    """Since the row before."""


def milestones(events: int) -> Iterator[int]:
    """After how many events to look: 1, 2.5 and 5 times each power of ten from a thousand on, and at the end."""
    step = 1_000
    while step <= events:
        yield from (count for count in (step, step * 5 // 2, step * 5) if count < events)
        step *= 10
    yield events


class EndlessRun:
    """One server, and what is sent to it."""

    def __init__(self, server: PrivateServer, http: httpx.Client) -> None:
        self._server = server
        self._http = http
        self._sent = 0
        self._since = time.perf_counter()
        self._counted = 0

    def send(self, until: int) -> None:
        """Send events until there were so many, and wait until they are facts."""
        while self._sent < until:
            numbers = range(self._sent, min(until, self._sent + BATCH))
            events = [
                {
                    "event_name": f"endless_{number}",
                    "participant_id": f"user_{number}",
                    "properties": {f"p_{number}": 1},
                }
                for number in numbers
            ]
            answer = self._http.post("/ingest/events/batch", json={"events": events})
            if answer.status_code == 503:
                time.sleep(float(answer.headers["Retry-After"]) / 10)
                continue
            answer.raise_for_status()
            self._sent += len(events)
            if self._sent % LAG == 0:
                self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._http.post("/sandbox/drain", json={"timeout_ms": 30_000}).status_code == 504:
            pass

    def look(self) -> Found:
        """What there is now."""
        took, facts = time.perf_counter() - self._since, self._sent - self._counted
        usage = tree_usage(self._server.pid)
        assert usage is not None, "Linux only"
        metrics = self._http.get(f"{self._server.url}/metrics")
        metrics.raise_for_status()
        catalog = self._http.get("/events/catalog", params={"limit": 1}).json()
        found = Found(
            self._sent,
            usage.server.resident_bytes,
            usage.stream.resident_bytes,
            _size(self._server.data_dir),
            len(metrics.content),
            max(self._page(path) for path in PAGES),
            catalog["names"],
            facts / took,
        )
        self._since, self._counted = time.perf_counter(), self._sent
        return found

    def _page(self, path: str) -> float:
        took = []
        for _ in range(TRIES):
            began = time.perf_counter()
            self._http.get(path, params={} if "endless" in path else {"limit": 50}).raise_for_status()
            took.append((time.perf_counter() - began) * 1000)
        return min(took)


def _size(data_dir: Path) -> int:
    size = 0
    for path in data_dir.glob("facts.sqlite3*"):
        with suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def report(rows: list[Found]) -> str:
    """A table of what was found."""
    head = [
        "events",
        "server MB",
        "stream MB",
        "database MB",
        "metrics kB",
        "slowest page ms",
        "names listed",
        "facts/s",
    ]
    body = [
        [
            f"{each.events:,}",
            f"{each.server_bytes / 1e6:.0f}",
            f"{each.stream_bytes / 1e6:.0f}",
            f"{each.database_bytes / 1e6:.0f}",
            f"{each.metrics_bytes / 1e3:.0f}",
            f"{each.page_milliseconds:.1f}",
            f"{each.names:,}",
            f"{each.facts_a_second:,.0f}",
        ]
        for each in rows
    ]
    return table([head, *body])


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--events", type=int, default=1_000_000, help="how many, each of names of its own")
    chosen = options.parse_args()
    with PrivateServer(environment={"BQ_MAX_BATCH_EVENTS": str(BATCH)}) as server:
        headers = {"X-API-Key": server.key}
        with httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, timeout=60, trust_env=False) as http:
            run, rows = EndlessRun(server, http), []
            for count in milestones(chosen.events):
                run.send(count)
                rows.append(run.look())
                print(report(rows[-1:]).splitlines()[-1], flush=True)
    print(f"\n{report(rows)}")


if __name__ == "__main__":
    main()
