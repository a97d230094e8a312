"""What late facts cost: a tenth of them late by up to 5 s; and over a short and a long history."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from bq_server.game.document.definitions import Game
from loadtests.processing_cost.games import SECOND, delayed, free_game, game_of, ordered_game
from loadtests.processing_cost.report import ReportSection, ReportTarget, costs, of_costs, of_throughputs, ratio
from loadtests.processing_cost.rounds import Turn, interleave
from loadtests.processing_cost.throughput import DEFINITIONS
from loadtests.processing_cost.workshop import Workshop, batches_of, people, tell, turn_of

HISTORY_GAP = 600 * SECOND
"""Event time between two facts of a long history: 10,000 facts are 70 days."""

LATE_SHARE, LATE_BY = 0.1, 5 * SECOND

FREQUENT = 20
"""Participants of the first tables. With an event each 10 ms, one has 25 facts in the 5 s an event may be late."""

IN_ORDER, LATE = "in order", f"{LATE_SHARE:.0%} late"

GAMES: Mapping[str, Callable[[], Game]] = {
    "order-dependent game": ordered_game,
    "order-free game": free_game,
    f"{DEFINITIONS} definitions": partial(game_of, DEFINITIONS),
}


async def measure(workshop: Workshop) -> ReportSection:
    """A table for each game, and one for histories."""
    section = ReportSection("Late facts")
    for name, make in GAMES.items():
        await _beside_in_order(workshop, section, name, make())
    await _by_history(workshop, section)
    return section


async def _beside_in_order(workshop: Workshop, section: ReportSection, name: str, game: Game) -> None:
    plan = workshop.plan
    history = await with_history(workshop, game, people(FREQUENT), plan.history)
    events = workshop.stream(people(FREQUENT), (plan.warm_up + plan.rounds) * plan.turn * plan.batch)
    late = delayed(events, workshop.random("late"), LATE_SHARE, LATE_BY)
    turns: dict[str, Turn] = {}
    async with AsyncExitStack() as stack:
        for order, stream in ((IN_ORDER, events), (LATE, late)):
            twin = await stack.enter_async_context(workshop.bench(history))
            turns[order] = turn_of(twin, batches_of(stream, plan.batch), plan.turn)
        samples = await interleave(turns, plan.rounds, plan.warm_up)
    section.blocks += [
        f"### {name}: {FREQUENT} participants with {plan.history:,} facts each",
        f"Late by up to {LATE_BY // SECOND} s. The ratio is of throughput.",
        costs("events", samples, of_throughputs),
    ]
    found = ratio(samples[LATE], samples[IN_ORDER], of_throughputs)
    section.targets.append(ReportTarget(f"throughput {LATE} / {IN_ORDER}, {name}", found, least=0.5))


async def _by_history(workshop: Workshop, section: ReportSection) -> None:
    plan = workshop.plan
    (who,) = people(1)
    events = workshop.stream([who], (plan.warm_up + plan.rounds) * plan.turn * plan.batch)
    late = delayed(events, workshop.random("late"), LATE_SHARE, LATE_BY)
    turns: dict[str, Turn] = {}
    async with AsyncExitStack() as stack:
        for length in plan.busy:
            history = await with_history(workshop, ordered_game(), [who], length)
            bench = await stack.enter_async_context(workshop.bench(history))
            turns[f"{length:,}"] = turn_of(bench, batches_of(late, plan.batch), plan.turn)
        samples = await interleave(turns, plan.rounds, plan.warm_up)
    section.blocks += [
        "### One participant, order-dependent game",
        f"All events are one participant's, {LATE_SHARE:.0%} of them late by up to {LATE_BY // SECOND} s: 500 facts. "
        "The ratio is of cost.",
        costs("facts before", samples, of_costs),
    ]
    first, *_, last = samples
    found = ratio(samples[last], samples[first], of_costs)
    section.targets.append(ReportTarget(f"cost over {last} facts of one participant / {first}", found, most=1.5))


async def with_history(workshop: Workshop, game: Game, everyone: list[str], each: int) -> Path:
    """A closed database where the game has folded so many facts of each participant."""
    async with workshop.bench() as bench:
        await workshop.seeder(bench).facts(everyone, each, HISTORY_GAP)
        await bench.apply(game, backfill=True)
        tell(f"filled and folded: {len(everyone)} participants with {each:,} facts each")
        return bench.database.path
