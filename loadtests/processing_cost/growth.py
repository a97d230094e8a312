"""Whether a fact costs more the more facts are stored, or the more definitions there are."""

import time
from contextlib import AsyncExitStack

from bq_server.game.document.definitions import Game
from bq_server.store.sqlite_file import CACHE_KIBIBYTES
from loadtests.processing_cost.bench import Bench
from loadtests.processing_cost.games import LISTENING, game_of
from loadtests.processing_cost.report import ReportSection, ReportTarget, costs, of_costs, ratio
from loadtests.processing_cost.rounds import Turn, interleave
from loadtests.processing_cost.seeder import STORY
from loadtests.processing_cost.workshop import Workshop, people, resident, tell, turn_of

MOST_GROWTH = 1.25
"""Of the cost of a fact from the smallest to the largest: what is left of «flat» between the noise of the rounds."""


async def measure(workshop: Workshop) -> ReportSection:
    """Both tables."""
    plan = workshop.plan
    rounds = f"{plan.rounds} rounds of {plan.turn} batches, each event of another participant, after {plan.warm_up}"
    section = ReportSection("Growth", [f"Ratios are of costs; {rounds} to warm up."])
    await _by_facts(workshop, section)
    await _by_definitions(workshop, section)
    return section


async def _by_facts(workshop: Workshop, section: ReportSection) -> None:
    plan = workshop.plan
    turns: dict[str, Turn] = {}
    memory = [f"{resident()} before"]
    async with AsyncExitStack() as stack:
        for stored in plan.facts:
            everyone = people(max(plan.batch, stored // STORY))
            bench = await _filled(workshop, stack, game_of(LISTENING), everyone, stored)
            memory.append(f"{resident()} with {stored:,} facts")
            turns[f"a{stored:,}"] = turn_of(bench, workshop.scattered(everyone, "anyone"), plan.turn)
            few = everyone[: plan.batch]
            turns[f"f{stored:,}"] = turn_of(bench, workshop.scattered(few, "few"), plan.turn)
        samples = await interleave(turns, plan.rounds, plan.warm_up)
        memory.append(f"{resident()} after the rounds")
    for letter, who in (("a", "drawn from all"), ("f", f"the same {plan.batch}")):
        own = {name[1:]: found for name, found in samples.items() if name[0] == letter}
        section.blocks += [f"### Stored facts, participants {who}", costs("facts", own, of_costs)]
        first, *_, last = own
        section.targets.append(
            ReportTarget(
                f"cost at {last} facts / {first}, {who}", ratio(own[last], own[first], of_costs), most=MOST_GROWTH
            )
        )
    section.blocks.append(
        f"Resident memory of this process, which has all of these databases open: {', '.join(memory)}. The writing "
        f"connection of each keeps at most {CACHE_KIBIBYTES >> 10} MiB of pages."
    )


async def _by_definitions(workshop: Workshop, section: ReportSection) -> None:
    plan = workshop.plan
    turns: dict[str, Turn] = {}
    async with AsyncExitStack() as stack:
        for definitions in plan.definitions:
            everyone = people(max(plan.batch, plan.filling // STORY))
            bench = await _filled(workshop, stack, game_of(definitions), everyone, plan.filling)
            turns[f"{definitions:,}"] = turn_of(bench, workshop.scattered(everyone, "anyone"), plan.turn)
        samples = await interleave(turns, plan.rounds, plan.warm_up)
    section.blocks += [f"### Definitions, of which {LISTENING} listen", costs("definitions", samples, of_costs)]
    first, *_, last = samples
    found = ratio(samples[last], samples[first], of_costs)
    section.targets.append(ReportTarget(f"cost with {last} definitions / {first}", found, most=MOST_GROWTH))


async def _filled(workshop: Workshop, stack: AsyncExitStack, game: Game, everyone: list[str], stored: int) -> Bench:
    bench = await stack.enter_async_context(workshop.bench())
    await bench.apply(game)
    began = time.perf_counter()
    await workshop.seeder(bench).clones(game, everyone, stored // len(everyone))
    took = time.perf_counter() - began
    tell(f"filled: {stored:,} facts of {len(everyone):,} participants; {took:.0f} s, {resident()} resident")
    return bench
