"""Facts a second, beside the raw limit, in one interleaved run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import islice

from bq_server.events import Event
from bq_server.game.document.definitions import Game
from loadtests.markdown import cell, table
from loadtests.processing_cost.games import game_of
from loadtests.processing_cost.raw_limit import RawLimit
from loadtests.processing_cost.report import ReportSection, ReportTarget, of_costs, of_throughputs, ratio
from loadtests.processing_cost.rounds import Sample, Spread, Turn, interleave
from loadtests.processing_cost.workshop import Workshop, batches_of, people, tell, turn_of

DEFINITIONS = 20
"""Of the game; ten of them listen."""

FACTS_EACH = 10
"""Facts that a participant has to begin with."""

TRANSACTIONS = (500, 100)
"""Facts in a transaction of the raw limit."""

GAME, NO_GAME = f"{DEFINITIONS} definitions", "no game"


async def measure(workshop: Workshop) -> ReportSection:
    """Everything that writes facts, in turns. Every turn ends with a checkpoint, to leave no work to the next."""
    plan = workshop.plan
    turns: dict[str, Turn] = {}
    async with AsyncExitStack() as stack:
        for transaction in TRANSACTIONS:
            raw = stack.enter_context(RawLimit.open(workshop.path(), transaction))
            turns[_raw(transaction)] = await _raw_turn(workshop, raw)
        for name, game in ((GAME, game_of(DEFINITIONS)), (NO_GAME, Game())):
            turns[name] = await _processing_turn(workshop, stack, name, game)
        samples = await interleave(turns, plan.long_rounds, plan.warm_up)
    section = ReportSection(
        "Throughput",
        [
            f"{plan.participants:,} participants with {FACTS_EACH} facts each to begin with; a backlog, in batches of "
            f"{plan.batch} of which {plan.backlog} are handed over at once, {plan.long_turn} in a turn, each turn down "
            f"to its checkpoint; {plan.long_rounds} rounds after {plan.warm_up} to warm up. "
            "The raw limit is plain SQLite writing one fact, one state, three standings "
            "and one ledger entry for each event, in transactions of so many. Ratios are of throughput.",
            _table(samples),
        ],
    )
    limit = samples[_raw(TRANSACTIONS[0])]
    per_second = Spread.of([1e6 / each.wall for each in samples[GAME]])
    section.targets += [
        ReportTarget(f"{GAME} / raw limit", ratio(samples[GAME], limit, of_throughputs), least=0.5),
        ReportTarget(f"{GAME}, facts/s", per_second, least=6000),
        ReportTarget(f"{NO_GAME} / raw limit", ratio(samples[NO_GAME], limit, of_throughputs), least=0.8),
    ]
    return section


async def _raw_turn(workshop: Workshop, raw: RawLimit) -> Turn:
    everyone = people(workshop.plan.participants)
    plan = workshop.plan
    await raw.turn(list(batches_of(workshop.stream(everyone, len(everyone) * FACTS_EACH), plan.batch)))
    batches = workshop.scattered(everyone, "raw")

    async def take() -> Sample:
        return await raw.turn([next(batches) for _ in range(plan.long_turn)])

    return take


async def _processing_turn(workshop: Workshop, stack: AsyncExitStack, name: str, game: Game) -> Turn:
    everyone = people(workshop.plan.participants)
    bench = await stack.enter_async_context(workshop.bench())
    await bench.apply(game)
    await workshop.seeder(bench).clones(game, everyone, FACTS_EACH, FACTS_EACH)
    tell(f"filled: {name}, {len(everyone):,} participants")
    plan = workshop.plan
    batches = workshop.scattered(everyone, name)
    return turn_of(bench, joined(batches, plan.backlog), max(1, plan.long_turn // plan.backlog), checkpointed=True)


def joined(batches: Iterator[list[Event]], count: int) -> Iterator[list[Event]]:
    """Every so many batches as one: what the consumer hands over at once while there is a backlog."""
    while True:
        yield [event for batch in islice(batches, count) for event in batch]


def _raw(transaction: int) -> str:
    return f"raw SQLite, {transaction} a transaction"


def _table(samples: Mapping[str, Sequence[Sample]]) -> str:
    limits = [samples[_raw(transaction)] for transaction in TRANSACTIONS]
    ratios = [f"/ raw {transaction}" for transaction in TRANSACTIONS]
    rows = [("", "facts/s", "us/fact", "CPU us/fact", *ratios, "CPU / raw 500")]
    for name, own in samples.items():
        cpu = Spread.of([of_costs(a.cpu, b.cpu) for a, b in zip(own, limits[0], strict=True)])
        rows.append(
            (
                name,
                cell(Spread.of([1e6 / each.wall for each in own])),
                cell(Spread.of([each.wall for each in own])),
                cell(Spread.of([each.cpu for each in own])),
                *(cell(ratio(own, limit, of_throughputs)) for limit in limits),
                cell(cpu),
            )
        )
    return table(rows)
