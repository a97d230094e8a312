"""Facts a second with the store on PostgreSQL, beside those with the store in a file, in one interleaved run.

The server is one of the run's own, as durable as one in production: a commit returns after its fsync.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass

from bq_server.store.backend import StoreAddress, backend_of
from harness.private_postgres import PrivatePostgres, programs
from loadtests.markdown import cell, table
from loadtests.processing_cost.games import game_of
from loadtests.processing_cost.report import ReportSection, ReportTarget, of_throughputs, ratio
from loadtests.processing_cost.rounds import Sample, Spread, interleave
from loadtests.processing_cost.throughput import DEFINITIONS, FACTS_EACH, GAME, joined
from loadtests.processing_cost.workshop import Workshop, people, tell, turn_of
from loadtests.usage import tree_usage

TITLE = "The store on PostgreSQL"

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"

LEAST = 0.5
"""Of the facts a second that the store in a file takes."""

SETTINGS = {"listen_addresses": "", "max_connections": "20", "fsync": "on", "shared_buffers": "128MB"}
"""Those that a new cluster of PostgreSQL has, but for who reaches it."""


@dataclass(frozen=True, slots=True)
class StoreSample:
    """What an event cost in one turn, in microseconds on average."""

    here: Sample
    """In this process."""
    elsewhere: float
    """Processor time of the database server."""


async def measure(workshop: Workshop) -> ReportSection:
    """The same game over either store, in turns."""
    try:
        programs()
    except RuntimeError as error:
        return ReportSection(TITLE, [f"Skipped: {error}."])
    plan = workshop.plan
    async with AsyncExitStack() as stack:
        server = PrivatePostgres()
        server.settings = dict(SETTINGS)
        stack.enter_context(server)
        url = server.database()
        turns = {
            SQLITE: await _turn(workshop, stack, SQLITE, None, None),
            POSTGRESQL: await _turn(workshop, stack, POSTGRESQL, url, server.pid),
        }
        samples = await interleave(turns, plan.long_rounds, plan.warm_up)
    here = {name: [each.here for each in own] for name, own in samples.items()}
    return ReportSection(
        TITLE,
        [
            f"The game of {GAME}; {plan.participants:,} participants with {FACTS_EACH} facts each to begin with; a "
            f"backlog, in batches of {plan.batch} of which {plan.backlog} are handed over at once, {plan.long_turn} in "
            f"a turn; {plan.long_rounds} rounds after {plan.warm_up} to warm up. Either store checkpoints when its own "
            "settings say so. PostgreSQL is on the same machine, behind a Unix socket, and makes each commit durable. "
            "The ratio is of throughput.",
            _table(samples),
        ],
        [ReportTarget("PostgreSQL / SQLite", ratio(here[POSTGRESQL], here[SQLITE], of_throughputs), least=LEAST)],
    )


async def _turn(
    workshop: Workshop, stack: AsyncExitStack, name: str, url: str | None, pid: int | None
) -> Callable[[], Awaitable[StoreSample]]:
    """`pid`: the database server's, if there is one."""
    plan, everyone, game = workshop.plan, people(workshop.plan.participants), game_of(DEFINITIONS)
    bench = await stack.enter_async_context(workshop.bench(at=url))
    await bench.apply(game)
    await workshop.seeder(bench).clones(game, everyone, FACTS_EACH, FACTS_EACH)
    if url is not None:
        _gather_statistics(url)
    tell(f"filled: {name}, {len(everyone):,} participants")
    count = max(1, plan.long_turn // plan.backlog)
    drain = turn_of(bench, joined(workshop.scattered(everyone, name), plan.backlog), count)

    async def take() -> StoreSample:
        before = _processor_seconds(pid)
        here = await drain()
        events = count * plan.backlog * plan.batch
        return StoreSample(here, (_processor_seconds(pid) - before) * 1e6 / events)

    return take


def _gather_statistics(address: StoreAddress) -> None:
    """What a server does by itself within a minute after many rows were written."""
    with closing(backend_of(address).connect(5)) as connection:
        connection.executescript("VACUUM ANALYZE", seconds=None)


def _processor_seconds(pid: int | None) -> float:
    used = None if pid is None else tree_usage(pid)
    return 0.0 if used is None else used.server.processor_seconds


def _table(samples: Mapping[str, Sequence[StoreSample]]) -> str:
    first = [each.here for each in samples[SQLITE]]
    rows = [("", "facts/s", "us/fact", "CPU us/fact", "CPU us/fact of the database server", "/ SQLite")]
    for name, own in samples.items():
        here = [each.here for each in own]
        rows.append(
            (
                name,
                cell(Spread.of([1e6 / each.wall for each in here])),
                cell(Spread.of([each.wall for each in here])),
                cell(Spread.of([each.cpu for each in here])),
                cell(Spread.of([each.elsewhere for each in own])) if name == POSTGRESQL else "",
                cell(ratio(here, first, of_throughputs)),
            )
        )
    return table(rows)
