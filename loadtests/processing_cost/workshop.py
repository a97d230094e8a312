"""Where the databases of a run are made, and the events that go into them."""

import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random

from bq_server.events import Event
from bq_server.ids import IdSource
from loadtests.processing_cost.bench import Bench
from loadtests.processing_cost.games import SECOND, START, event
from loadtests.processing_cost.plan import BenchPlan
from loadtests.processing_cost.rounds import Sample, Turn
from loadtests.processing_cost.seeder import Seeder
from loadtests.usage import tree_usage

GAP = SECOND // 100
"""Event time between two measured events, in microseconds."""

MB = 1_000_000


@dataclass(slots=True)
class Workshop:
    """Creates databases, all from one seed, one source of ids and one stopped clock."""

    directory: Path
    plan: BenchPlan
    ids: IdSource = field(init=False)
    _made: int = 0
    _events: int = 0

    def __post_init__(self) -> None:
        self.ids = IdSource(lambda: START, Random(self.plan.seed).randbytes)

    def random(self, what: str) -> Random:
        """A separate source of randomness for each purpose."""
        return Random(f"{self.plan.seed} {what}")

    def path(self) -> Path:
        """The path of the next database."""
        self._made += 1
        return self.directory / f"{self._made}.db"

    @asynccontextmanager
    async def bench(self, copy_of: Path | None = None, *, at: str | None = None) -> AsyncIterator[Bench]:
        """A database: a new file or the copy of one that is closed, or the one `at` a URL."""
        path = self.path()
        if copy_of is not None:
            shutil.copyfile(copy_of, path)
        async with Bench.open(at or path, self.ids, lambda: START) as bench:
            yield bench

    def seeder(self, bench: Bench) -> Seeder:
        """What fills a database."""
        return Seeder(bench, self.random("fill"))

    def scattered(self, everyone: Sequence[str], what: str) -> Iterator[list[Event]]:
        """Batches without end, each of as many different participants as it has events, drawn from all.

        Their moments are later than those of any batch made before, by whichever stream, so that none is late.
        """
        random = self.random(what)
        while True:
            yield [event(self.ids, random, who, self._moment()) for who in random.sample(everyone, self.plan.batch)]

    def _moment(self) -> int:
        self._events += 1
        return START + self._events * GAP

    def stream(self, everyone: Sequence[str], count: int) -> list[Event]:
        """Events in order, each of anyone of these participants."""
        random = self.random("stream")
        return [event(self.ids, random, random.choice(everyone), START + number * GAP) for number in range(count)]


def people(count: int) -> list[str]:
    """Participants."""
    return [f"user_{number:06d}" for number in range(count)]


def batches_of(events: Sequence[Event], size: int) -> Iterator[list[Event]]:
    """The events in batches."""
    for start in range(0, len(events), size):
        yield list(events[start : start + size])


def turn_of(bench: Bench, batches: Iterator[list[Event]], count: int, *, checkpointed: bool = False) -> Turn:
    """A turn that drains the next few batches."""

    async def take() -> Sample:
        return await bench.turn(list(islice(batches, count)), checkpointed=checkpointed)

    return take


def resident() -> str:
    """The resident memory of this process now."""
    found = tree_usage(os.getpid())
    return "unknown" if found is None else f"{found.server.resident_bytes / MB:,.0f} MB"


tell = partial(print, file=sys.stderr, flush=True)
"""Reports progress while tables are being made."""
