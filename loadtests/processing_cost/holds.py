"""The longest hold of the event loop, case by case: what a request would have waited at worst."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import count, islice

from bq_server.events import Event
from bq_server.game.document.definitions import Game
from bq_server.runtime import collector
from loadtests.markdown import cell, table
from loadtests.processing_cost.bench import Bench, messages_of
from loadtests.processing_cost.expressions import EXPRESSIONS, Expression
from loadtests.processing_cost.games import EVENT_NAME, SECOND, START, chain_game, delayed, event, game_of, ordered_game
from loadtests.processing_cost.late import FREQUENT, HISTORY_GAP, LATE, LATE_BY, LATE_SHARE, with_history
from loadtests.processing_cost.loop_probe import Hold, LoopProbe
from loadtests.processing_cost.report import ReportSection, ReportTarget
from loadtests.processing_cost.rounds import Spread, interleave
from loadtests.processing_cost.throughput import DEFINITIONS, FACTS_EACH
from loadtests.processing_cost.workshop import Workshop, batches_of, people, tell

IDLE = "nothing at all"
IDLE_SECONDS = 0.5

MOST_MS = 20.0
"""A slice."""

WARM_UP = 1

LATE_ONES = 40
"""Late facts of the hot participant in a turn. A part keeps the sixteen facts that met it; past these, a replay."""

Watched = Callable[[], Awaitable[Hold]]


async def measure(workshop: Workshop) -> ReportSection:
    """All cases, in turns."""
    turns: dict[str, Watched] = {IDLE: _idle}
    async with AsyncExitStack() as stack:
        turns |= await _drain(workshop, stack)
        turns |= await _late(workshop, stack)
        turns |= await _hot(workshop, stack)
        for expression in EXPRESSIONS:
            turns |= await _costly(workshop, stack, expression)
        collector.resume()  # what the other cases keep is in no server's memory
        tell("filled: everything for the holds")
        found = await interleave(turns, workshop.plan.long_rounds, WARM_UP)
    section = ReportSection(
        "Longest hold of the event loop",
        [
            "A callback that is due every millisecond notes how late it comes; shown is the longest of each round. The "
            "first row is what this machine does to a loop with nothing to do. «Own» is the longest hold that the "
            "processor time of this process, all threads, accounts for: what is longer was a disk or, on a busy "
            "machine, others. An expression is evaluated over a list or a text of so many items: the most that its "
            "budget allows, and far more.",
            _table(found),
        ],
    )
    busy = {name: holds for name, holds in found.items() if name != IDLE}
    for figure, label in (("longest", "longest hold"), ("own", "longest hold of its own")):
        spreads = {name: _spread(holds, figure) for name, holds in busy.items()}
        worst = max(spreads, key=lambda name: spreads[name].most)
        section.targets.append(ReportTarget(f"{label}, ms: {worst}", spreads[worst], most=MOST_MS, worst=True))
    return section


async def _idle() -> Hold:
    with LoopProbe.watching() as probe:
        await asyncio.sleep(IDLE_SECONDS)
    return probe.found()


def _turn(bench: Bench, batches: Iterator[Sequence[Event]], most: int) -> Watched:
    async def take() -> Hold:
        messages = [messages_of(batch) for batch in islice(batches, most)]
        with LoopProbe.watching() as probe:
            await bench.drain(messages)
        return probe.found()

    return take


async def _drain(workshop: Workshop, stack: AsyncExitStack) -> Mapping[str, Watched]:
    plan = workshop.plan
    everyone = people(plan.participants)
    bench = await stack.enter_async_context(workshop.bench())
    game = game_of(DEFINITIONS)
    await bench.apply(game)
    await workshop.seeder(bench).clones(game, everyone, FACTS_EACH, FACTS_EACH)
    return {f"drain, {DEFINITIONS} definitions": _turn(bench, workshop.scattered(everyone, "drain"), plan.long_turn)}


async def _late(workshop: Workshop, stack: AsyncExitStack) -> Mapping[str, Watched]:
    plan = workshop.plan
    everyone = people(FREQUENT)
    history = await with_history(workshop, ordered_game(), everyone, plan.history)
    bench = await stack.enter_async_context(workshop.bench(history))
    events = workshop.stream(everyone, (plan.long_rounds + WARM_UP) * plan.long_turn * plan.batch)
    late = delayed(events, workshop.random("late"), LATE_SHARE, LATE_BY)
    return {f"{LATE}, order-dependent game": _turn(bench, batches_of(late, plan.batch), plan.long_turn)}


async def _hot(workshop: Workshop, stack: AsyncExitStack) -> Mapping[str, Watched]:
    """One participant with a long history: late facts, one at a time; and all of it folded anew."""
    plan = workshop.plan
    (who,) = people(1)
    begun = START - plan.hot * HISTORY_GAP
    ordered = await with_history(workshop, ordered_game(), [who], plan.hot)
    chained = await with_history(workshop, chain_game(plan.hot // 2), [who], plan.hot)
    anywhere, anew = [await stack.enter_async_context(workshop.bench(ordered)) for _ in range(2)]
    before = await stack.enter_async_context(workshop.bench(chained))

    def late(moments: Iterator[int]) -> Iterator[Sequence[Event]]:
        random = workshop.random("hot")
        return ([event(workshop.ids, random, who, at)] for at in moments)

    async def fold_anew() -> Hold:
        await anew.apply(Game())
        with LoopProbe.watching() as probe:
            await anew.apply(ordered_game(), backfill=True)
        return probe.found()

    random = workshop.random("anywhere")
    told = f"one participant with {plan.hot:,} facts"
    return {
        f"{told}: late ones from anywhere": _turn(
            anywhere, late(random.randrange(begun, START) for _ in count()), LATE_ONES
        ),
        f"{told}: late ones before all, for a part met halfway": _turn(
            before, late(begun - number * SECOND for number in count(1)), LATE_ONES
        ),
        f"{told}: folded anew": fold_anew,
    }


async def _costly(workshop: Workshop, stack: AsyncExitStack, expression: Expression) -> Mapping[str, Watched]:
    """Events of the size that the budget just allows, and of one that is far past it."""
    bench = await stack.enter_async_context(workshop.bench())
    await bench.apply(Game.model_validate({"points": [_rule(expression.source)]}))
    everyone = people(workshop.plan.costly)

    def of_size(size: int) -> Iterator[Sequence[Event]]:
        properties = json.dumps(expression.properties(size), separators=(",", ":"))
        random = workshop.random(expression.source)
        while True:
            made = [event(workshop.ids, random, who, START) for who in everyone]
            yield [each._replace(properties=properties) for each in made]

    allowed, refused = expression.allowed(), expression.refused()
    return {
        f"`{expression.source}` over {allowed:,}": _turn(bench, of_size(allowed), 1),
        f"`{expression.source}` over {refused:,}, past the budget": _turn(bench, of_size(refused), 1),
    }


def _rule(source: str) -> Mapping[str, object]:
    return {"code": "costly", "on": EVENT_NAME, "when": source, "award": 1}


def _table(found: Mapping[str, Sequence[Hold]]) -> str:
    rows: list[tuple[str, ...]] = [("", "longest ms", "own ms", "p99 ms")]
    for name, holds in found.items():
        rows.append((name, *(cell(_spread(holds, figure)) for figure in ("longest", "own", "p99"))))
    return table(rows)


def _spread(holds: Sequence[Hold], figure: str) -> Spread:
    return Spread.of([getattr(hold, figure) for hold in holds])
