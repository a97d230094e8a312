"""Prints what processing an event costs, as ratios within one run.

Events go through the server's own processor into SQLite on disk, in batches of 100 as the consumer makes them,
without HTTP and without the stream.
"""

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random

import structlog
import uvloop

from bq_server.events import Event
from bq_server.game.definitions import Game
from bq_server.ids import IdSource
from loadtests.processing_cost.bench import BATCH, STORY, Bench
from loadtests.processing_cost.games import (
    LISTENING,
    SECOND,
    START,
    delayed,
    event,
    free_game,
    game_of,
    ordered_game,
)
from loadtests.processing_cost.rounds import Sample, Turn, interleave, table

EPILOG = """\
A row is the median of its rounds; (min-max) are the extremes. Ratios are made round by round with the first row, whose
turn was a moment before or after: believe those, and CPU time (all threads) where wall time spreads.
"""

GAP = SECOND // 100
"""Event time between two measured events, in microseconds."""

HISTORY_GAP = 600 * SECOND
"""Event time between two facts of a long history: 10,000 facts are 70 days."""

LATE_SHARE, LATE_BY = 0.1, 5 * SECOND

FREQUENT = 20
"""Participants of the third table. With an event each 10 ms, one has 25 facts in the 5 s an event may be late."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and how long."""

    facts: tuple[int, ...]
    definitions: tuple[int, ...]
    history: int
    """Facts of each participant in the third table."""
    rounds: int
    batch: int
    """Events in a batch."""
    turn: int
    """Batches in a turn."""
    filling: int
    """Stored facts in the second table."""
    warm_up: int
    tables: tuple[int, ...]
    seed: int


@dataclass(slots=True)
class Workshop:
    """Where databases are made: all of one seed, one source of ids and one clock that stands still."""

    directory: Path
    plan: Plan
    ids: IdSource = field(init=False)
    _made: int = 0

    def __post_init__(self) -> None:
        self.ids = IdSource(lambda: START, Random(self.plan.seed).randbytes)

    def random(self, what: str) -> Random:
        """A source of randomness of its own for each purpose."""
        return Random(f"{self.plan.seed} {what}")

    @asynccontextmanager
    async def bench(self, copy_of: Path | None = None) -> AsyncIterator[Bench]:
        """A database, new or the copy of one that is closed."""
        self._made += 1
        path = self.directory / f"{self._made}.db"
        if copy_of is not None:
            shutil.copyfile(copy_of, path)
        async with Bench.open(path, self.ids, lambda: START) as bench:
            yield bench


def people(count: int) -> list[str]:
    """Participants."""
    return [f"user_{number:06d}" for number in range(count)]


def scattered(workshop: Workshop, everyone: Sequence[str], random: Random) -> Iterator[list[Event]]:
    """Batches without end, each of as many different participants as it has events, drawn from all."""
    at = START
    while True:
        chosen = random.sample(everyone, workshop.plan.batch)
        yield [event(workshop.ids, random, who, at + number * GAP) for number, who in enumerate(chosen)]
        at += len(chosen) * GAP


async def take_turn(bench: Bench, batches: Iterator[list[Event]], count: int) -> Sample:
    """Process the next few batches."""
    return await bench.turn(list(islice(batches, count)))


async def filled(workshop: Workshop, stack: AsyncExitStack, game: Game, stored: int, active: int | None) -> list[Turn]:
    """A database of so many facts; a turn over all participants and, with `active`, one over that many of them."""
    everyone = people(max(workshop.plan.batch, stored // STORY))
    bench = await stack.enter_async_context(workshop.bench())
    await bench.apply(game)
    began = time.perf_counter()
    await bench.fill_with_clones(workshop.random("fill"), everyone, stored // len(everyone))
    told = f"{stored:,} facts of {len(everyone):,} participants"
    _filled(told, began, bench)
    chosen = {"anyone": everyone} | ({"few": everyone[:active]} if active else {})
    return [
        partial(take_turn, bench, scattered(workshop, each, workshop.random(name)), workshop.plan.turn)
        for name, each in chosen.items()
    ]


async def by_facts(workshop: Workshop) -> None:
    """The first table."""
    plan = workshop.plan
    anyone: dict[str, Turn] = {}
    few: dict[str, Turn] = {}
    async with AsyncExitStack() as stack:
        for stored in plan.facts:
            anyone[f"{stored:,}"], few[f"{stored:,}"] = await filled(
                workshop, stack, game_of(LISTENING), stored, plan.batch
            )
        named = {f"a{name}": turn for name, turn in anyone.items()} | {f"f{name}": turn for name, turn in few.items()}
        samples = await interleave(named, plan.rounds, plan.warm_up)
    for letter, who in (("a", "drawn from all participants"), ("f", f"of the same {plan.batch} participants")):
        title = f"1. Stored facts: {plan.batch} events a batch, each of another participant, {who}"
        own = {name[1:]: found for name, found in samples.items() if name[0] == letter}
        print(table(title, "facts", own, compare=_cost), end="\n\n", flush=True)


async def by_definitions(workshop: Workshop) -> None:
    """The second table."""
    turns: dict[str, Turn] = {}
    async with AsyncExitStack() as stack:
        for definitions in workshop.plan.definitions:
            (turns[f"{definitions:,}"],) = await filled(
                workshop, stack, game_of(definitions), workshop.plan.filling, None
            )
        samples = await interleave(turns, workshop.plan.rounds, workshop.plan.warm_up)
    title = f"2. Definitions, of which {LISTENING} listen to the event"
    print(table(title, "definitions", samples, compare=_cost), end="\n\n", flush=True)


async def by_lateness(workshop: Workshop) -> None:
    """The third table."""
    for name, game in (("order-dependent", ordered_game()), ("order-free", free_game())):
        plan = workshop.plan
        async with workshop.bench() as bench:
            began = time.perf_counter()
            history = people(FREQUENT)
            await bench.fill_with_facts(workshop.random("history"), history, plan.history, HISTORY_GAP)
            await bench.apply(game, backfill=True)
            _filled(f"{FREQUENT} participants with {plan.history:,} facts each, folded", began, bench)
        events = _stream(workshop, (plan.warm_up + plan.rounds) * plan.turn * plan.batch)
        late = delayed(events, workshop.random("late"), LATE_SHARE, LATE_BY)
        turns: dict[str, Turn] = {}
        async with AsyncExitStack() as stack:
            for order, stream in (("in order", events), ("10 % late", late)):
                twin = await stack.enter_async_context(workshop.bench(bench.database.path))
                turns[order] = partial(take_turn, twin, _batches(stream, plan.batch), plan.turn)
            samples = await interleave(turns, plan.rounds, plan.warm_up)
        title = (
            f"3. Late events, {name} game: {FREQUENT} participants with {plan.history:,} facts each; "
            "the ratio is that of throughputs"
        )
        print(table(title, "events", samples, compare=_throughput), end="\n\n", flush=True)


def _filled(what: str, began: float, bench: Bench) -> None:
    size = bench.database.path.stat().st_size / 1e6
    print(f"  filled: {what}; {time.perf_counter() - began:.0f} s, {size:,.0f} MB", flush=True)


def _stream(workshop: Workshop, count: int) -> list[Event]:
    random = workshop.random("stream")
    everyone = people(FREQUENT)
    return [event(workshop.ids, random, random.choice(everyone), START + number * GAP) for number in range(count)]


def _batches(events: Sequence[Event], size: int) -> Iterator[list[Event]]:
    for start in range(0, len(events), size):
        yield list(events[start : start + size])


def _cost(own: float, first: float) -> float:
    return own / first


def _throughput(own: float, first: float) -> float:
    return first / own


TABLES: dict[int, Callable[[Workshop], Awaitable[None]]] = {1: by_facts, 2: by_definitions, 3: by_lateness}


async def measure(directory: Path, plan: Plan) -> None:
    """Print the tables of the plan."""
    print(
        f"batches of {plan.batch}, {plan.turn} in a turn; {plan.rounds} rounds after {plan.warm_up} to warm up; "
        f"seed {plan.seed}",
        end="\n\n",
        flush=True,
    )
    workshop = Workshop(directory, plan)
    for number in plan.tables:
        await TABLES[number](workshop)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m loadtests.processing_cost",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--quick", action="store_true", help="smaller sizes and fewer rounds: some 30 s")
    found.add_argument("--tables", type=_numbers, default=(1, 2, 3), metavar="N,...", help="which (default 1,2,3)")
    found.add_argument("--facts", type=_numbers, metavar="N,...", help="stored facts (1000,100000,1000000)")
    found.add_argument("--definitions", type=_numbers, metavar="N,...", help="multiples of 10 (10,100,1000)")
    found.add_argument("--history", type=int, metavar="N", help="facts of each participant in table 3 (10000)")
    found.add_argument("--rounds", type=int, metavar="N", help="rounds that count (15)")
    found.add_argument(
        "--batch", type=int, default=BATCH, metavar="N", help="events in a batch (100, as the consumer reads)"
    )
    found.add_argument("--turn", type=int, metavar="N", help="batches in a turn (3)")
    found.add_argument("--seed", type=int, default=1, metavar="N", help="of all randomness (default 1)")
    found.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="where to make the databases, some GB (default: where temporary files go)",
    )
    return found


def plan_of(options: argparse.Namespace) -> Plan:
    """What the options ask for. Raises `ValueError` for what can't be measured."""
    quick: bool = options.quick
    plan = Plan(
        facts=options.facts or ((1000, 5000, 20_000) if quick else (1000, 100_000, 1_000_000)),
        definitions=options.definitions or (10, 100, 1000),
        history=options.history or (500 if quick else 10_000),
        rounds=options.rounds or (4 if quick else 15),
        batch=options.batch,
        turn=options.turn or (2 if quick else 3),
        filling=2000 if quick else 10_000,
        warm_up=1 if quick else 2,
        tables=options.tables,
        seed=options.seed,
    )
    if not set(plan.tables) <= TABLES.keys():
        raise ValueError("there are tables 1, 2 and 3")
    if any(number % LISTENING for number in plan.definitions):
        raise ValueError(f"definitions come in multiples of {LISTENING}")
    if min(*plan.facts, plan.batch) < plan.batch or min(plan.batch, plan.history, plan.rounds, plan.turn) < 1:
        raise ValueError(f"there must be at least {plan.batch} facts, and one of everything else")
    return plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; answer the exit code."""
    options = parser().parse_args(arguments)
    try:
        plan = plan_of(options)
    except ValueError as error:
        parser().error(str(error))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(prefix="bq-cost-", dir=options.directory) as directory:
        uvloop.run(measure(Path(directory), plan))
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.replace("_", "").split(","))


if __name__ == "__main__":
    sys.exit(main())
